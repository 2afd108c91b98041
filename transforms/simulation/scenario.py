"""A scenario: what is simulated, and the organisation that follows from it."""

from __future__ import annotations

import math
import random
import re
import uuid

import msgspec

from schemas.times import DAY_US, HOUR_US, MINUTE_US

INTERVAL_US = 5 * MINUTE_US
"""CloudTrail delivers about every five minutes; the names of real objects fall on such marks."""

TRAIL = "org-trail"
BUCKET = "security-logs"
SECURITY_ACCOUNT = "999999999999"
READER_ROLE = "log-reader"
_QUEUE = "security-logs-notices"
_DOCUMENTATION_ACCOUNTS = ("111122223333", "444455556666", "777788889999")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_OTHER_PARTITION = re.compile(r"cn-|us-gov-|us-iso|eu-isoe-")
_LAST_START_US = 253_402_300_800 * 1_000_000 - 400 * DAY_US  # the year 9999, less the longest scenario


class Scenario(msgspec.Struct, frozen=True):
    """What to simulate. `rate` is events per hour in all, canaries included; `hours` begin at `start_us`.

    `accounts` member accounts deliver (the first manages the organisation), and one more always: the security
    account, which owns the bucket and the key. Time runs in whole 5-minute intervals: the start is rounded down to
    one and the end up. With `administration` people do in every account what they do every day.
    """

    seed: int
    start_us: int
    hours: float
    accounts: int
    regions: tuple[str, ...]
    rate: int
    attacks: tuple[str, ...]
    administration: bool = False

    def problems(self) -> list[str]:
        """Everything that keeps this scenario from being simulated (attack names aside), one sentence each."""
        found = [f"not a region of the aws partition: {region!r}" for region in self.regions if not _is_region(region)]
        if not self.regions or len(set(self.regions)) != len(self.regions):
            found.append(f"regions must be one or more different ones: {', '.join(self.regions)!r}")
        if not (math.isfinite(self.hours) and 0 < self.hours <= 24 * 366):
            found.append(f"hours must lie above 0 and at most {24 * 366}: {self.hours}")
        if not 1 <= self.accounts <= 10_000:
            found.append(f"accounts must lie between 1 and 10000: {self.accounts}")
        if self.rate < 0:
            found.append(f"the rate must not be negative: {self.rate}")
        if not 0 <= self.start_us <= _LAST_START_US:
            found.append(f"the start must lie between 1970 and 9998: {self.start_us} µs")
        return found

    def rng(self, *parts: object) -> random.Random:
        """Random numbers that depend on the seed and on `parts` alone, not on what was drawn before."""
        return random.Random(":".join(map(str, (self.seed, *parts))))  # noqa: S311 - must repeat, guards nothing

    @property
    def intervals(self) -> range:
        """Numbers of the 5-minute intervals, counted from the epoch, in which events happen."""
        end_us = self.start_us + math.ceil(self.hours * HOUR_US)
        return range(self.start_us // INTERVAL_US, -(-end_us // INTERVAL_US))

    @property
    def members(self) -> tuple[str, ...]:
        """The member accounts; the first manages the organisation and owns the trail."""
        invented = (f"2222{index:08d}" for index in range(self.accounts - len(_DOCUMENTATION_ACCOUNTS)))
        return (*_DOCUMENTATION_ACCOUNTS[: self.accounts], *invented)

    @property
    def delivering(self) -> tuple[str, ...]:
        """Every account that delivers: the members and the security account."""
        return (*self.members, SECURITY_ACCOUNT)

    @property
    def twice(self) -> frozenset[str]:
        """Accounts with a trail of their own into the same bucket: the security account and every third member."""
        return frozenset((SECURITY_ACCOUNT, *self.members[2::3]))

    @property
    def victim(self) -> str:
        """The account that attacks hit: the second, or the only one."""
        return self.members[:2][-1]

    @property
    def home_region(self) -> str:
        """The trail's home region: the first."""
        return self.regions[0]

    @property
    def organisation(self) -> str:
        """The organisation's id."""
        return "o-" + "".join(self.rng("organisation").choices("abcdefghijklmnopqrstuvwxyz0123456789", k=10))

    @property
    def trail_arn(self) -> str:
        """The organisation trail."""
        return f"arn:aws:cloudtrail:{self.home_region}:{self.members[0]}:trail/{TRAIL}"

    @property
    def kms_key_arn(self) -> str:
        """The key that log objects are encrypted with."""
        key = uuid.UUID(bytes=self.rng("kms key").randbytes(16), version=4)
        return f"arn:aws:kms:{self.home_region}:{SECURITY_ACCOUNT}:key/{key}"

    @property
    def topic_arn(self) -> str:
        """The topic that CloudTrail tells of new log objects."""
        return f"arn:aws:sns:{self.home_region}:{SECURITY_ACCOUNT}:{BUCKET}"

    @property
    def queue_url(self) -> str:
        """The queue that hears from the topic."""
        return f"https://sqs.{self.home_region}.amazonaws.com/{SECURITY_ACCOUNT}/{_QUEUE}"

    @property
    def queue_arn(self) -> str:
        """The same queue by its ARN."""
        return f"arn:aws:sqs:{self.home_region}:{SECURITY_ACCOUNT}:{_QUEUE}"

    @property
    def reader_role_arn(self) -> str:
        """The role that reads the bucket."""
        return f"arn:aws:iam::{SECURITY_ACCOUNT}:role/{READER_ROLE}"


def _is_region(name: str) -> bool:
    return bool(_REGION.fullmatch(name)) and not _OTHER_PARTITION.match(name)
