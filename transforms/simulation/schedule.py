"""The schedule: when events happen, and in which 5-minute mark's object they are delivered.

An event of interval i is delivered at the interval's end, or one mark later: 44 % of events wait up to 4.35 minutes
before they are ready, and those that are not ready at the mark straggle. That gives name time minus event time a
median of 3.4 minutes, a 95th percentile of 7.1, a 99th of 8.4 and a maximum below 10, as measured on real objects.
So an object holds the punctual part of one interval and the stragglers of the one before, and can be made alone.
"""

from __future__ import annotations

import enum
import functools
import random

from schemas.times import HOUR_US, MINUTE_US, SECOND_US, format_us
from transforms.simulation.scenario import INTERVAL_US, SECURITY_ACCOUNT, Scenario

INTERVAL_S = INTERVAL_US // SECOND_US
CANARY_EVENTS_PER_HOUR = HOUR_US // INTERVAL_US
_WAITING_SHARE = 0.44
_LONGEST_WAIT_S = 261
_SECURITY_SHARE = 0.04


class Part(enum.Enum):
    """Which events of an interval: those delivered at its end, or one mark later."""

    PUNCTUAL = 1
    STRAGGLING = 2

    @property
    def share(self) -> float:
        """The share of an interval's events."""
        straggling = _WAITING_SHARE * _LONGEST_WAIT_S / 2 / INTERVAL_S
        return straggling if self is Part.STRAGGLING else 1 - straggling


def second_of(rng: random.Random, part: Part) -> int:
    """The second of the interval in which an event of `part` happens."""
    if part is Part.STRAGGLING:
        remaining_s = _LONGEST_WAIT_S * rng.random() ** 0.5 * rng.random()
    else:
        remaining_s = INTERVAL_S * rng.random()
        while rng.random() < _WAITING_SHARE * (1 - remaining_s / _LONGEST_WAIT_S):
            remaining_s = INTERVAL_S * rng.random()
    return min(int(INTERVAL_S - remaining_s), INTERVAL_S - 1)


def part_of(rng: random.Random, second: int) -> Part:
    """Whether an event in that second of its interval is delivered at the interval's end or a mark later."""
    waits = rng.random() < _WAITING_SHARE and rng.random() * _LONGEST_WAIT_S > INTERVAL_S - second
    return Part.STRAGGLING if waits else Part.PUNCTUAL


@functools.lru_cache(maxsize=8)
def second_texts(interval: int) -> tuple[str, ...]:
    """The eventTime of each second of an interval."""
    minutes = [format_us(us)[:-3] for us in range(interval * INTERVAL_US, (interval + 1) * INTERVAL_US, MINUTE_US)]
    return tuple(f"{minute}{second:02d}Z" for minute in minutes for second in range(60))


class Activity:
    """How busy each account and region is: few are busy, most are not, and every interval differs."""

    def __init__(self, scenario: Scenario) -> None:
        canaries = CANARY_EVENTS_PER_HOUR * len(scenario.delivering) * len(scenario.regions)
        self._per_interval = max(scenario.rate - canaries, 0) / CANARY_EVENTS_PER_HOUR
        accounts = {account: 1 / (index + 1) ** 0.8 for index, account in enumerate(scenario.members)}
        regions = {region: 1 / (index + 1) ** 1.2 for index, region in enumerate(scenario.regions)}
        accounts[SECURITY_ACCOUNT] = _SECURITY_SHARE * sum(accounts.values())
        whole = sum(accounts.values()) * sum(regions.values())
        self._shares = {
            (account, region): busy * share / whole
            for account, busy in accounts.items()
            for region, share in regions.items()
        }

    def events(self, rng: random.Random, account: str, region: str, part: Part) -> int:
        """How many events of background activity one interval's part holds."""
        burst = rng.gammavariate(5, 0.2)
        return int(self._per_interval * self._shares[account, region] * part.share * burst + rng.random())
