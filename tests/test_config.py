"""The configuration file: the contract's example, and every mistake told at once."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import load_config
from schemas.canaries import Canary, Match
from schemas.errors import UsageError
from schemas.settings import Config, DigestConfig
from schemas.times import HOUR_US, MINUTE_US, parse_iso_us
from schemas.trails import LogPath, Trail

CANARY = """
[[canary]]
name     = "dry-run-instances"
accounts = ["111122223333"]
regions  = ["us-east-1", "eu-west-1"]
period   = "5m"
grace    = "15m"
since    = 2026-11-01T00:00:00Z
[canary.match]
event_source = "ec2.amazonaws.com"
event_name   = "RunInstances"
error_code   = ["Client.UnauthorizedOperation", "AccessDenied*"]
user_arn     = "arn:aws:sts::*:assumed-role/canary/*"
"request_parameters.clientToken" = "tc-*"
"""
TRAIL = """
[[trail]]
name = "org-trail"
account = "111122223333"
home_region = "us-east-1"
bucket = "security-logs"
kms_key = "arn:aws:kms:us-east-1:999999999999:key/…"
"""


def problems_of(text: str) -> tuple[str, ...]:
    """What is wrong with a configuration, without the name of its file."""
    with pytest.raises(UsageError) as caught:
        load_config(text, "c.toml")
    assert all(problem.startswith("c.toml: ") for problem in caught.value.problems)
    return tuple(problem.removeprefix("c.toml: ") for problem in caught.value.problems)


def test_the_example_of_the_contract() -> None:
    """Every key, in its place."""
    canary = Canary(
        name="dry-run-instances",
        accounts=("111122223333",),
        regions=("us-east-1", "eu-west-1"),
        period_us=5 * MINUTE_US,
        grace_us=15 * MINUTE_US,
        since_us=parse_iso_us("2026-11-01T00:00:00Z"),
        match=(
            Match("event_source", ("ec2.amazonaws.com",)),
            Match("event_name", ("RunInstances",)),
            Match("error_code", ("Client.UnauthorizedOperation", "AccessDenied*")),
            Match("user_arn", ("arn:aws:sts::*:assumed-role/canary/*",)),
            Match("request_parameters.clientToken", ("tc-*",)),
        ),
    )
    key = "arn:aws:kms:us-east-1:999999999999:key/…"
    trail = Trail("org-trail", "111122223333", "us-east-1", "security-logs", key)
    assert load_config('allowed_lateness = "6h"' + CANARY + TRAIL, "c.toml") == Config(
        (canary,), LogPath((trail,)), 6 * HOUR_US
    )


def test_what_may_be_left_out() -> None:
    """`since`, `kms_key`, `allowed_lateness`; and a file may declare nothing."""
    text = "\ufeff" + CANARY.replace("since    = 2026-11-01T00:00:00Z", "") + TRAIL.replace("kms_key", "# kms_key")
    config = load_config(text, "c.toml")
    assert config.canaries[0].since_us is None
    assert config.log_path.trails[0].kms_key is None
    assert config.allowed_lateness_us == 24 * HOUR_US
    assert load_config("# nothing", "c.toml") == Config()


@pytest.mark.parametrize("since", ["2026-11-01", "2026-11-01T02:00:00+02:00", "2026-10-31 19:00:00-05:00"])
def test_ways_to_write_since(since: str) -> None:
    """A date is its midnight in UTC; an offset is heeded."""
    (canary,) = load_config(CANARY.replace("2026-11-01T00:00:00Z", since), "c.toml").canaries
    assert canary.since_us == parse_iso_us("2026-11-01T00:00:00Z")


@pytest.mark.parametrize(
    "region", ["us-gov-west-1", "cn-northwest-1", "ap-southeast-7", "eusc-de-east-1", "us-isob-east-1", "mx-central-1"]
)
def test_regions_of_every_partition(region: str) -> None:
    """AWS has more than its commercial regions, and adds some each year."""
    (canary,) = load_config(CANARY.replace("us-east-1", region), "c.toml").canaries
    assert canary.regions[0] == region


MISTAKES = [
    ("period   =", "perod    =", 'canary "dry-run-instances": unknown key "perod" (did you mean "period"?)'),
    ('grace    = "15m"', "", 'canary "dry-run-instances": grace is missing'),
    ('name     = "dry-run-instances"', "", "canary number 1: name is missing"),
    ('"dry-run-instances"', '""', 'canary number 1: name: "" is not a name of 1 to 128 printable characters'),
    ('"dry-run-instances"', '"\\u001b[2J"', 'canary "\\x1b[2J": name: "\\x1b[2J" is not a name of 1 to 128 printable'),
    ('"dry-run-instances"', "5", "canary number 1: name: 5 is a number: put it in quotes"),
    (
        '["111122223333"]',
        "[111122223333]",
        "accounts: 111122223333 is a number: put it in quotes, with its leading zeros",
    ),
    ('["111122223333"]', '["1111222233"]', 'accounts: "1111222233" is not an account id of 12 digits'),
    ('["111122223333"]', '["١١١١٢٢٢٢٣٣٣٣"]', "is not an account id of 12 digits"),
    ('["111122223333"]', "[true]", "accounts: must be an account id of 12 digits, a string, not a boolean"),
    ('["111122223333"]', '"111122223333"', 'accounts must be an array such as ["…"], not a string'),
    ('["111122223333"]', "[]", "accounts is empty: name at least one"),
    ('["111122223333"]', '["111122223333", "111122223333"]', 'accounts: "111122223333" stands there 2 times'),
    ('"eu-west-1"', '"eu-west"', 'regions: "eu-west" is not a region such as us-east-1'),
    ('"eu-west-1"', '"*"', 'regions: "*" is not a region such as us-east-1'),
    ('"eu-west-1"', '"us-east-1"', 'regions: "us-east-1" stands there 2 times'),
    ('"5m"', "300", 'period must be a string such as "90s", "5m" or "1h30m", not an integer'),
    ('"5m"', '"0s"', 'period: "0s" is not a length of time of 1 s or more'),
    ('"5m"', '"500ms"', 'period: "500ms" is not a length of time of 1 s or more'),
    ('"5m"', '"-5m"', 'period: "-5m" is not a length of time of 1 s or more'),
    ('"5m"', f'"{"9" * 5000}d"', "is not a length of time of 1 s or more"),
    ('"15m"', '"400d"', 'grace: "400d" is longer than a year'),
    (
        "2026-11-01T00:00:00Z",
        '"2026-11-01"',
        "since must be a date and time such as 2026-11-01T00:00:00Z, without quotes",
    ),
    ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00", "since says no time zone: write 2026-11-01T00:00:00Z"),
    ("2026-11-01T00:00:00Z", "12:00:00", "since must be a date and time such as 2026-11-01T00:00:00Z, not a time"),
    ('"RunInstances"', "[]", "match: no pattern for 'event_name'"),
    (
        '"RunInstances"',
        '["RunInstances", 0]',
        'match "event_name" must be a string or an array of strings, not an integer',
    ),
    ('"RunInstances"', '""', 'match "event_name": an empty pattern matches nothing'),
    ("event_name   =", "eventName    =", "match: unknown field 'eventName'"),
    (
        '"request_parameters.clientToken"',
        "request_parameters.clientToken",
        'match: a dotted name must stand in quotes: "request_parameters.clientToken" = …',
    ),
    ("[canary.match]", "[canary.mach]", 'unknown key "mach" (did you mean "match"?)'),
    ("[[canary]]", "[canary]", "top level: canary must be an array of tables: begin each with [[canary]]"),
    ("[[trail]]", "[[trial]]", 'top level: unknown key "trial" (did you mean "trail"?)'),
    ('"org-trail"', '"arn:aws:cloudtrail:us-east-1:111122223333:trail/t"', "is not the name of a trail (not its ARN)"),
    ('account = "111122223333"', 'account = "1"', 'trail "org-trail": account: "1" is not an account id of 12 digits'),
    ('"security-logs"', '"arn:aws:s3:::security-logs"', "is not the name of a bucket (no ARN, no prefix)"),
    ('"arn:aws:kms:us-east-1:999999999999:key/…"', '""', 'kms_key: "" is not the ARN or id of a KMS key'),
    ('home_region = "us-east-1"', "", 'trail "org-trail": home_region is missing'),
    ('bucket = "security-logs"', "queue = []", 'trail "org-trail": queue is empty: name at least one'),
    ('bucket = "security-logs"', "topic = 'a b'", 'topic: "a b" is not the ARN or name of an SNS topic'),
    ('bucket = "security-logs"', "role = ['r', 'r']", 'role: "r" stands there 2 times'),
    ('bucket = "security-logs"', "log_group = 'arn:aws:s3:::x'", "is not the ARN or name of a log group"),
    ('bucket = "security-logs"', "rule = 1", "rule: 1 is a number: put it in quotes, with its leading zeros"),
    ('bucket = "security-logs"', "organization = 1", "organization must be true or false, not an integer"),
    ('bucket = "security-logs"', "queues = 'q'", 'unknown key "queues" (did you mean "queue"?)'),
    ("[[trail]]", "[time_bombs]\nwarn = ['7']\n[[trail]]", 'time_bombs: warn: "7" is not a length of time such as 7d'),
    ("[[trail]]", "[time_bombs]\nwarn = ['24h', '1d']\n[[trail]]", "time_bombs: warn has one length of time twice"),
    ("[[trail]]", "[time_bombs]\nwarn = '7d'\n[[trail]]", "time_bombs: warn must be an array"),
    ("[[trail]]", "[time_bombs]\n[[trail]]", "time_bombs: warn is missing"),
    ("[[trail]]", "[time_bombs]\nwarn = ['1d']\nsoon = 1\n[[trail]]", 'time_bombs: unknown key "soon"'),
    ("[[trail]]", "allowed_lateness = '1h'\n[[trail]]", "match: unknown field 'allowed_lateness'"),
]


@pytest.mark.parametrize(("right", "wrong", "problem"), MISTAKES)
def test_a_mistake_is_told_with_its_place(right: str, wrong: str, problem: str) -> None:
    """One mistake in the example, and a message that names it."""
    assert right in CANARY + TRAIL
    assert any(problem in told for told in problems_of((CANARY + TRAIL).replace(right, wrong, 1)))


@pytest.mark.parametrize("value", ["1", '"1w"', '""', "[]"])
def test_a_wrong_lateness(value: str) -> None:
    """Stands above the tables."""
    (problem,) = problems_of(f"allowed_lateness = {value}\n{CANARY}")
    assert problem.startswith("top level: allowed_lateness")


def test_an_empty_match_would_match_everything() -> None:
    """So it is refused; as is a match that is no table."""
    head, _, _ = CANARY.partition("[canary.match]")
    assert problems_of(f"{head}[canary.match]") == (
        'canary "dry-run-instances": match is empty: name at least one condition',
    )
    assert problems_of(f"{head}match = 1") == ('canary "dry-run-instances": match must be a table, not an integer',)
    assert problems_of(head) == ('canary "dry-run-instances": match is missing',)


def test_names_are_used_once() -> None:
    """Two canaries of one name could not be told apart; a trail's name is its account's."""
    assert problems_of(CANARY + TRAIL + CANARY + TRAIL) == (
        'canary "dry-run-instances": declared 2 times',
        'trail "org-trail of 111122223333": declared 2 times',
    )
    elsewhere = TRAIL.replace("111122223333", "222233334444")
    assert len(load_config(TRAIL + elsewhere, "c.toml").log_path.trails) == 2


def test_all_problems_are_told_at_once() -> None:
    """A person mends the file once."""
    text = """
    allowed_latness = "1h"
    [[canary]]
    name = "a"
    accounts = [1, "2"]
    regions = []
    period = "5 minutes"
    [[canary]]
    grace = 3
    match = { eventName = "x" }
    [[trail]]
    bucket = "b"
    """
    told = "\n".join(problems_of(text))
    for place, count in (("top level", 1), ('canary "a"', 6), ("canary number 2", 6), ("trail number 1", 4)):
        assert told.count(f"{place}: ") == count, told


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = ", "not TOML: Invalid value (at end of document)"),
        ("\n[[canary]]\nname = x", "not TOML: Invalid value (at line 3, column 8)"),
        ("name = 1\nname = 2\nx = 1", "not TOML: Cannot overwrite a value (at line 2, column 9)"),
        ("accounts = [011122223333]", "an account id must stand in quotes"),
        (f"a = {'9' * 5000}", "not TOML: "),
        (f"a = {'[' * 5000}", "nested too deeply"),
    ],
)
def test_what_is_not_toml(text: str, problem: str) -> None:
    """The line is told."""
    (told,) = problems_of(text)
    assert problem in told


def test_a_large_organisation_is_read_fast() -> None:
    """1,000 accounts in 17 regions; well under a second, where a quadratic check would take many."""
    accounts = ", ".join(f'"{number:012}"' for number in range(20_000))
    started = time.process_time()
    (canary,) = load_config(CANARY.replace('"111122223333"', accounts), "c.toml").canaries
    assert len(canary.accounts) == 20_000
    assert time.process_time() - started < 2


SCALARS = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates(), st.times(), st.datetimes()
)
KEYS = st.sampled_from(
    [
        "canary",
        "trail",
        "name",
        "accounts",
        "regions",
        "period",
        "grace",
        "since",
        "match",
        "event_name",
        "allowed_lateness",
    ]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4)
)


def outcome(text: str) -> Config | tuple[str, ...]:
    """The configuration, or the problems; any other exception fails the test."""
    try:
        return load_config(text, "c.toml")
    except UsageError as error:
        return error.problems


@given(st.dictionaries(KEYS, VALUES, min_size=1))
def test_no_value_crashes_the_reader(entries: dict[str, Any]) -> None:
    """Whatever types stand where: read, or refused with a problem."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.config.tomllib.loads", lambda _: entries)
        assert outcome("") != ()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_crashes_the_reader(text: str) -> None:
    """What is not TOML, or not a configuration, is a usage error."""
    assert outcome(text) != ()


def test_all_of_a_log_path() -> None:
    """One of each, or many; and when to warn of deadlines, the longest time first."""
    more = """
topic = "arn:aws:sns:us-east-1:111122223333:logs"
queue = ["https://sqs.us-east-1.amazonaws.com/111122223333/in", "dead.fifo"]
role = "service-role"
log_group = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/trail:*"
rule = ["arn:aws:events:us-east-1:111122223333:rule/bus/objects", "objects"]
[time_bombs]
warn = ["1d", "36h"]
"""
    path = load_config(TRAIL + more, "c.toml").log_path
    (trail,) = path.trails
    assert trail.queues == ("https://sqs.us-east-1.amazonaws.com/111122223333/in", "dead.fifo")
    assert (trail.topics, trail.roles, len(trail.log_groups), len(trail.rules)) == (
        ("arn:aws:sns:us-east-1:111122223333:logs",), ("service-role",), 1, 2
    )  # fmt: skip
    assert path.warnings_us == (36 * HOUR_US, 24 * HOUR_US)
    assert load_config(TRAIL, "c.toml").log_path.warnings_us == (7 * 24 * HOUR_US, 24 * HOUR_US)


def test_digests() -> None:
    """How late a digest may be, and where a copy came from; a place that is no bucket and other keys are refused."""
    text = '[digests]\ngrace = "6h"\noriginal_location = "s3://security-logs/org"'
    assert load_config(text, "c.toml").digests == DigestConfig(6 * HOUR_US, "s3://security-logs/org")
    assert load_config("[digests]", "c.toml").digests == DigestConfig(4 * HOUR_US, None)
    with pytest.raises(UsageError) as refused:
        load_config('[digests]\ngrace = 4\noriginal_location = "/srv/logs"\nkeys = "k"', "c.toml")
    assert len(refused.value.problems) == 3
