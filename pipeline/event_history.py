"""CloudTrail's event history (`LookupEvents`), asked for calls: slowly, for AWS allows two requests a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.emit import Pause
from schemas.times import MINUTE_US, SECOND_US, datetime_us
from transforms.canary_search import Found, Origin, Wanted, find_wanted

_BETWEEN_US = SECOND_US // 2
"""Two requests a second for each account and region: CloudTrail's quota for `LookupEvents`."""

_PAGES = 20
_NEVER_US = 1 << 62
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=15,
    retries={"mode": "standard", "total_max_attempts": 1},
    user_agent_extra="trailcanary",
)


class EventHistory:
    """A place to find calls in: the event history of each call's account and region.

    With a role it is asked as that role of each account, else with the credentials at hand. What fails is told, and
    asked again in the next look.
    """

    def __init__(self, role: str | None, clock: Callable[[], int], pause: Pause, warn: Callable[[str], None]) -> None:
        self._role = role
        self._clock = clock
        self._pause = pause
        self._warn = warn
        self._own = boto3.Session()
        self._sessions: dict[str, tuple[boto3.Session, int]] = {}
        self._clients: dict[tuple[str, str], tuple[Any, int]] = {}
        self._asked_us: dict[tuple[str, str], int] = {}

    def check(self) -> None:
        """Nothing can be said before a call was made."""

    def look(self, wanted: Sequence[Wanted]) -> Iterator[Found]:
        """Calls that the history shows by now. Raises SecretUnavailable."""
        for (account, region, event_name), some in _by_question(wanted).items():
            try:
                for text in self._events(account, region, event_name, min(each.receipt.at_us for each in some)):
                    origin = Origin(f"cloudtrail.{region}.{account}/LookupEvents", region, self._clock())
                    yield from find_wanted(b'{"Records":[%s]}' % text.encode("utf-8", "replace"), origin, some)
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code", "unknown")
                self._warn(f"{account} {region}: {error.operation_name} {code}")
            except BotoCoreError as error:
                self._warn(f"{account} {region}: LookupEvents {type(error).__name__}")

    def _events(self, account: str, region: str, event_name: str, from_us: int) -> Iterator[str]:
        client = self._client(account, region)
        given: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": event_name}],
            "StartTime": (from_us - MINUTE_US) // SECOND_US,
            "MaxResults": 50,
        }
        for _ in range(_PAGES):
            self._wait(account, region)
            answer = client.lookup_events(**given)
            yield from (event.get("CloudTrailEvent", "null") for event in answer.get("Events", ()))
            if not answer.get("NextToken"):
                return
            given["NextToken"] = answer["NextToken"]

    def _wait(self, account: str, region: str) -> None:
        last_us = self._asked_us.get((account, region))
        if last_us is not None and (left_us := last_us + _BETWEEN_US - self._clock()) > 0:
            self._pause.wait(left_us)
        self._asked_us[account, region] = self._clock()

    def _client(self, account: str, region: str) -> Any:
        """Kept for as long as its session lasts: one takes long to make."""
        client, ends_us = self._clients.get((account, region), (None, 0))
        if client is None or ends_us - self._clock() < MINUTE_US:
            session, ends_us = self._session(account, region)
            client = session.client("cloudtrail", region_name=region, config=_CONFIG)
            self._clients[account, region] = client, ends_us
        return client

    def _session(self, account: str, region: str) -> tuple[boto3.Session, int]:
        if self._role is None:
            return self._own, _NEVER_US
        session, ends_us = self._sessions.get(account, (None, 0))
        if session is None or ends_us - self._clock() < MINUTE_US:
            partition = self._own.get_partition_for_region(region)
            sts = self._own.client("sts", region_name=region, config=_CONFIG)
            arn = f"arn:{partition}:iam::{account}:role/{self._role}"
            keys = sts.assume_role(RoleArn=arn, RoleSessionName="trailcanary")["Credentials"]
            session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
            ends_us = datetime_us(keys["Expiration"])
            self._sessions[account] = session, ends_us
        return session, ends_us


def _by_question(wanted: Iterable[Wanted]) -> dict[tuple[str, str, str], list[Wanted]]:
    """Calls by account, region and the name of their event."""
    found: dict[tuple[str, str, str], list[Wanted]] = {}
    for each in wanted:
        place = each.receipt.place
        found.setdefault((place.account_id, place.region, each.receipt.call.partition(":")[2]), []).append(each)
    return found
