"""Tampering: somebody who can write to the bucket changes what CloudTrail has delivered there."""

from __future__ import annotations

import enum
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from schemas.keys import Kind, parse_key
from schemas.times import HOUR_US
from transforms.simulation.objects import SimulatedObject
from transforms.simulation.scenario import INTERVAL_US, Scenario


class Scene(msgspec.Struct, frozen=True):
    """Where somebody tampers: the organisation's objects of the victim in the home region, from `attack_us` on."""

    scenario: Scenario
    attack_us: int

    def log(self, delivered: SimulatedObject) -> bool:
        """Whether it is a log object from after the attack began."""
        return self._is(Kind.LOG, delivered) and delivered.delivered_us > self.attack_us

    def digest(self, delivered: SimulatedObject) -> int | None:
        """The number of an hourly digest, from 0 for the first after the attack began; None for what is none."""
        if not self._is(Kind.DIGEST, delivered) or "_backfill." in delivered.path:
            return None
        return delivered.delivered_us // HOUR_US - -(-self.attack_us // HOUR_US)

    def backfill(self, delivered: SimulatedObject) -> bool:
        """Whether it is a backfill digest."""
        return self._is(Kind.DIGEST, delivered) and "_backfill." in delivered.path

    @property
    def first(self) -> int:
        """The number of the first digest of all."""
        return self.scenario.start_us // HOUR_US + 1 - -(-self.attack_us // HOUR_US)

    @property
    def newest(self) -> int:
        """The number of the last digest of all."""
        return (self.scenario.intervals.stop + 1) * INTERVAL_US // HOUR_US - -(-self.attack_us // HOUR_US)

    def _is(self, kind: Kind, delivered: SimulatedObject) -> bool:
        facts = parse_key(delivered.path)
        place = (self.scenario.victim, self.scenario.home_region)
        of_organisation = delivered.path.startswith(f"AWSLogs/{self.scenario.organisation}/")
        return facts.kind is kind and of_organisation and (facts.account_id, facts.region) == place


Tamper = Callable[[SimulatedObject], Iterable[SimulatedObject]]
"""What becomes of an object: itself, nothing, or others, which may come later but not before it."""

Tampering = Callable[[Scene], Tamper]


class ChainEffect(enum.Enum):
    """What CloudTrail itself does otherwise with the victim's digests."""

    NONE = enum.auto()
    UNVALIDATED = enum.auto()  # the hour of the attack has no digest, and the chains begin anew
    LEFT_OUT = enum.auto()  # 30 minutes of objects are listed in backfill digests alone


class FileAttack(msgspec.Struct, frozen=True):
    """`summary` says in one sentence what it does. It leaves no event."""

    summary: str
    tamper: Tampering | None = None
    chain: ChainEffect = ChainEffect.NONE


def tampered(objects: Iterable[SimulatedObject], tampers: Sequence[Tamper]) -> Iterator[SimulatedObject]:
    """Let each tamper in turn have its way; what is left comes in delivery order.

    What is put off beyond the last delivery does not come.
    """
    waiting: list[tuple[int, int, SimulatedObject]] = []
    number = 0
    for delivered in objects:
        left = [delivered]
        for tamper in tampers:
            left = [each for one in left for each in tamper(one)]
        for each in left:
            number += 1
            heapq.heappush(waiting, (each.delivered_us, number, each))
        while waiting and waiting[0][0] <= delivered.delivered_us:
            yield heapq.heappop(waiting)[2]
