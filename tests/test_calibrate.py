"""`trailcanary calibrate`: calls over a socket, looked for in delivered logs or in the event history."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from calibration_worlds import (
    MATCHED,
    Bucket,
    Edit,
    History,
    Waiting,
    calibrated,
    delivering,
    logs,
    measured,
    record_of,
    spoil,
    table,
)
from canary_worlds import START_US
from emit_worlds import ACCOUNTS, REGIONS, UNAUTHORIZED, config, served
from hypothesis import given
from hypothesis import strategies as st

from pipeline.__main__ import main
from pipeline.calibration_file import add_calibration, read_calibration
from pipeline.delivered_logs import DeliveredLogs
from pipeline.event_history import EventHistory
from pipeline.known_canaries import with_known
from pipeline.local_storage import LocalStorage
from pipeline.storages import open_storage
from schemas.calibration import Calibration, conditions_of
from schemas.canaries import Canary, Place
from schemas.errors import StorageError
from schemas.receipts import Outcome, Receipt
from schemas.times import MINUTE_US, SECOND_US, parse_duration_us
from transforms.calibration import merged, proposals_of, with_uncalibrated
from transforms.canary_search import Origin, Wanted, find_wanted

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@pytest.fixture
def hours() -> Waiting:
    """A minute past midnight."""
    return Waiting()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, hours: Waiting) -> Iterator[History]:
    """The server."""
    answers = History(hours, 4 * MINUTE_US)
    with served(answers, monkeypatch):
        yield answers


# In delivered logs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["AWSLogs", "trails/AWSLogs", "a/b/AWSLogs/o-abc123"])
def test_every_call_is_found(aws: History, hours: Waiting, tmp_path: Path, prefix: str) -> None:
    """In its region's file, with its code, after its delay; period and grace follow."""
    bucket = Bucket(tmp_path / "logs", prefix)
    delivering(aws, bucket, hours, after_us=7 * MINUTE_US)
    canaries, told = config(tmp_path, MATCHED).canaries, []
    finder = logs(bucket, hours, told)
    found = calibrated(canaries, hours, finder, told=told)
    assert len(aws.made()) == 4
    assert {(each.account_id, each.region) for each in found.calls} == {(a, r) for a in ACCOUNTS for r in REGIONS}
    late_us = hours.now_us - hours.start_us
    for each in found.calls:
        assert (each.logged, each.heard, each.carrier_present, each.unmet) == (True, True, True, ())
        assert (each.log_region, each.event_id) == (each.region, f"event-{each.account_id}-{each.region}")
        assert each.object_key is not None
        assert each.object_key.startswith(f"{bucket.folder}/{prefix}/{each.account_id}/CloudTrail/{each.region}/")
        assert each.delay_us == late_us
    assert 7 * MINUTE_US <= late_us < 9 * MINUTE_US
    assert hours.waits == sorted(hours.waits)  # ever longer, and not more often than that
    assert max(hours.waits) <= 2 * MINUTE_US
    assert [(each.period, each.grace, each.delays) for each in found.proposals] == [("10m", "15m", 4)]
    assert told[0] == "0 of 4 calls are in the log"
    assert told[-1] == "4 of 4 calls are in the log"
    text = table(found, canaries)
    assert 'period = "10m"\ngrace  = "15m"\n' in text
    assert text.count("present") == 4


def test_calls_that_are_not_logged(aws: History, hours: Waiting, tmp_path: Path) -> None:
    """One region's are not: waited for to the end and no longer, and the others are found."""
    bucket = Bucket(tmp_path / "logs")
    for region in REGIONS:
        bucket.put("999999999999", region, [], hours.now_us)

    def deliver() -> None:
        for request in aws.made():
            if request.place[1] == "us-east-1":
                bucket.put(*request.place, [record_of(aws, request)], hours.now_us)

    hours.deliver = deliver
    canaries = config(tmp_path, MATCHED).canaries
    finder = logs(bucket, hours)
    found = calibrated(canaries, hours, finder, wait_us=10 * MINUTE_US)
    assert hours.now_us - hours.start_us == 10 * MINUTE_US
    assert {(each.region, each.logged, each.delay_us is None) for each in found.calls} == {
        ("eu-west-1", False, True),
        ("us-east-1", True, False),
    }
    flagged = with_uncalibrated(canaries, found)
    assert flagged[0].uncalibrated == {Place("c", account, "eu-west-1") for account in ACCOUNTS}


def _without_parameters(record: dict[str, Any]) -> None:
    record["requestParameters"] = None


def _otherwise_refused(record: dict[str, Any]) -> None:
    record["errorCode"] = "Client.InvalidAMIID.NotFound"


def _elsewhere(record: dict[str, Any]) -> None:
    record["awsRegion"] = "eu-central-1"


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (_without_parameters, (False, (), "not heard: code")),
        (_otherwise_refused, (True, ("error_code",), "not heard: error_code")),
        (_elsewhere, (True, ("region",), "not heard: region")),
    ],
)
def test_logged_and_not_heard(
    aws: History, hours: Waiting, tmp_path: Path, edit: Edit, told: tuple[bool, tuple[str, ...], str]
) -> None:
    """The record is there, by its request id, and the job would not take it for the canary's: it says why."""
    carrier, unmet, says = told
    bucket = Bucket(tmp_path / "logs")
    delivering(aws, bucket, hours, edit)
    canaries = config(tmp_path, MATCHED).canaries
    found = calibrated(canaries, hours, logs(bucket, hours))
    assert {(each.logged, each.heard, each.carrier_present, each.unmet) for each in found.calls} == {
        (True, False, carrier, unmet)
    }
    assert found.proposals == ()
    assert says in table(found, canaries)
    assert len(with_uncalibrated(canaries, found)[0].uncalibrated) == 4


def test_found_by_its_code_alone(aws: History, hours: Waiting, tmp_path: Path) -> None:
    """Where the record has another request id; and nobody else's record is taken for it."""
    bucket = Bucket(tmp_path / "logs")

    def edit(record: dict[str, Any]) -> None:
        record["requestID"] = "another"
        if record["awsRegion"] == "us-east-1":
            record["recipientAccountId"] = record["userIdentity"]["accountId"] = "999999999999"

    delivering(aws, bucket, hours, edit)
    canaries = config(tmp_path, MATCHED).canaries
    finder = logs(bucket, hours)
    found = calibrated(canaries, hours, finder, wait_us=MINUTE_US)
    assert {(each.region, each.heard) for each in found.calls} == {("eu-west-1", True), ("us-east-1", False)}


@pytest.mark.usefixtures("aws")
def test_what_is_listed_and_what_cannot_be_read(hours: Waiting, tmp_path: Path) -> None:
    """Other accounts, other days and older objects are not read; an object that is none is told of, and no harm."""
    bucket, told = Bucket(tmp_path / "logs"), []
    bucket.put("999999999999", "eu-west-1", [], hours.now_us)
    bucket.put(ACCOUNTS[0], "eu-west-1", [], hours.now_us, "2026/10/30")
    bucket.put(ACCOUNTS[0], "eu-west-1", [], hours.now_us - 10 * MINUTE_US)
    for path in bucket.folder.rglob("*.gz"):
        spoil(path)
    canaries = config(tmp_path, MATCHED).canaries
    calibrated(canaries, hours, logs(bucket, hours, told), wait_us=MINUTE_US)
    assert told == []
    spoil(bucket.put(ACCOUNTS[0], "eu-west-1", [], hours.now_us))
    calibrated(canaries, hours, logs(bucket, hours, told), wait_us=MINUTE_US)
    assert {text.partition(".json.gz: ")[2].partition(":")[0] for text in told} == {"not_gzip"}


def test_an_input_without_accounts_is_listed_whole(aws: History, hours: Waiting, tmp_path: Path) -> None:
    """Log objects that somebody copied into one folder."""
    bucket = Bucket(tmp_path / "logs", "")
    delivering(aws, bucket, hours)
    canaries = config(tmp_path, MATCHED).canaries
    found = calibrated(canaries, hours, logs(bucket, hours))
    assert all(each.heard for each in found.calls)
    nowhere = DeliveredLogs([LocalStorage(str(tmp_path / "nowhere"))], hours.clock, [].append)
    before = len(aws.made())
    with pytest.raises(StorageError, match="nowhere"):
        calibrated(canaries, hours, nowhere)
    assert len(aws.made()) == before  # nothing is called that nobody could find


def test_a_bucket(s3: S3Client, s3_bucket: str) -> None:
    """Is listed side by side, by its accounts' dates."""
    canary = Canary("c", (ACCOUNTS[0],), (REGIONS[0],), 5 * MINUTE_US, MINUTE_US, None, ())
    receipt = Receipt(Place("c", ACCOUNTS[0], REGIONS[0]), 0, SECOND_US, "ec2:RunInstances", Outcome.REFUSED, "x", "id")
    record = {"eventTime": "1970-01-01T00:00:01Z", "requestID": "id", "awsRegion": REGIONS[0]}
    records = [record, record | {"recipientAccountId": ACCOUNTS[0]}]
    body = gzip.compress(json.dumps({"Records": records}).encode())
    for account, date in ((ACCOUNTS[0], "1970/01/01"), (ACCOUNTS[0], "1970/01/02"), (ACCOUNTS[1], "1970/01/01")):
        key = f"org/AWSLogs/o-abc/{account}/CloudTrail/{REGIONS[0]}/{date}/x.json.gz"
        s3.put_object(Bucket=s3_bucket, Key=key, Body=body)
    told: list[str] = []
    finder = DeliveredLogs([open_storage(f"s3://{s3_bucket}/org")], lambda: SECOND_US, told.append)
    finder.check()
    (found,) = finder.look([Wanted(canary, receipt, None)])
    assert (found.heard, found.carrier_present, found.unmet) == (True, None, ())
    assert found.origin.object_key.endswith(f"/{ACCOUNTS[0]}/CloudTrail/{REGIONS[0]}/1970/01/01/x.json.gz")
    assert list(finder.look([Wanted(canary, receipt, None)])) == []  # each object is read once
    assert told == []


def test_calls_that_were_not_made_are_not_waited_for(aws: History, hours: Waiting, tmp_path: Path) -> None:
    """A role that cannot be assumed; and one that is allowed stops its canary, and is looked for."""
    aws.code_of = lambda _: "AccessDenied"
    (tmp_path / "logs").mkdir()
    finder = DeliveredLogs([LocalStorage(str(tmp_path / "logs"))], hours.clock, [].append)
    canaries = config(tmp_path, MATCHED.replace('"canary"', '"nobody"')).canaries
    found = calibrated(canaries, hours, finder)
    assert {(each.outcome, each.logged, each.error_code) for each in found.calls} == {
        (Outcome.FAILED, False, "AssumeRole AccessDenied")
    }
    assert hours.waits == []
    assert "failed: AssumeRole AccessDenied" in table(found)


# In the event history ---------------------------------------------------------------------------------------------


def test_the_event_history(aws: History, hours: Waiting, tmp_path: Path) -> None:
    """Each account is asked as its role, in the call's region, no more than twice a second, page by page."""
    aws.pages = 3
    canaries = config(tmp_path, MATCHED).canaries
    found = calibrated(canaries, hours, EventHistory("canary", hours.clock, hours, [].append))
    assert all(each.heard and each.carrier_present and each.log_region == each.region for each in found.calls)
    assert {(account, region) for account, region, _ in aws.asked} == {(a, r) for a in ACCOUNTS for r in REGIONS}
    for account in ACCOUNTS:
        times = [at_us for asked, region, at_us in aws.asked if (asked, region) == (account, "us-east-1")]
        assert len(times) > 6
        assert all(later - earlier >= SECOND_US // 2 for earlier, later in pairwise(times))
    assert min(each.delay_us or 0 for each in found.calls) >= 4 * MINUTE_US
    asked = [each for each in aws.requests if each.service == "sts"]
    assert len(asked) == 4  # one session of each account to call, and one to ask


def test_a_history_that_refuses(aws: History, hours: Waiting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told, and asked again."""
    aws.refuses = True
    text = MATCHED.replace('role        = "canary"\n', "").replace(', "444455556666"', "")
    canaries, told = config(tmp_path, text).canaries, []
    history = EventHistory(None, hours.clock, hours, told.append)
    assert not any(each.logged for each in calibrated(canaries, hours, history, wait_us=MINUTE_US).calls)
    assert {"111122223333 us-east-1: LookupEvents ThrottlingException"} < set(told)
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDTRAIL", "http://127.0.0.1:9")
    told.clear()
    calibrated(canaries, hours, EventHistory(None, hours.clock, hours, told.append), wait_us=MINUTE_US)
    assert "111122223333 us-east-1: LookupEvents EndpointConnectionError" in told


# What follows -----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=20))
def test_proposals_leave_room(delays: list[int]) -> None:
    """A grace is twice the longest delay or more, and a period between five minutes and an hour; TOML takes both."""
    (proposal,) = proposals_of([measured(each, region=f"r{number}") for number, each in enumerate(delays)])
    period_us, grace_us = parse_duration_us(proposal.period), parse_duration_us(proposal.grace)
    assert 2 * max(delays) <= grace_us < max(2 * max(delays) + 5 * MINUTE_US, 16 * MINUTE_US)
    assert 5 * MINUTE_US <= period_us <= 60 * MINUTE_US
    assert (proposal.delays, proposal.longest_delay_us) == (len(delays), max(delays))


def test_a_call_that_was_not_heard_proposes_nothing() -> None:
    """Nor does one without a delay."""
    assert proposals_of([measured(heard=False), measured(None)]) == ()


def test_a_calibration_adds_to_the_earlier(tmp_path: Path) -> None:
    """The newest call of a place holds, others stay; in the lake, or in a file."""
    old, other, new = measured(1), measured(2, region="us-east-1"), measured(3, heard=False)
    role = measured(call="sts:AssumeRole")
    both = merged(Calibration((old, other), candidates=(old, role)), Calibration((new,), candidates=(new,)))
    assert both.calls == (new, other)
    assert both.candidates == (new, role)
    for uri in (str(tmp_path / "lake"), str(tmp_path / "x" / "found.json")):
        written = [add_calibration(uri, Calibration((each,), proposals_of([each]))) for each in (old, other, new)]
        assert set(written) == {uri if uri.endswith(".json") else f"{uri}/calibration.json"}
        text = json.loads(Path(written[0]).read_text())
        assert [call["heard"] for call in text["calls"]] == [False, True]
        assert text["proposals"][0]["grace"] == "15m"
    assert read_calibration(LocalStorage(str(tmp_path / "lake"))).calls == both.calls


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b'{"calls":[{}]}', b"[" * 5000])
def test_a_file_that_is_no_calibration_is_none(tmp_path: Path, text: bytes) -> None:
    """The job then flags every canary."""
    (tmp_path / "calibration.json").write_bytes(text)
    known = with_known(config(tmp_path, MATCHED), None, str(tmp_path))
    assert len(known.canaries[0].uncalibrated) == 4


def test_who_is_calibrated(tmp_path: Path) -> None:
    """A place whose call was heard, for as long as the canary asks the same; not what was declared since."""
    canaries = config(tmp_path, MATCHED).canaries
    bare = with_known(config(tmp_path, MATCHED), None, str(tmp_path / "none"))
    assert {place.account_id for place in bare.canaries[0].uncalibrated} == set(ACCOUNTS)
    (canary,) = canaries
    conditions = msgspec.structs.replace(canary, accounts=(), regions=()).fingerprint
    calls = tuple(
        measured(account_id=account, region=region, conditions=conditions) for account in ACCOUNTS for region in REGIONS
    )
    (kept,) = with_uncalibrated(canaries, Calibration(calls))
    assert kept.uncalibrated == frozenset()
    assert kept.fingerprint == canary.fingerprint
    slower = msgspec.structs.replace(canary, period_us=2 * canary.period_us)
    assert with_uncalibrated([slower], Calibration(calls))[0].uncalibrated == frozenset()
    wider = msgspec.structs.replace(canary, regions=(*REGIONS, "eu-north-1"))
    assert {each.region for each in with_uncalibrated([wider], Calibration(calls))[0].uncalibrated} == {"eu-north-1"}
    changed = msgspec.structs.replace(canary, match=canary.match[:1])
    assert len(with_uncalibrated([changed], Calibration(calls))[0].uncalibrated) == 4


@given(st.binary(max_size=200), st.sampled_from([b"%s", b'{"Records":[%s]}', b'{"Records":[{"eventTime":%s}]}']))
def test_hostile_bodies_hold_no_call(noise: bytes, shape: bytes) -> None:
    """Whatever stands around a request id: nothing is found that is no record of the account, and nothing crashes."""
    canary = Canary("c", (ACCOUNTS[0],), (REGIONS[0],), 5 * MINUTE_US, MINUTE_US, None, ())
    receipt = Receipt(Place("c", ACCOUNTS[0], REGIONS[0]), 1, 2, "ec2:RunInstances", Outcome.REFUSED, "x", "request-1")
    body = shape % (noise + b'"request-1"')
    assert list(find_wanted(body, Origin("k", None, 3), [Wanted(canary, receipt, None)])) == []


# The command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "name one of --input and --lookup"),
        (("--input", "logs", "--lookup"), "name one of --input and --lookup"),
        (("--input", "logs", "--lookup-role", "r"), "--lookup-role needs --lookup"),
        (("--input", "logs", "--wait", "soon"), "--wait soon: not a length of time"),
        (("--lookup", "--output", "gs://x/y.json"), "unknown scheme gs://"),
        (("--lookup", "--fast"), "unknown argument --fast"),
        (("--lookup", "--candidates", "s3:CreateBucket,iam:GetUser"), '--candidates "iam:GetUser": none of ec2:RunIns'),
    ],
)
def test_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], problem: str) -> None:
    """Exit code 2, and nothing is called."""
    config(tmp_path, MATCHED)
    (tmp_path / "c.toml").write_text(MATCHED)
    assert main(["calibrate", "--config", str(tmp_path / "c.toml"), *options]) == 2
    assert problem in capsys.readouterr().err


def test_the_command(aws: History, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Calls, looks once, prints JSON, adds to the lake, and says by its exit code that something was not heard."""
    config(tmp_path, MATCHED)
    (tmp_path / "c.toml").write_text(MATCHED)
    (tmp_path / "logs").mkdir()
    lake = tmp_path / "lake"
    options = ["--config", str(tmp_path / "c.toml"), "--input", str(tmp_path / "logs"), "--wait", "0s"]
    options += ["--candidates", "none"]
    assert main(["calibrate", *options, "--output", str(lake), "--json"]) == 1
    printed = capsys.readouterr()
    calls = json.loads(printed.out)["calls"]
    assert [call["logged"] for call in calls] == [False] * 4
    assert {call["error_code"] for call in calls} == {UNAUTHORIZED}
    assert f"trailcanary: written to {lake}/calibration.json" in printed.err
    assert len(read_calibration(LocalStorage(str(lake))).calls) == len(aws.made()) == 4


def test_alerts_say_who_was_never_calibrated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a silence and of a call that was allowed, from the lake's calibration; ids stay the same."""
    text = MATCHED.replace("[canary.code]", 'user_arn = "*"\n[canary.code]').replace(', "444455556666"', "")
    canaries = config(tmp_path, text).canaries
    (tmp_path / "c.toml").write_text(text)
    bucket = Bucket(tmp_path / "logs")
    record = {
        "eventTime": "2026-11-01T00:01:00Z",
        "eventName": "RunInstances",
        "eventID": "1",
        "awsRegion": "us-east-1",
        "recipientAccountId": ACCOUNTS[0],
        "userIdentity": {"arn": "arn:aws:sts::111122223333:assumed-role/canary/x"},
    }
    for minute in (5, 60):
        bucket.put(ACCOUNTS[0], "us-east-1", [record], START_US + minute * MINUTE_US)
    calls = tuple(measured(region=region, conditions=conditions_of(canaries[0])) for region in REGIONS)
    told = {}
    for name, kept in (("bare", ()), ("half", calls[:1]), ("whole", calls)):
        add_calibration(str(tmp_path / name), Calibration(kept))
        options = [
            "--input",
            str(bucket.folder),
            "--output",
            str(tmp_path / name),
            "--config",
            str(tmp_path / "c.toml"),
        ]
        assert main(["run", *options, "--as-of", "data", "--workers", "1", "--json"]) == 0
        alerts = json.loads(capsys.readouterr().out)["alerts"]
        told[name] = {
            alert["alert_id"]: (alert["kind"], alert["region"], "not calibrated" in alert["title"])
            for alert in alerts
            if alert["canary"] == "c"
        }
    assert told["bare"].keys() == told["half"].keys() == told["whole"].keys()
    assert {kind for kind, _, _ in told["bare"].values()} >= {"canary.missing", "canary.allowed"}
    assert {flag for _, _, flag in told["bare"].values()} == {True}
    assert {(region, flag) for _, region, flag in told["half"].values()} == {("eu-west-1", False), ("us-east-1", True)}
    assert {flag for _, _, flag in told["whole"].values()} == {False}
