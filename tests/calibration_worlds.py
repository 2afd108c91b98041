"""A world for calibrations: AWS with an event history, a clock, and a bucket that CloudTrail delivers to."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emit_worlds import ACCOUNTS, CANARY, REGIONS, Aws, Hours, Request

from pipeline.calibrate import Calibrator, Finder, NotedCalls
from pipeline.calibration_table import print_calibration
from pipeline.candidates import candidates_of, own_trials
from pipeline.delivered_logs import DeliveredLogs
from pipeline.emit import Emitter
from pipeline.emit_log import EmitLog
from pipeline.emit_receipts import Receipts
from pipeline.emit_sender import Sender
from pipeline.local_storage import LocalStorage
from schemas.calibration import Calibration, Measured
from schemas.canaries import Canary
from schemas.receipts import Outcome
from schemas.times import MINUTE_US, format_us

MATCHED = CANARY.replace('event_name = "RunInstances"', 'event_name = "RunInstances"\nerror_code = "Client.Unauth*"')
DAY = "2026/11/01"
Edit = Callable[[dict[str, Any]], None]


class History(Aws):
    """Answers `LookupEvents` too: with the records of calls that are `age_us` old."""

    def __init__(self, hours: Hours, age_us: int) -> None:
        super().__init__()
        self.hours = hours
        self.age_us = age_us
        self.asked: list[tuple[str, str, int]] = []
        self.pages = 1
        self.refuses = False

    def answer(self, request: Request) -> tuple[int, str]:
        """The history of the signer's account and the region; of several pages the last has the events."""
        if request.service != "cloudtrail":
            return super().answer(request)
        self.asked.append((*request.place, self.hours.now_us))
        question = json.loads(request.body)
        (attribute,) = question["LookupAttributes"]
        assert attribute["AttributeKey"] == "EventName"
        if self.refuses:
            return 400, '{"__type":"ThrottlingException"}'
        page = int(question.get("NextToken", "1"))
        if page < self.pages:
            return 200, json.dumps({"Events": [{"CloudTrailEvent": "{}"}], "NextToken": str(page + 1)})
        old = self.hours.now_us - self.hours.start_us >= self.age_us
        records = [record_of(self, each) for each in self.calls() if old and each.place == request.place]
        ours = [each for each in records if each["eventName"] == attribute["AttributeValue"]]
        return 200, json.dumps({"Events": [{"CloudTrailEvent": json.dumps(each)} for each in ours]})

    def calls(self) -> list[Request]:
        """Calls of canaries, and those that might have been theirs."""
        return [*self.made(), *self.made("s3"), *self.made("sts")]


class Waiting(Hours):
    """A clock; `deliver` is called after each wait."""

    def __init__(self, deliver: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.start_us = self.now_us
        self.deliver = deliver
        self.waits: list[int] = []

    def wait(self, length_us: int) -> None:
        """Time passes, and things happen."""
        super().wait(length_us)
        self.waits.append(length_us)
        self.deliver()


def record_of(aws: Aws, request: Request) -> dict[str, Any]:
    """What CloudTrail makes of a call."""
    account, region = request.place
    arn = f"arn:aws:sts::{account}:assumed-role/canary/trailcanary"
    own: dict[str, Any] = {"errorCode": "AccessDenied", "requestParameters": None}
    match request.service:
        case "ec2":
            own["errorCode"] = "Client.UnauthorizedOperation"
            own["requestParameters"] = {"clientToken": request.sent["ClientToken"], "instanceType": "t3.nano"}
        case "s3":
            own["requestParameters"] = {"bucketName": request.path.strip("/"), "Host": f"s3.{region}.amazonaws.com"}
        case "sts":
            own["errorMessage"] = f"{arn} is not authorized to perform: sts:AssumeRole on {request.sent['RoleArn']}"
    return own | {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "arn": arn, "accountId": account},
        "eventTime": "2026-11-01T00:01:00Z",
        "eventSource": f"{request.service}.amazonaws.com",
        "eventName": {"ec2": "RunInstances", "s3": "CreateBucket", "sts": "AssumeRole"}[request.service],
        "awsRegion": region,
        "requestID": f"request-{aws.requests.index(request) + 1}",
        "eventID": f"event-{account}-{region}",
        "eventType": "AwsApiCall",
        "recipientAccountId": account,
    }


class Bucket:
    """A folder that CloudTrail delivers to."""

    def __init__(self, folder: Path, prefix: str = "trails/AWSLogs") -> None:
        self.folder = folder
        self.prefix = prefix
        folder.mkdir()

    def put(self, account: str, region: str, records: list[dict[str, Any]], at_us: int, day: str = DAY) -> Path:
        """An object, there since `at_us`."""
        stamp = format_us(at_us)[:16].replace("-", "").replace(":", "") + "Z"
        name = f"{account}_CloudTrail_{region}_{stamp}_{len(list(self.folder.rglob('*.gz')))}.json.gz"
        path = self.folder / self.prefix / account / "CloudTrail" / region / day / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(json.dumps({"Records": records}).encode()))
        os.utime(path, ns=(at_us * 1000, at_us * 1000))
        return path


def spoil(path: Path) -> None:
    """Make it an object that cannot be read, as old as it is."""
    status = path.stat()
    path.write_bytes(b"no gzip")
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def logs(bucket: Bucket, hours: Hours, told: Any = None) -> DeliveredLogs:
    """Where to look for calls: what that bucket has."""
    tell = [].append if told is None else told.append
    return DeliveredLogs([LocalStorage(str(bucket.folder))], hours.clock, tell)


def calibrated(
    canaries: tuple[Canary, ...],
    hours: Hours,
    finder: Finder,
    *,
    wait_us: int = 30 * MINUTE_US,
    told: Any = None,
    candidates: tuple[str, ...] = (),
) -> Calibration:
    """A calibration by that clock, of the canaries' own calls and those candidates."""
    trials = (*own_trials(canaries), *candidates_of(canaries, candidates).trials)
    canaries = tuple(trial.canary for trial in trials)
    calls = NotedCalls(Sender(hours.clock))
    chance = random.Random(7)  # noqa: S311 - must repeat
    kept, log = Receipts(None, canaries), EmitLog(io.StringIO(), hours.clock)
    emitter = Emitter(canaries, calls, kept, log=log, clock=hours.clock, chance=chance)
    tell = [].append if told is None else told.append
    return Calibrator(trials, emitter, calls, finder, clock=hours.clock, tell=tell).calibrate(hours, wait_us)


def table(calibration: Calibration, canaries: tuple[Canary, ...] = ()) -> str:
    """What is printed."""
    out = io.StringIO()
    print_calibration(calibration, canaries, out, as_json=False, width=200)
    return out.getvalue()


def delivering(aws: Aws, bucket: Bucket, hours: Waiting, edit: Edit = lambda _: None, after_us: int = 0) -> None:
    """Deliver each call, with noise around it, when `after_us` have passed since it was made."""

    def deliver() -> None:
        if hours.now_us < hours.start_us + after_us or list(bucket.folder.rglob("*.gz")):
            return
        for request in aws.calls():
            record = record_of(aws, request)
            edit(record)
            noise = {"eventTime": "2026-11-01T00:00:59Z", "eventName": "DescribeTrails", "requestID": "other"}
            bucket.put(*request.place, [noise, record], hours.now_us)

    hours.deliver = deliver


def measured(delay_us: int | None = MINUTE_US, **changed: Any) -> Measured:
    """A call that was heard."""
    place = {"canary": "c", "account_id": ACCOUNTS[0], "region": REGIONS[0]}
    call = {"conditions": "x", "call": "ec2:RunInstances", "at": "2026-11-01T00:01:00Z", "outcome": Outcome.REFUSED}
    return Measured(**(place | call | {"logged": True, "heard": True, "delay_us": delay_us} | changed))
