"""The timeline: when a scenario's attacks happen, and what of the log is left afterwards."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

from schemas.errors import UsageError
from schemas.times import MINUTE_US
from transforms.simulation.administration import LAG_MARKS, lags
from transforms.simulation.attack import Attack, Effect, Origin
from transforms.simulation.attacks import ATTACKS
from transforms.simulation.file_attacks import FILE_ATTACKS
from transforms.simulation.scenario import INTERVAL_US, SECURITY_ACCOUNT, Scenario
from transforms.simulation.template import Call

_FIRST_SECOND = 130
_AFFECTED_MARKS = 30 * MINUTE_US // INTERVAL_US
_HELD_MARKS = 40 * MINUTE_US // INTERVAL_US
_GLOBAL = frozenset(("iam", "sts", "cloudfront", "route53", "organizations"))
_TAKES: Mapping[Effect, Callable[[Call], bool]] = {
    Effect.EVENTS: lambda _: True,
    Effect.WRITES: lambda call: not call.read,
    Effect.MANAGEMENT: lambda call: not call.data,
    Effect.DATA: lambda call: call.data,
    Effect.KEYS: lambda call: call.service == "kms",
    Effect.GLOBAL: lambda call: call.service in _GLOBAL,
    Effect.CANARIES: lambda call: call.caller == "canary",
}
Lost = Callable[[Call, int], bool]
"""Whether an event of a call, in a second of its interval, is not recorded."""


class Voice(enum.Enum):
    """Who makes a canary's call, and what becomes of it."""

    REFUSED = enum.auto()
    ALLOWED = enum.auto()
    FORGED = enum.auto()
    REPLAYED = enum.auto()


_LAST_DIGESTS = {Effect.DIGESTS: 1, Effect.EVENTS: 2}  # marks after the attack's interval
_VOICES = {Effect.ALLOWED: Voice.ALLOWED, Effect.FORGED: Voice.FORGED, Effect.REPLAYED: Voice.REPLAYED}


def check(scenario: Scenario) -> None:
    """Refuse a scenario that cannot be simulated.

    Raises:
        UsageError: it names an unknown attack, or has impossible parameters; every problem is listed.
    """
    known = (*ATTACKS, *FILE_ATTACKS)
    unknown = [name for name in scenario.attacks if name not in known]
    problems = [*scenario.problems(), *(f"unknown attack {name!r}; known: {', '.join(known)}" for name in unknown)]
    if problems:
        raise UsageError(problems)


class Timeline:
    """The attacks of a scenario. A mark is the number of a 5-minute boundary since the epoch.

    Raises:
        UsageError: as `check`.
    """

    def __init__(self, scenario: Scenario) -> None:
        check(scenario)
        named = [name for name in dict.fromkeys(scenario.attacks) if name in ATTACKS]
        self._attacks: tuple[Attack, ...] = tuple(ATTACKS[name] for name in named)
        self._effects = frozenset(attack.effect for attack in self._attacks)
        self._scenario = scenario
        self._victim = scenario.victim
        self._origins = {
            Origin.VICTIM: scenario.victim,
            Origin.SECURITY: SECURITY_ACCOUNT,
            Origin.MANAGEMENT: scenario.members[0],
        }
        self._last_region = scenario.regions[-1]
        self.home_region = scenario.home_region
        self.interval = scenario.intervals[int(len(scenario.intervals) * 0.6)]

    @property
    def delay_marks(self) -> int:
        """How many marks the last delivery is late."""
        held = _HELD_MARKS if Effect.HELD in self._effects else 0
        return max(held, LAG_MARKS if self._scenario.administration else 0)

    def calls_in(self, account: str, region: str, interval: int) -> list[tuple[Call, int]]:
        """The attacks' calls recorded there, each with its second of the interval."""
        if interval != self.interval or region != self.home_region:
            return []
        return [
            (call, _FIRST_SECOND + number + place * attack.pause_s)
            for number, attack in enumerate(self._attacks)
            for place, call in enumerate(attack.calls)
            if account == self._origins[attack.origin]
        ]

    def lost_in(self, account: str, interval: int) -> Lost | None:
        """What is not recorded of an interval; None where everything is."""
        if account != self._victim or interval < self.interval:
            return None
        rules = [_TAKES[effect] for effect in self._effects if effect in _TAKES]
        after = _FIRST_SECOND + len(self._attacks) if interval == self.interval else -1
        return (lambda call, second: second > after and any(rule(call) for rule in rules)) if rules else None

    def canary_voice(self, account: str, interval: int, second: int) -> Voice:
        """Who calls for the canary: itself, refused as it must be, unless an attack has changed that."""
        if account != self._victim or (interval, second) <= (self.interval, _FIRST_SECOND):
            return Voice.REFUSED
        voices = (_VOICES[attack.effect] for attack in self._attacks if attack.effect in _VOICES)
        return next(voices, Voice.REFUSED)

    def delivers(self, account: str, region: str, mark: int) -> bool:
        """Whether this account and region can deliver at `mark`."""
        if mark <= self.interval + 1:
            return True
        victim = account == self._victim
        ended = {
            Effect.ALL_DELIVERIES: True,
            Effect.MEMBERS: account != self._origins[Origin.MANAGEMENT],
            Effect.DELIVERIES: victim,
            Effect.REGION: victim and region == self._last_region,
            Effect.ABROAD: victim and region != self.home_region,
        }
        return not any(ended.get(effect, False) for effect in self._effects)

    def due_at(self, account: str, mark: int) -> tuple[int, ...]:
        """The marks whose objects arrive at `mark`: its own, none while they are held, or also held ones."""
        return tuple(mark - late for late in (_HELD_MARKS, LAG_MARKS, 0) if self._late(account, mark - late) == late)

    def truncated(self, account: str, mark: int) -> bool:
        """Whether objects delivered at `mark` are cut short."""
        return Effect.TRUNCATED in self._effects and account == self._victim and self._affected(mark)

    def last_digest(self, account: str) -> int | None:
        """The mark at which the account's last digest ends, as its trail is stopped or validates no more; else None."""
        last = max((end for effect, end in _LAST_DIGESTS.items() if effect in self._effects), default=None)
        return self.interval + last if last is not None and account == self._victim else None

    def _late(self, account: str, mark: int) -> int:
        """How many marks the deliveries that are due at `mark` are late."""
        if Effect.HELD in self._effects and account == self._victim and self._affected(mark):
            return _HELD_MARKS
        return LAG_MARKS if lags(self._scenario, mark) else 0

    def _affected(self, mark: int) -> bool:
        return self.interval + 1 < mark <= self.interval + 1 + _AFFECTED_MARKS
