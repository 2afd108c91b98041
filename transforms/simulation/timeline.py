"""The timeline: when a scenario's attacks happen, and what of the log is left afterwards."""

from __future__ import annotations

import enum
from collections.abc import Callable

from schemas.errors import UsageError
from schemas.times import MINUTE_US
from transforms.simulation.attacks import ATTACKS, Attack, Effect
from transforms.simulation.scenario import INTERVAL_US, SECURITY_ACCOUNT, Scenario
from transforms.simulation.template import Call

_FIRST_SECOND = 130
_AFFECTED_MARKS = 30 * MINUTE_US // INTERVAL_US
_HELD_MARKS = 40 * MINUTE_US // INTERVAL_US
Lost = Callable[[Call, int], bool]
"""Whether an event of a call, in a second of its interval, is not recorded."""


class Voice(enum.Enum):
    """Who makes a canary's call, and what becomes of it."""

    REFUSED = enum.auto()
    ALLOWED = enum.auto()
    FORGED = enum.auto()
    REPLAYED = enum.auto()


_VOICES = {Effect.ALLOWED: Voice.ALLOWED, Effect.FORGED: Voice.FORGED, Effect.REPLAYED: Voice.REPLAYED}


def check(scenario: Scenario) -> None:
    """Refuse a scenario that cannot be simulated.

    Raises:
        UsageError: it names an unknown attack, or has impossible parameters; every problem is listed.
    """
    unknown = [name for name in scenario.attacks if name not in ATTACKS]
    problems = [*scenario.problems(), *(f"unknown attack {name!r}; known: {', '.join(ATTACKS)}" for name in unknown)]
    if problems:
        raise UsageError(problems)


class Timeline:
    """The attacks of a scenario. A mark is the number of a 5-minute boundary since the epoch.

    Raises:
        UsageError: as `check`.
    """

    def __init__(self, scenario: Scenario) -> None:
        check(scenario)
        self._attacks: tuple[Attack, ...] = tuple(ATTACKS[name] for name in dict.fromkeys(scenario.attacks))
        self._effects = frozenset(attack.effect for attack in self._attacks)
        self._victim = scenario.victim
        self._last_region = scenario.regions[-1]
        self.home_region = scenario.home_region
        self.interval = scenario.intervals[int(len(scenario.intervals) * 0.6)]

    @property
    def delay_marks(self) -> int:
        """How many marks the last delivery is late."""
        return _HELD_MARKS if Effect.HELD in self._effects else 0

    def calls_in(self, account: str, region: str, interval: int) -> list[tuple[Call, int]]:
        """The attacks' calls recorded there, each with its second of the interval."""
        if interval != self.interval or region != self.home_region:
            return []
        return [
            (call, _FIRST_SECOND + number + place * attack.pause_s)
            for number, attack in enumerate(self._attacks)
            for place, call in enumerate(attack.calls)
            if account == (SECURITY_ACCOUNT if attack.by_owner else self._victim)
        ]

    def lost_in(self, account: str, interval: int) -> Lost | None:
        """What is not recorded of an interval; None where everything is."""
        if account != self._victim or interval < self.interval:
            return None
        effects = self._effects
        rules: list[Callable[[Call], bool]] = []
        if Effect.EVENTS in effects:
            rules.append(lambda _: True)
        if Effect.WRITES in effects:
            rules.append(lambda call: not call.read)
        if Effect.MANAGEMENT in effects:
            rules.append(lambda call: not call.data)
        if Effect.CANARIES in effects:
            rules.append(lambda call: call.caller == "canary")
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
        return not (
            Effect.ALL_DELIVERIES in self._effects
            or (Effect.DELIVERIES in self._effects and account == self._victim)
            or (Effect.REGION in self._effects and account == self._victim and region == self._last_region)
        )

    def due_at(self, account: str, mark: int) -> tuple[int, ...]:
        """The marks whose objects arrive at `mark`: its own, none while they are held, or also held ones."""
        if Effect.HELD not in self._effects or account != self._victim:
            return (mark,)
        marks = [] if self._affected(mark) else [mark]
        return (*([mark - _HELD_MARKS] if self._affected(mark - _HELD_MARKS) else []), *marks)

    def truncated(self, account: str, mark: int) -> bool:
        """Whether objects delivered at `mark` are cut short."""
        return Effect.TRUNCATED in self._effects and account == self._victim and self._affected(mark)

    def ended(self, account: str, mark: int) -> bool:
        """Whether the account's trail is stopped, so that its last digest lies behind."""
        return Effect.EVENTS in self._effects and account == self._victim and mark > self.interval + 2

    def _affected(self, mark: int) -> bool:
        return self.interval + 1 < mark <= self.interval + 1 + _AFFECTED_MARKS
