"""`trailcanary calibrate` tries candidates: safe ones, where nobody listens, and proposes the best."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from calibration_worlds import MATCHED, Bucket, History, Waiting, calibrated, delivering, logs, measured, table
from emit_worlds import ACCOUNTS, REGIONS, UNAUTHORIZED, config, served

from pipeline.__main__ import main
from pipeline.calibrate import Finder
from pipeline.candidates import candidates_of, unsafe_calls
from pipeline.emit_calls import CALLS
from pipeline.event_history import EventHistory
from schemas.calibration import Calibration, Measured
from schemas.receipts import Outcome
from schemas.times import MINUTE_US
from transforms.calibration import proposals_of, with_uncalibrated


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


@pytest.mark.parametrize("history", [False, True])
def test_each_candidate_is_tried(aws: History, hours: Waiting, tmp_path: Path, *, history: bool) -> None:
    """In every account and region, with a code of its own: logged or not, where, with which fields, how late."""
    aws.code_of = lambda request: UNAUTHORIZED if request.service == "ec2" else "AccessDenied"
    bucket = Bucket(tmp_path / "logs")
    delivering(aws, bucket, hours)
    canaries = config(tmp_path, MATCHED).canaries
    finder: Finder = logs(bucket, hours)
    if history:
        finder = EventHistory("canary", hours.clock, hours, [].append)
    found = calibrated(canaries, hours, finder, candidates=tuple(CALLS))
    assert len(found.calls) == len(aws.made()) == 4
    everywhere = {(account, region) for account in ACCOUNTS for region in REGIONS}
    for service, call in (("s3", "s3:CreateBucket"), ("sts", "sts:AssumeRole")):
        tried = [each for each in found.candidates if each.call == call]
        assert {(each.account_id, each.region) for each in tried} == everywhere
        assert len(aws.made(service)) == len(tried) == 4
        for each in tried:
            assert (each.canary, each.outcome, each.log_error_code) == ("c", Outcome.REFUSED, "AccessDenied")
            assert (each.logged, each.heard, each.carrier_present, each.log_region) == (True, True, True, each.region)
            assert ("request_parameters" in each.fields, "error_message" in each.fields) == (
                service == "s3",
                service == "sts",
            )
            assert each.delay_us is not None
    tokens = {request.path for request in aws.made("s3")}
    assert len(tokens) == 4
    assert not any(request.sent["ClientToken"] in path for request in aws.made() for path in tokens)
    (proposal,) = found.proposals
    assert (proposal.call, proposal.configured, proposal.calls, proposal.delays) == ("ec2:RunInstances", True, 4, 4)
    text = table(found, canaries)
    assert text.count("ec2:RunInstances *") == text.count("s3:CreateBucket ") == text.count("sts:AssumeRole ") == 4
    assert "c: ec2:RunInstances is heard in 4 of 4 places, after" in text
    assert "[canary.emit]" not in text


def test_a_candidate_that_is_better_is_proposed(aws: History, hours: Waiting, tmp_path: Path) -> None:
    """Where the canary's own call is not heard: with the lines that make it the canary's, and they can be read."""
    aws.code_of = lambda request: UNAUTHORIZED if request.service == "ec2" else "AccessDenied"
    bucket = Bucket(tmp_path / "logs")

    def drop(record: dict[str, Any]) -> None:
        if record["eventName"] == "RunInstances":
            record["requestParameters"] = None
        if record["eventName"] == "AssumeRole":
            record["errorMessage"] = "no"

    delivering(aws, bucket, hours, drop)
    canaries = config(tmp_path, MATCHED).canaries
    finder = logs(bucket, hours)
    found = calibrated(canaries, hours, finder, candidates=tuple(CALLS))
    assert {(each.call, each.logged, each.heard, each.carrier_present) for each in found.candidates} == {
        ("s3:CreateBucket", True, True, True),
        ("sts:AssumeRole", True, False, False),
    }
    assert len(with_uncalibrated(canaries, found)[0].uncalibrated) == 4  # a candidate's proof is not the canary's
    proposed = table(found, canaries).partition("# c: s3:CreateBucket is heard in 4 of 4 places")[2]
    lines = proposed[proposed.index("\n") :]
    head = MATCHED[: MATCHED.index("period")]
    text = head + lines.replace("[canary.code]", '[canary.code]\nsecret_file = "key"') + 'role = "canary"\n'
    (changed,) = config(tmp_path, text).canaries
    assert changed.emission is not None
    assert changed.emission.call == "s3:CreateBucket"
    again = calibrated((changed,), hours, logs(bucket, hours), wait_us=0)
    assert {each.outcome for each in again.calls} == {Outcome.REFUSED}


def test_unsafe_calls_are_not_made(tmp_path: Path) -> None:
    """One reason to fail is not enough: without a role that has no rights only a dry run of no image has two."""
    alone = MATCHED.replace('role        = "canary"\n', "").replace(', "444455556666"', "")
    canaries = config(tmp_path, alone).canaries
    candidates = candidates_of(canaries, tuple(CALLS))
    assert candidates.trials == ()
    assert candidates.unsafe == (
        "c: s3:CreateBucket has only one reason to fail (S3 refuses its location), and two are needed: "
        "name a role that has no rights",
        "c: sts:AssumeRole has only one reason to fail (its role does not exist), and two are needed: "
        "name a role that has no rights",
    )
    assert unsafe_calls(canaries) == []
    imaged = config(tmp_path, alone + '[canary.emit.parameters]\nImageId = "ami-1"').canaries
    assert unsafe_calls(imaged) == [
        "c: ec2:RunInstances has only one reason to fail (it is a dry run), and two are needed: "
        "name a role that has no rights"
    ]
    assert unsafe_calls(config(tmp_path, MATCHED + '[canary.emit.parameters]\nImageId = "ami-1"').canaries) == []


def test_nobody_is_imitated(tmp_path: Path) -> None:
    """Where a declared canary listens for such calls a candidate without its code would be called forged."""
    other = (
        MATCHED.replace('"c"', '"d"')
        .replace('event_name = "RunInstances"', 'event_name = "Create*"')
        .replace('["eu-west-1", "us-east-1"]', '["us-east-1"]')
        .partition("[canary.emit]")[0]
    )
    candidates = candidates_of(config(tmp_path, MATCHED + other).canaries, tuple(CALLS))
    assert {
        (trial.canary.emission.call, trial.canary.regions) for trial in candidates.trials if trial.canary.emission
    } == {
        ("s3:CreateBucket", ("eu-west-1",)),
        ("sts:AssumeRole", REGIONS),
    }
    assert candidates.heeded == ("c: s3:CreateBucket is not tried in us-east-1: d listens",)


def test_a_candidate_that_is_allowed(aws: History, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is told loudly, and is the command's exit code; the canary itself goes on."""
    aws.code_of = lambda request: "InvalidLocationConstraint" if request.service == "s3" else "AccessDenied"
    config(tmp_path, MATCHED)
    (tmp_path / "c.toml").write_text(MATCHED)
    (tmp_path / "logs").mkdir()
    options = ["--config", str(tmp_path / "c.toml"), "--input", str(tmp_path / "logs"), "--wait", "0s"]
    options += ["--receipts", str(tmp_path / "receipts")]
    assert main(["calibrate", *options, "--json"]) == 1
    printed = capsys.readouterr()
    assert "THIS CALL MUST BE REFUSED AND WAS NOT" in printed.err
    allowed = [each for each in json.loads(printed.out)["candidates"] if each["outcome"] == "allowed"]
    assert {(each["call"], each["error_code"]) for each in allowed} == {
        ("s3:CreateBucket", "InvalidLocationConstraint")
    }
    assert len(list((tmp_path / "receipts" / "stopped").iterdir())) == 1
    assert main(["emit", "--once", *options[:2], *options[-2:]]) == 0
    asked = len(aws.made("s3"))
    assert main(["calibrate", *options]) == 1  # a candidate's mark holds for it too
    assert len(aws.made("s3")) == asked


def test_a_call_that_succeeded_has_no_error() -> None:
    """What it answered is one word."""
    tried = Calibration((measured(outcome=Outcome.ALLOWED, heard=False),))
    assert " allowed " in table(tried)
    assert "None" not in table(tried)


def test_the_best_call() -> None:
    """Heard in most places; of equals the configured one, else the one that comes soonest."""

    def best(own: list[Measured], others: list[Measured]) -> tuple[str, bool, int, int]:
        (proposal,) = proposals_of(own, others)
        return proposal.call, proposal.configured, proposal.delays, proposal.calls

    west, east = measured(), measured(region="us-east-1")
    bucket = [measured(call="s3:CreateBucket", delay_us=1), measured(call="s3:CreateBucket", region="us-east-1")]
    role = [
        measured(call="sts:AssumeRole", delay_us=2),
        measured(call="sts:AssumeRole", delay_us=3, region="us-east-1"),
    ]
    assert best([west, east], [*bucket, *role]) == ("ec2:RunInstances", True, 2, 2)
    assert best([west, measured(heard=False, region="us-east-1")], bucket) == ("s3:CreateBucket", False, 2, 2)
    assert best([measured(heard=False)], [*bucket, *role]) == ("sts:AssumeRole", False, 2, 2)
