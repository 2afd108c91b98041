"""The course of one aspect of one resource: sound, harmed, sound again, as its facts say in order of their events."""

from __future__ import annotations

import bisect
from typing import NamedTuple

from schemas.log_path import Aspect, PathFact

_CREATION = "CreateTrail"


class Harm(NamedTuple):
    """A run of harm: its first fact, its last, and the first sound one after it, if there is one."""

    first: PathFact
    last: PathFact
    remedy: PathFact | None


class _Step(NamedTuple):
    """What is known after a fact: `since` is where the run of its kind began, `value` what was last sound."""

    sound: bool
    since: int
    value: str | None


class Course:
    """Facts in order of event time, whatever order they come in."""

    def __init__(self) -> None:
        self._facts: list[PathFact] = []
        self._steps: list[_Step] = []

    def add(self, fact: PathFact) -> None:
        """Take in a fact that is no copy of one that is there."""
        at = bisect.bisect(self._facts, fact.identity, key=lambda each: each.identity)
        self._facts.insert(at, fact)
        del self._steps[at:]
        for number in range(at, len(self._facts)):
            self._steps.append(self._step(number))

    def last_harm(self) -> Harm | None:
        """The newest run of harm; None where there never was any."""
        if not self._steps:
            return None
        end, remedy = len(self._steps), None
        if self._steps[-1].sound:
            end = self._steps[-1].since
            remedy = self._facts[end]
        if end == 0:
            return None
        return Harm(self._facts[self._steps[end - 1].since], self._facts[end - 1], remedy)

    def last(self) -> tuple[PathFact, bool] | None:
        """The newest fact, and whether all is sound after it."""
        return (self._facts[-1], self._steps[-1].sound) if self._facts else None

    def remedy_after(self, fact: PathFact) -> PathFact | None:
        """The first fact after one that is there which says that all is sound."""
        at = bisect.bisect(self._facts, fact.identity, key=lambda each: each.identity)
        return next((each for each, step in zip(self._facts[at:], self._steps[at:], strict=True) if step.sound), None)

    def _step(self, at: int) -> _Step:
        fact, before = self._facts[at], self._steps[at - 1] if at else None
        sound = self._is_sound(fact, before)
        same = before is not None and before.sound == sound
        value = fact.value if sound else before.value if before else None
        return _Step(sound, before.since if same and before else at, value)

    def _is_sound(self, fact: PathFact, before: _Step | None) -> bool:
        """A setting that goes back to what it was is sound; a loss of what nobody ever had is none."""
        if fact.sound or (before is None and fact.event_name == _CREATION):
            return True
        if fact.value is not None and before is not None and fact.value == before.value:
            return True
        return fact.aspect is Aspect.DATA_SELECTORS and (before is None or before.value is None)
