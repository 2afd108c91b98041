"""The shipped rules: each against its own events, all of them against the list they are made from."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
import yaml

from schemas.archive import ARCHIVE_SCHEMA, RECORD_MEMBERS, Member, members_of
from schemas.tampering import Tampering
from schemas.times import parse_iso_us
from schemas.trails import LogPath, Trail
from transforms.rules import builtin_rules
from transforms.sigma import RuleSet, parse_rules

CATEGORIES = ("trail", "trail-lake", "trail-bucket", "trail-key", "trail-objects")
FOLDER = Path(__file__).parents[1] / "transforms" / "rules"
EVENTS_CSV = Path(__file__).resolve().parents[2] / "shared" / "reference" / "tamper_events.csv"
FILES = [path for path in FOLDER.glob("*/*.yml") if not path.match("*.events.yml")]
RULES = {path.stem: path for path in FILES}
LOG_PATH_RULES = {stem: path for stem, path in RULES.items() if path.parent.name in CATEGORIES}
PINNED = ("eventSource", "eventName")
ANY_CALL = frozenset({"record_late_or_corrected"})
"""Rules for what the record of any call may show."""


def rule_id(stem: str) -> str:
    """A rule's category and name."""
    return f"{RULES[stem].parent.name}/{stem}"


stems = pytest.mark.parametrize("stem", sorted(RULES, key=rule_id), ids=rule_id)


def column_value(member: Member, value: Any) -> Any:
    """A record's member as its column holds it."""
    if value is None or member.name == "event_time":
        return parse_iso_us(value) if value else None
    if member.json:
        return orjson.dumps(value).decode()
    if member.struct is None:
        return value
    inner = members_of(member.struct)
    if isinstance(value, list):
        return [{part.name: part_value(part, each) for part in inner} for each in value]
    return {part.name: part_value(part, value) for part in inner}


def part_value(part: Member, value: dict[str, Any]) -> Any:
    """A member of a struct as its column holds it."""
    return column_value(part, value.get(part.vendor_name))


def table_of(records: list[dict[str, Any]]) -> pa.Table:
    """Archive rows of records that fit the columns."""
    rows = []
    for index, record in enumerate(records):
        row = {member.name: column_value(member, record.get(member.vendor_name)) for member in RECORD_MEMBERS}
        rows.append(
            {**row, "object_key": "AWSLogs/x.json.gz", "record_index": index, "delivered_at": row["event_time"]}
        )
    return pa.Table.from_pylist(rows, schema=ARCHIVE_SCHEMA)


def events_of(stem: str) -> dict[str, Any]:
    """The events that belong to a rule."""
    loaded: dict[str, Any] = yaml.safe_load(RULES[stem].with_suffix(".events.yml").read_text())
    return loaded


def log_path_of(events: dict[str, Any]) -> LogPath:
    """The trails that the events are evaluated under."""
    return LogPath(trails=tuple(Trail(**trail) for trail in events.get("log_path", {}).get("trails", ())))


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    """All shipped rules, compiled together."""
    return parse_rules({f"{stem}.yml": source for stem, source in builtin_rules().items()})


def found_in(rules: RuleSet, events: dict[str, Any], kind: str) -> list[list[Tampering]]:
    """What all rules find in each event of a kind."""
    found = rules.evaluate(table_of(events[kind]), log_path_of(events)) if events[kind] else []
    return [[each for each in found if each.event_id == record["eventID"]] for record in events[kind]]


def test_builtin_rules_are_all_of_them() -> None:
    """Every file ships, under a stem that no other file has."""
    assert len(FILES) == len(RULES)
    assert RULES.keys() == builtin_rules().keys()


@stems
def test_rule_comes_with_events(stem: str) -> None:
    """A rule has events of all three kinds; only a service event cannot be refused."""
    events = events_of(stem)
    assert events["fires"]
    assert events["near_misses"]
    assert events["refused"] or events["refusable"] is False
    assert all("errorCode" in record for record in events["refused"])
    assert not any("errorCode" in record for record in events["fires"])
    ids = [record["eventID"] for kind in ("fires", "near_misses", "refused") for record in events[kind]]
    assert len(ids) == len(set(ids))


@stems
@pytest.mark.parametrize("kind", ["fires", "refused"])
def test_rule_fires(rules: RuleSet, stem: str, kind: str) -> None:
    """A rule finds its own events, refused or not, and says which they were."""
    for found in found_in(rules, events_of(stem), kind):
        mine = [each for each in found if each.rule == stem]
        assert [each.succeeded for each in mine] == [kind == "fires"]


@stems
def test_rule_spares_near_misses(rules: RuleSet, stem: str) -> None:
    """A rule does not find what is close and harmless, or another rule's."""
    for found in found_in(rules, events_of(stem), "near_misses"):
        assert stem not in [each.rule for each in found]


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("cloudtrail", "UpdateTrail", ["trail_updated"]),
        ("cloudtrail", "PutEventSelectors", ["event_selectors_management_off"]),
        ("cloudtrail", "UpdateEventDataStore", ["event_data_store_narrowed"]),
        ("s3", "PutBucketPolicy", ["log_bucket_policy_locks_out"]),
        ("s3", "PutBucketLifecycleConfiguration", ["log_bucket_lifecycle_expires"]),
        ("s3", "PutBucketVersioning", ["log_bucket_versioning_suspended"]),
        ("s3", "PutPublicAccessBlock", ["log_bucket_public_access_allowed"]),
        ("s3", "PutAccountPublicAccessBlock", ["account_public_access_allowed"]),
        ("kms", "PutKeyPolicy", ["log_key_policy_weakened"]),
        ("sns", "SetTopicAttributes", ["topic_silenced"]),
        ("sqs", "SetQueueAttributes", ["queue_locked"]),
        ("lambda", "UpdateEventSourceMapping20150331", ["event_source_mapping_weakened"]),
        ("organizations", "DisableAWSServiceAccess", ["trusted_access_disabled"]),
        ("guardduty", "UpdateDetector", ["guardduty_disabled"]),
        ("securityhub", "BatchUpdateFindings", ["securityhub_findings_suppressed"]),
        ("ssm", "UpdateDocument", ["responder_document_changed"]),
        ("detective", "UpdateDatasourcePackages", ["detective_packages_dropped"]),
    ],
)
def test_unseen_request_fires_one_rule(rules: RuleSet, source: str, name: str, expected: list[str]) -> None:
    """A call whose request is null or was left out as too large fires one rule of those for the call, not all."""
    record = {"eventTime": "2026-11-24T06:00:00Z", "eventSource": f"{source}.amazonaws.com", "eventName": name}
    omitted = {"omitted": True, "originalSize": 120000, "reason": "requestParameters too large"}
    for unseen in ({"errorCode": "AccessDenied"}, {"requestParameters": omitted}):
        found = rules.evaluate(table_of([record | unseen]), LogPath())
        assert [each.rule for each in found] == expected


@stems
def test_rule_is_well_formed(stem: str) -> None:
    """A rule names its call literally, its place, its techniques and its sources."""
    rule = yaml.safe_load(RULES[stem].read_text())
    assert rule["level"] in ("informational", "low", "medium", "high", "critical")
    assert rule["trailcanary"].keys() == {"scope", "category"}
    assert rule["trailcanary"]["scope"] in ("trail", "watcher", "recovery")
    assert rule["trailcanary"]["category"] == RULES[stem].parent.name
    assert all(re.fullmatch(r"attack\.t\d{4}(\.\d{3})?", tag) for tag in rule["tags"])
    assert ("attack.t1562.008" in rule["tags"]) is ("attack.t1685.002" in rule["tags"])
    assert ("attack.t1562.001" in rule["tags"]) is ("attack.t1685" in rule["tags"])
    assert all(reference.startswith("https://docs.aws.amazon.com/") for reference in rule["references"])
    if stem not in ANY_CALL:
        assert all(isinstance(name, str) for field in PINNED for name in names_of(rule["detection"]["call"][field]))
    assert "errorCode" not in RULES[stem].read_text()


def test_rule_ids_are_unique() -> None:
    """No two rules share an id."""
    ids = [yaml.safe_load(source)["id"] for source in builtin_rules().values()]
    assert len(ids) == len(set(ids))


def names_of(value: str | list[str]) -> list[str]:
    """The event names that a rule selects."""
    return [value] if isinstance(value, str) else value


@pytest.mark.data
def test_rules_cover_the_list() -> None:
    """Each row of the five categories has a rule of its own: as many as rows, per category, source and name."""
    if not EVENTS_CSV.exists():
        pytest.skip("the list of tampering events is not beside the checkout")
    with EVENTS_CSV.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["scope"] == "log_path" and row["category"] in CATEGORIES]
    wanted = Counter((row["category"], row["eventSource"], row["eventName"], row["severity"]) for row in rows)
    found: Counter[tuple[str, ...]] = Counter()
    for path in LOG_PATH_RULES.values():
        rule = yaml.safe_load(path.read_text())
        call, level = rule["detection"]["call"], rule["level"].replace("informational", "info")
        for name in names_of(call["eventName"]):
            found[path.parent.name, call["eventSource"], name, level] += 1
    assert len(rows) == len(LOG_PATH_RULES)
    assert wanted == Counter({row: found[row] for row in wanted})


@pytest.mark.data
def test_spellings_in_the_list_are_selected() -> None:
    """Where the API and the event disagree on the name, the rule selects both."""
    if not EVENTS_CSV.exists():
        pytest.skip("the list of tampering events is not beside the checkout")
    with EVENTS_CSV.open(newline="") as file:
        checks = [
            row for row in csv.DictReader(file) if row["category"] in CATEGORIES and "differs" in row["name_check"]
        ]
    calls = [yaml.safe_load(path.read_text())["detection"]["call"] for path in LOG_PATH_RULES.values()]
    for row in checks:
        other = row["name_check"].partition("differs: ")[2].rstrip(")")
        assert any({row["eventName"], other} <= set(names_of(call["eventName"])) for call in calls), row


STRATUS = Path(__file__).resolve().parents[2] / "shared" / "data" / "stratus_red_team"


@pytest.mark.data
@pytest.mark.parametrize(
    ("attack", "expected"),
    [
        ("cloudtrail-stop", {"trail_logging_stopped"}),
        ("cloudtrail-delete", {"trail_deleted"}),
        (
            "cloudtrail-event-selectors",
            {"event_selectors_management_off", "event_selectors_read_write_narrowed"},
        ),
        ("organizations-leave", set()),
        ("vpc-remove-flow-logs", set()),
    ],
)
def test_real_attacks_are_found(rules: RuleSet, attack: str, expected: set[str]) -> None:
    """The rules find what Stratus Red Team really did to a trail, and nothing else in its records."""
    path = STRATUS / f"aws.defense-evasion.{attack}.json.gz"
    if not path.exists():
        pytest.skip("the real CloudTrail data is not beside the checkout")
    loaded = orjson.loads(gzip.decompress(path.read_bytes()))
    records = loaded["Records"] if isinstance(loaded, dict) else loaded
    found = rules.evaluate(table_of(records), LogPath())
    assert {each.rule for each in found if each.rule in LOG_PATH_RULES} == expected
