"""A large organisation: objects of a few records at an even pace, and a canary's refused calls among them."""

from __future__ import annotations

import gzip
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import msgspec
import orjson

from pipeline.clock import now_us
from schemas.times import SECOND_US, format_us

PERIOD_US, GRACE_US = 300 * SECOND_US, 120 * SECOND_US
_RECORDS = 5

Put: TypeAlias = Callable[[str, bytes], None]
"""Lets an object appear, by its key."""

_CONFIG = """
[[canary]]
name = "refused"
accounts = {accounts}
regions = {regions}
period = "{period_s}s"
grace = "{grace_s}s"
since = {since}
[canary.match]
event_name = "RunInstances"
error_code = "Client.UnauthorizedOperation"
"""


class Organisation(msgspec.Struct, frozen=True):
    """Accounts in regions, each pair a place of the canary, some of them silent; and when the canary began."""

    accounts: int
    regions: int
    since_us: int
    silent: int = 0

    def config(self) -> str:
        """The configuration that declares the canary everywhere."""
        accounts, regions = (orjson.dumps(names).decode() for names in (self._accounts(), self._regions()))
        periods = {"period_s": PERIOD_US // SECOND_US, "grace_s": GRACE_US // SECOND_US}
        return _CONFIG.format(accounts=accounts, regions=regions, since=format_us(self.since_us), **periods)

    def produce(self, put: Put, rate: float, objects: int, visible: dict[str, int]) -> None:
        """Let objects appear, `rate` a second; `visible` tells when each did, by its key."""
        begin_us = now_us()
        keyed = self._objects()
        for number in range(objects):
            due_us = begin_us + int(number * SECOND_US / rate)
            if (ahead_us := due_us - now_us()) > 0:
                threading.Event().wait(ahead_us / SECOND_US)
            key, body = next(keyed)
            put(key, body)
            visible[key] = now_us()

    def _objects(self) -> Iterator[tuple[str, bytes]]:
        """Keys and bodies without end; each place sings once a period, at an even pace."""
        places = [(account, region) for account in self._accounts() for region in self._regions()]
        chosen = random.Random(7)  # noqa: S311 - no secret
        chosen.shuffle(places)
        singing = places[self.silent :]
        sung = number = 0
        while True:
            at_us = now_us()
            sings = sung <= (at_us - self.since_us) * len(singing) // PERIOD_US
            account, region = singing[sung % len(singing)] if sings else chosen.choice(places)
            yield _object(account, region, number, at_us, sings=sings)
            sung += sings
            number += 1

    def _accounts(self) -> Sequence[str]:
        return [f"{100_000_000_000 + number:012d}" for number in range(self.accounts)]

    def _regions(self) -> Sequence[str]:
        return [f"test-region-{number}" for number in range(self.regions)]


def _object(account: str, region: str, number: int, at_us: int, *, sings: bool) -> tuple[str, bytes]:
    """The key and the object."""
    records = [_record(account, region, f"{number:08x}-0000-4000-8000-{each:012d}", at_us) for each in range(_RECORDS)]
    if sings:
        call = {"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances"}
        records[0] |= call | {"errorCode": "Client.UnauthorizedOperation"}
    stamp = format_us(at_us)[:16].replace("-", "").replace(":", "") + "Z"
    folder = f"AWSLogs/{account}/CloudTrail/{region}/{format_us(at_us)[:10].replace('-', '/')}"
    key = f"{folder}/{account}_CloudTrail_{region}_{stamp}_{number:016d}.json.gz"
    return key, gzip.compress(orjson.dumps({"Records": records}), 1)


def _record(account: str, region: str, event_id: str, at_us: int) -> dict[str, object]:
    arn = f"arn:aws:sts::{account}:assumed-role/worker/session"
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "principalId": "AROAEXAMPLE:session", "arn": arn, "accountId": account},
        "eventTime": f"{format_us(at_us)[:19]}Z",
        "eventSource": "sqs.amazonaws.com",
        "eventName": "GetQueueAttributes",
        "awsRegion": region,
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "aws-sdk-java/2.20.0 Linux/5.10 OpenJDK_64-Bit_Server_VM/17",
        "requestParameters": {"queueUrl": f"https://sqs.{region}.amazonaws.com/{account}/work"},
        "responseElements": None,
        "requestID": event_id,
        "eventID": event_id,
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
