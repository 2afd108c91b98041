"""`trailcanary emit`: calls over a socket, to a server that answers as AWS does; refused, allowed and broken."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from canary_worlds import FIRST, PERIOD_US, START_US
from emit_worlds import ACCOUNTS, CANARY, DRY_RUN, REGIONS, SECRET, UNAUTHORIZED, Aws, Hours, Inline, config, served

from pipeline.emit import Emitter
from pipeline.emit_calls import outcome_of
from pipeline.emit_log import EmitLog
from pipeline.emit_receipts import Receipts
from pipeline.emit_sender import Sender
from pipeline.local_storage import LocalStorage
from schemas.canaries import Canary, Place
from schemas.errors import StorageError, UsageError
from schemas.receipts import Outcome, Receipt
from schemas.times import MINUTE_US, SECOND_US
from transforms.canary_codes import make_code


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """The server."""
    answers = Aws()
    with served(answers, monkeypatch):
        yield answers


class Heard:
    """Calls without a network: `outcomes` says what becomes of a place's."""

    def __init__(self, clock: Callable[[], int], outcomes: Callable[[Place], Outcome]) -> None:
        self._clock = clock
        self._outcomes = outcomes
        self.made: list[tuple[Place, int, int]] = []

    def send(self, _canary: Canary, place: Place, slot: int) -> Receipt:
        """Noted."""
        at_us = self._clock()
        self.made.append((place, slot, at_us))
        return Receipt(place, slot, at_us, "ec2:RunInstances", self._outcomes(place), "code", "request")


def problems_of(tmp_path: Path, text: str) -> str:
    """What is wrong with a configuration."""
    with pytest.raises(UsageError) as caught:
        config(tmp_path, text)
    return "\n".join(caught.value.problems)


def emitter(
    canaries: tuple[Canary, ...], hours: Hours, calls: Any = None, receipts: Path | None = None
) -> tuple[Emitter, io.StringIO]:
    """An emitter by that clock, and its log."""
    out = io.StringIO()
    kept = Receipts(None if receipts is None else LocalStorage(str(receipts)), canaries)
    made = calls or Sender(hours.clock)
    chance = random.Random(7)  # noqa: S311 - must repeat
    log = EmitLog(out, hours.clock)
    if calls is None:  # over a socket: with threads
        return Emitter(canaries, made, kept, log=log, clock=hours.clock, chance=chance), out
    return Emitter(canaries, made, kept, log=log, clock=hours.clock, chance=chance, pool=Inline), out


def lines(folder: Path) -> list[dict[str, Any]]:
    """All receipts, in order of place."""
    found = [json.loads(line) for path in folder.glob("2*/*.jsonl") for line in path.read_bytes().splitlines()]
    return sorted(found, key=lambda line: (line["at"], line["account_id"], line["region"]))


def events(out: io.StringIO) -> list[dict[str, Any]]:
    """The log."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


# Over a socket ----------------------------------------------------------------------------------------------------


def test_once_calls_everywhere_with_the_code_of_the_slot(aws: Aws, tmp_path: Path) -> None:
    """As the role of each account, in each region; every call refused, with a receipt, and exit code 0."""
    canaries = config(tmp_path).canaries
    hours = Hours()
    maker, out = emitter(canaries, hours, receipts=tmp_path / "receipts")
    assert maker.once(hours) == 0
    made = {each.place: each.sent for each in aws.made()}
    assert made.keys() == {(account, region) for account in ACCOUNTS for region in REGIONS}
    assert len(aws.made()) == 4
    for (account, region), sent in made.items():
        assert sent["ClientToken"] == "tc-" + make_code(SECRET, Place("c", account, region), PERIOD_US, FIRST)
        assert (sent["Action"], sent["DryRun"], sent["MaxCount"]) == ("RunInstances", "true", "1")
    assumed = [each.sent for each in aws.requests if each.service == "sts"]
    assert sorted(each["RoleArn"] for each in assumed) == [
        f"arn:aws:iam::{account}:role/canary" for account in ACCOUNTS
    ]
    assert {(each["RoleSessionName"], each["ExternalId"]) for each in assumed} == {("trailcanary", "tc")}
    first, *_ = receipts = lines(tmp_path / "receipts")
    assert len(receipts) == 4
    assert first | {"request_id": ""} == {
        "at": "2026-11-01T00:01:00Z",
        "canary": "c",
        "account_id": "111122223333",
        "region": "eu-west-1",
        "slot": FIRST,
        "slot_start": "2026-11-01T00:00:00Z",
        "call": "ec2:RunInstances",
        "outcome": "refused",
        "error_code": UNAUTHORIZED,
        "request_id": "",
    }
    assert all(re.fullmatch(r"request-\d+", receipt["request_id"]) for receipt in receipts)
    assert events(out) == [{"at": "2026-11-01T00:01:00Z", "event": "emitted", "refused": 4, "allowed": 0, "failed": 0}]


@pytest.mark.parametrize("code", [DRY_RUN, None])
def test_a_call_that_is_not_refused_stops_its_canary(aws: Aws, tmp_path: Path, code: str | None) -> None:
    """Loudly, with exit code 1, and for good: until somebody removes the mark beside the receipts."""
    aws.code_of = lambda request: code if request.place == (ACCOUNTS[0], REGIONS[0]) else UNAUTHORIZED
    canaries, hours, folder = config(tmp_path).canaries, Hours(), tmp_path / "receipts"
    maker, out = emitter(canaries, hours, receipts=folder)
    assert maker.once(hours) == 1
    (mark,) = (folder / "stopped").iterdir()
    (told,) = [line for line in events(out) if line["event"] == "canary_allowed"]
    assert (told["severity"], told["canary"], told["account_id"]) == ("critical", "c", ACCOUNTS[0])
    assert told["text"] == f"THIS CALL MUST BE REFUSED AND WAS NOT; the canary is stopped until {mark} is removed"
    assert "allowed" in {line["outcome"] for line in lines(folder)}

    before = len(aws.requests)
    again, out = emitter(canaries, hours, receipts=folder)
    assert again.once(hours) == 1
    assert len(aws.requests) == before
    assert [line["event"] for line in events(out)] == ["canary_stopped", "emitted"]
    mark.unlink()
    aws.code_of = lambda _: UNAUTHORIZED
    assert emitter(canaries, hours, receipts=folder)[0].once(hours) == 0


@pytest.mark.parametrize(
    ("code", "status"), [("InvalidAMIID.NotFound", 400), ("AuthFailure", 401), ("OptInRequired", 401)]
)
def test_a_call_that_fails_is_told(aws: Aws, tmp_path: Path, code: str, status: int) -> None:
    """It is no refusal, and its slot may stay empty: exit code 1, and the canary goes on."""
    aws.code_of, aws.status = lambda _: code, status
    hours = Hours()
    maker, out = emitter(config(tmp_path).canaries, hours, receipts=tmp_path / "receipts")
    assert maker.once(hours) == 1
    assert {(line["outcome"], line["error_code"]) for line in lines(tmp_path / "receipts")} == {("failed", code)}
    assert [line["event"] for line in events(out)] == ["canary_failed"] * 4 + ["emitted"]
    assert not (tmp_path / "receipts" / "stopped").exists()


def test_a_role_that_cannot_be_assumed_fails(aws: Aws, tmp_path: Path) -> None:
    """A refusal of the wrong call is none."""
    aws.code_of = lambda _: "AccessDenied"
    hours = Hours()
    text = CANARY.replace('"canary"', '"path/nobody"')
    maker, _ = emitter(config(tmp_path, text).canaries, hours, receipts=tmp_path / "receipts")
    assert maker.once(hours) == 1
    assert aws.made("ec2") == []
    found = {(line["outcome"], line["error_code"], line["request_id"]) for line in lines(tmp_path / "receipts")}
    assert found == {("failed", "AssumeRole AccessDenied", None)}


@pytest.mark.usefixtures("aws")
def test_nobody_who_answers_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No endpoint, no credentials, no secret: each is told by its name."""
    hours, place = Hours(), Place("c", *("111122223333", "eu-west-1"))
    own = CANARY.replace('role        = "canary"\n', "").replace(', "444455556666"', "")
    (canary,) = config(tmp_path, own).canaries
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)  # between attempts
    assert Sender(hours.clock).send(canary, place, FIRST).error_code == "EndpointConnectionError"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    assert Sender(hours.clock).send(canary, place, FIRST).error_code == "NoCredentials"


@pytest.mark.parametrize("carrier", ["session_name", "user_agent"])
def test_carriers_that_every_call_has(aws: Aws, tmp_path: Path, carrier: str) -> None:
    """The name of the session, which is then of that call alone; or a word of the user agent."""
    text = CANARY.replace("request_parameters.clientToken", carrier)
    hours = Hours()
    assert emitter(config(tmp_path, text).canaries, hours)[0].once(hours) == 0
    tokens = {
        (account, region): "tc-" + make_code(SECRET, Place("c", account, region), PERIOD_US, FIRST)
        for account in ACCOUNTS
        for region in REGIONS
    }
    assert all(each.sent["ClientToken"].startswith("trailcanary-") for each in aws.made())
    if carrier == "user_agent":
        assert {each.place: each.agent.split()[-1] for each in aws.made()} == tokens
    else:
        names = [each.sent["RoleSessionName"] for each in aws.requests if each.service == "sts"]
        assert sorted(names) == sorted(tokens.values())


def test_other_calls(aws: Aws, tmp_path: Path) -> None:
    """A bucket whose name is the token, where S3 makes none; a role whose name is."""
    aws.code_of = lambda _: "AccessDenied"
    bucket = CANARY.replace('role        = "canary"', 'role = "canary"\ncall = "s3:CreateBucket"').replace(
        "request_parameters.clientToken", "request_parameters.bucketName"
    )
    role = (
        bucket.replace("s3:CreateBucket", "sts:AssumeRole")
        .replace('"c"', '"d"')
        .replace("request_parameters.bucketName", "error_message")
    )
    hours = Hours()
    assert emitter(config(tmp_path, bucket + role).canaries, hours)[0].once(hours) == 0
    for request in aws.made("s3"):
        token = "tc-" + make_code(SECRET, Place("c", *request.place), PERIOD_US, FIRST)
        assert request.path == f"/{token}"
        assert "<LocationConstraint>us-east-1<" in request.body
    for request in aws.made("sts"):
        token = "tc-" + make_code(SECRET, Place("d", *request.place), PERIOD_US, FIRST)
        assert request.sent["RoleArn"] == f"arn:aws:iam::{request.place[0]}:role/{token}"
    assert (len(aws.made("s3")), len(aws.made("sts"))) == (4, 4)


def test_a_canary_without_a_code_has_a_token_of_chance(aws: Aws, tmp_path: Path) -> None:
    """With the prefix of the documentation; and parameters of the user's own."""
    head, _, tail = CANARY.partition("[canary.code]")
    text = head + tail[tail.index("[canary.emit]") :] + '[canary.emit.parameters]\nImageId = "ami-0123456789abcdef0"'
    hours = Hours()
    assert emitter(config(tmp_path, text).canaries, hours)[0].once(hours) == 0
    tokens = {each.sent["ClientToken"] for each in aws.made()}
    assert len(tokens) == 4
    assert all(re.fullmatch(r"tc-[a-z2-7]{32}", token) for token in tokens)
    assert {each.sent["ImageId"] for each in aws.made()} == {"ami-0123456789abcdef0"}


def test_sessions_are_kept_and_renewed(aws: Aws, tmp_path: Path) -> None:
    """One session of an account for all its regions and slots, until it is about to end."""
    hours = Hours(end_us=START_US + 50 * MINUTE_US)
    assert emitter(config(tmp_path).canaries, hours, Sender(hours.clock))[0].every(hours) == 0
    assert len(aws.made()) == pytest.approx(40, abs=4)
    assert len([each for each in aws.requests if each.service == "sts"]) == 2
    hours.end_us = START_US + 70 * MINUTE_US  # the server's sessions end at one o'clock
    assert emitter(config(tmp_path).canaries, hours, Sender(hours.clock))[0].every(hours) == 0
    assert len([each for each in aws.requests if each.service == "sts"]) > 4


def test_threads_do_not_mix_up_accounts(aws: Aws, tmp_path: Path) -> None:
    """Each call is signed by its own account's role and carries its own code."""
    accounts = ", ".join(f'"{number:012}"' for number in range(40))
    canaries = config(tmp_path, CANARY.replace('"111122223333", "444455556666"', accounts)).canaries
    hours = Hours()
    assert emitter(canaries, hours)[0].once(hours) == 0
    assert len({each.place for each in aws.made()}) == len(aws.made()) == 80
    for each in aws.made():
        assert each.sent["ClientToken"] == "tc-" + make_code(SECRET, Place("c", *each.place), PERIOD_US, FIRST)
    assert len([each for each in aws.requests if each.service == "sts"]) == 40


# Slot by slot -----------------------------------------------------------------------------------------------------


def refused(_: Place) -> Outcome:
    """As it must be."""
    return Outcome.REFUSED


@pytest.mark.parametrize("start_us", [START_US, START_US + 1, START_US + 2 * MINUTE_US, START_US + PERIOD_US - 1])
def test_every_slot_has_one_call_away_from_its_ends(tmp_path: Path, start_us: int) -> None:
    """From the slot that goes on, where there is still time for it, and at times of chance."""
    hours = Hours(start_us, START_US + 3 * 12 * PERIOD_US)
    calls = Heard(hours.clock, refused)
    assert emitter(config(tmp_path).canaries, hours, calls)[0].every(hours) == 0
    for place in {place for place, _, _ in calls.made}:
        slots = [slot for made, slot, _ in calls.made if made == place]
        assert slots == sorted(set(slots))
        assert set(range(FIRST + 1, FIRST + 35)) <= set(slots)
    offsets = [at_us % PERIOD_US for _, _, at_us in calls.made]
    assert all(30 * SECOND_US <= offset <= PERIOD_US - 30 * SECOND_US for offset in offsets)
    assert len(set(offsets)) > 100
    assert all(slot == at_us // PERIOD_US for _, slot, at_us in calls.made)


@pytest.mark.parametrize("every_us", [MINUTE_US, 10 * MINUTE_US])
def test_a_span_of_its_own(tmp_path: Path, every_us: int) -> None:
    """`--every 1m` makes more calls than there are slots, `--every 10m` fewer."""
    hours = Hours(START_US, START_US + 60 * MINUTE_US)
    calls = Heard(hours.clock, refused)
    emitter(config(tmp_path).canaries, hours, calls)[0].every(hours, every_us)
    assert len(calls.made) == pytest.approx(4 * 60 * MINUTE_US // every_us, abs=4)
    assert all(6 * SECOND_US <= at_us % PERIOD_US <= PERIOD_US - 6 * SECOND_US for _, _, at_us in calls.made)


@pytest.mark.parametrize("start_us", [START_US - 1, START_US, START_US + PERIOD_US - 4 * SECOND_US])
def test_once_keeps_away_from_the_ends_of_a_slot(tmp_path: Path, start_us: int) -> None:
    """Cron calls on the minute: AWS's clock may still be in the slot before."""
    hours = Hours(start_us)
    calls = Heard(hours.clock, refused)
    assert emitter(config(tmp_path).canaries, hours, calls)[0].once(hours) == 0
    assert {at_us % PERIOD_US for _, _, at_us in calls.made} == {5 * SECOND_US}


def test_once_can_be_spread(tmp_path: Path) -> None:
    """Over some time, from now on."""
    hours = Hours()
    calls = Heard(hours.clock, refused)
    emitter(config(tmp_path).canaries, hours, calls)[0].once(hours, 2 * MINUTE_US)
    times = [at_us - START_US - MINUTE_US for _, _, at_us in calls.made]
    assert len(set(times)) == 4
    assert max(times) < 2 * MINUTE_US


def test_a_stopped_canary_is_stopped_alone(tmp_path: Path) -> None:
    """The others go on; without any left, the emitter ends, with exit code 1."""
    text = CANARY + CANARY.replace('"c"', '"d"')
    canaries = config(tmp_path, text).canaries
    hours = Hours(START_US, START_US + 12 * PERIOD_US)
    calls = Heard(hours.clock, lambda place: Outcome.ALLOWED if place.canary == "c" else Outcome.REFUSED)
    assert emitter(canaries, hours, calls)[0].every(hours) == 1
    names = [place.canary for place, _, _ in calls.made]
    assert 1 <= names.count("c") <= 4
    assert names.count("d") > 40

    hours = Hours(START_US)
    maker, out = emitter(canaries, hours, Heard(hours.clock, lambda _: Outcome.ALLOWED))
    assert maker.every(hours) == 1
    assert hours.now_us < START_US + 2 * PERIOD_US
    assert "the canary is stopped in this process" in out.getvalue()


def test_receipts_are_written_every_minute_and_at_the_end(tmp_path: Path) -> None:
    """Each once, in files that no other emitter writes."""
    hours = Hours(START_US, START_US + 6 * PERIOD_US)
    calls = Heard(hours.clock, refused)
    emitter(config(tmp_path).canaries, hours, calls, tmp_path / "receipts")[0].every(hours)
    assert len(lines(tmp_path / "receipts")) == len(calls.made) > 20
    assert len(list((tmp_path / "receipts").glob("2026-11-01/*.jsonl"))) > 10


class Broken(LocalStorage):
    """A folder that refuses to be written."""

    def write(self, path: str, body: bytes | memoryview) -> None:
        """No."""
        raise StorageError(path, f"no room for {len(body)} bytes")


def test_receipts_that_cannot_be_written(tmp_path: Path) -> None:
    """Calls go on and it is told; what is still unwritten in the end is an error."""
    canaries, hours, out = config(tmp_path).canaries, Hours(START_US, START_US + 2 * PERIOD_US), io.StringIO()
    calls = Heard(hours.clock, refused)
    maker = Emitter(
        canaries,
        calls,
        Receipts(Broken(str(tmp_path)), canaries),
        log=EmitLog(out, hours.clock),
        clock=hours.clock,
        chance=random.Random(7),  # noqa: S311 - must repeat
        pool=Inline,
    )
    with pytest.raises(StorageError, match="no room for"):
        maker.every(hours)
    assert len(calls.made) >= 8
    assert "receipts_unwritten" in {line["event"] for line in events(out)}


def test_a_bug_is_not_swallowed(tmp_path: Path) -> None:
    """What a thread raises comes out."""
    hours = Hours()

    def broken(place: Place) -> Outcome:
        raise AssertionError(place)

    with pytest.raises(AssertionError):
        emitter(config(tmp_path).canaries, hours, Heard(hours.clock, broken))[0].once(hours)


# Configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("role        =", "roll =", 'canary "c": emit: unknown key "roll" (did you mean "role"?)'),
        ('role        = "canary"\n', "", 'canary "c": emit: role is missing: calls in several accounts need a role'),
        ('"canary"', '"arn:aws:iam::111122223333:role/canary"', "is not the name of a role (not its ARN)"),
        ('"tc"', '"tc"\ncall = "ec2:StopEverything"', 'call: "ec2:StopEverything" is none of ec2:RunInstances, s3:Cr'),
        ('"tc"', '"tc"\ncall = "s3:CreateBucket"', 's3:CreateBucket cannot carry a code in "request_parameters.clie'),
        ('"tc"', '"tc"\nparameters = { DryRun = false }', "parameters: DryRun is the canary's own"),
        ('"tc"', '"tc"\nparameters = { ImageId = 2026-01-01T00:00:00 }', None),
        ('"tc"', '"tc"\nparameters = 1', "emit: parameters must be a table, not an integer"),
        ("[canary.emit]\n", "[canary.emit.x]\n", 'emit: unknown key "x"'),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, right: str, wrong: str, problem: str | None) -> None:
    """With its place; nothing can make the call a harmful one."""
    assert right in CANARY
    text = CANARY.replace(right, wrong, 1)
    if problem is None:
        assert config(tmp_path, text).canaries[0].emission is not None
    else:
        assert problem in problems_of(tmp_path, text)


def test_an_empty_table_makes_the_default_call(tmp_path: Path) -> None:
    """In the emitter's own account, with its own credentials."""
    text = CANARY[: CANARY.index("role ")].replace(', "444455556666"', "")
    emission = config(tmp_path, text).canaries[0].emission
    assert emission is not None
    assert (emission.call, emission.role) == ("ec2:RunInstances", None)
    named = text.replace("request_parameters.clientToken", "session_name")
    assert "role is missing: a session that carries a code" in problems_of(tmp_path, named)


def test_nothing_to_emit_is_a_mistake(tmp_path: Path) -> None:
    """Of usage."""
    text = CANARY[: CANARY.index("[canary.emit]")]
    with pytest.raises(UsageError, match=r"no canary has a \[canary.emit\]"):
        emitter(config(tmp_path, text).canaries, Hours())


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (None, Outcome.ALLOWED),
        ("DryRunOperation", Outcome.ALLOWED),
        ("UnauthorizedOperation", Outcome.REFUSED),
        ("AccessDenied", Outcome.REFUSED),
        ("AccessDeniedException", Outcome.REFUSED),
        ("RequestLimitExceeded", Outcome.FAILED),
        ("AuthFailure", Outcome.FAILED),
    ],
)
def test_what_an_error_code_says(code: str | None, outcome: Outcome) -> None:
    """Only a lack of rights is a refusal."""
    assert outcome_of(code) is outcome
