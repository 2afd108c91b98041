"""The state of the log path: a fold over its facts, and the alerts that it raises as they become known.

Facts are told in the order in which they were delivered, and each is put where its event belongs. So alerts depend on
times in the data alone: whoever sees facts in another order, more than once, or in many small runs, says the same.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import msgspec

from schemas.alerts import Alert
from schemas.log_path import Aspect, PathFact, distinct_facts
from schemas.times import DAY_US
from schemas.trails import LogPath
from transforms.path_alerts import Bomb, armed, disarmed, moved, nearing, recovered
from transforms.path_courses import Course, Harm
from transforms.path_coverage import COVERAGE_ASPECTS, Trail
from transforms.path_gaps import Gaps
from transforms.path_graph import PathGraph

WARNINGS_US = (7 * DAY_US, DAY_US, 0)
"""How long before a deadline an incident becomes critical, and is told again; 0 is the deadline itself."""

_Key = tuple[str, Aspect]


class Told(msgspec.Struct, frozen=True):
    """All alerts that facts call for by a time, each once, and when the next is due if nothing more becomes known."""

    alerts: tuple[Alert, ...]
    due_us: int | None


def tell(facts: Iterable[PathFact], log_path: LogPath, as_of_us: int | None) -> Told:
    """Tell what these facts call for; the same for any order and repetition of them.

    Args:
        facts: All that is known; of copies of an event the first to be delivered counts.
        log_path: What is declared to be on the path.
        as_of_us: How far deadlines are judged; facts are told whenever they were delivered. None: the newest delivery.
    """
    state = _PathState(log_path)
    alerts: dict[str, Alert] = {}
    ordered = sorted(distinct_facts(tuple(facts)), key=lambda each: (each.delivered_us, each.identity))
    if as_of_us is None:
        as_of_us = ordered[-1].delivered_us if ordered else 0
    for delivered_us, some in groupby(ordered, key=lambda each: each.delivered_us):
        for alert in (*state.ring(min(delivered_us, as_of_us + 1)), *state.learn(list(some), delivered_us)):
            alerts.setdefault(alert.alert_id, alert)
    for alert in state.ring(as_of_us + 1):
        alerts.setdefault(alert.alert_id, alert)
    return Told(tuple(alerts.values()), state.due_us)


class _Mark(NamedTuple):
    """When a warning is due; the number is unique, so that nothing behind it is compared."""

    at_us: int
    number: int
    warning_us: int
    key: _Key
    bomb: Bomb


class _PathState:
    """What is known so far."""

    def __init__(self, log_path: LogPath) -> None:
        self._graph = PathGraph(log_path)
        self._courses: dict[_Key, Course] = defaultdict(Course)
        self._of_incident: dict[str, set[_Key]] = defaultdict(set)
        self._incidents: dict[_Key, set[str]] = defaultdict(set)
        self._deadlines: set[_Key] = set()
        self._armed: dict[_Key, Bomb] = {}
        self._marks: list[_Mark] = []
        self._numbers = itertools.count()
        self._gaps = Gaps(log_path)

    @property
    def due_us(self) -> int | None:
        """The next time at which something is due of itself."""
        while self._marks and self._armed.get(self._marks[0].key) != self._marks[0].bomb:
            heapq.heappop(self._marks)
        return self._marks[0].at_us if self._marks else None

    def learn(self, facts: list[PathFact], at_us: int) -> Iterator[Alert]:
        """Take in what was delivered at one time."""
        news = [self._graph.learn(fact) for fact in facts]
        touched = dict.fromkeys(self._put(fact) for fact in facts if fact.aspect is not Aspect.LINK)
        incidents = dict.fromkeys(each for key in touched for each in sorted(self._incidents[key]))
        for incident_id in incidents:
            yield from self._recovery(incident_id, at_us)
        yield from self._coverage([fact for fact in facts if fact.aspect in COVERAGE_ASPECTS], at_us)
        doomed = (
            sorted(self._deadlines, key=_sorted_key)
            if any(news)
            else [key for key in touched if key in self._deadlines]
        )
        for key in doomed:
            yield from self._deadline(key, at_us)

    def _put(self, fact: PathFact) -> _Key:
        key = self._graph.resolve(fact.resource), fact.aspect
        self._courses[key].add(fact)
        if fact.incident_id is not None:
            self._of_incident[fact.incident_id].add(key)
            self._incidents[key].add(fact.incident_id)
        if fact.deadline_us is not None:
            self._deadlines.add(key)
        return key

    def _recovery(self, incident_id: str, at_us: int) -> Iterator[Alert]:
        """Recovered where nothing of the incident is left harmed."""
        harms = [harm for key in self._of_incident[incident_id] if (harm := self._courses[key].last_harm())]
        if harms and all(harm.remedy for harm in harms):
            own = any(self._graph.owns(resource) for resource, _ in self._of_incident[incident_id])
            yield recovered(incident_id, _last_together(harms), at_us, own=own)

    def _coverage(self, facts: list[PathFact], at_us: int) -> Iterator[Alert]:
        """What the trails that these facts are about, as they now are, record no longer or again."""
        changed: dict[str, tuple[Trail, PathFact]] = {}
        for fact in sorted(facts, key=lambda each: (not each.sound, each.identity)):  # the last harm is to be named
            courses = (self._courses.get((fact.resource, aspect)) for aspect in COVERAGE_ASPECTS)
            lasts = (course.last() for course in courses if course is not None)
            trail = self._gaps.trail(fact.resource, (last for last in lasts if last is not None))
            if trail is not None:
                changed[fact.resource] = trail, fact
        if changed:
            yield from self._gaps.change(changed, at_us)

    def _deadline(self, key: _Key, at_us: int) -> Iterator[Alert]:
        """Arm what is harmed and has a deadline, and disarm what is no longer so."""
        course, known = self._courses[key], self._armed.get(key)
        if known is not None and (remedy := course.remedy_after(known.first)) is not None:
            del self._armed[key]
            yield disarmed(known, remedy, at_us)
            known = None
        harm = course.last_harm()
        if harm is None or harm.remedy is not None or harm.last.deadline_us is None or not self._graph.owns(key[0]):
            return
        bomb = Bomb(known.first if known else harm.first, harm.last, harm.last.deadline_us)
        if bomb == known:
            return
        self._armed[key] = bomb
        for warning_us in WARNINGS_US:
            if bomb.deadline_us - warning_us > at_us:
                mark = _Mark(bomb.deadline_us - warning_us, next(self._numbers), warning_us, key, bomb)
                heapq.heappush(self._marks, mark)
        near = bomb.deadline_us - at_us <= max(WARNINGS_US)
        yield (moved if known else armed)(bomb, at_us, near=near)

    def ring(self, before_us: int) -> Iterator[Alert]:
        """What is due of itself before a time."""
        while self._marks and self._marks[0].at_us < before_us:
            mark = heapq.heappop(self._marks)
            if self._armed.get(mark.key) == mark.bomb:
                yield nearing(mark.bomb, mark.warning_us)


def _sorted_key(key: _Key) -> tuple[str, str]:
    return key[0], key[1].value


def _last_together(harms: list[Harm]) -> list[Harm]:
    """The runs of harm that overlap with the one that was remedied last."""
    ordered = sorted(harms, key=lambda harm: harm.remedy.identity if harm.remedy else (), reverse=True)
    together, start = ordered[:1], ordered[0].first.identity
    for harm in ordered[1:]:
        if harm.remedy is not None and harm.remedy.identity > start:
            together.append(harm)
            start = min(start, harm.first.identity)
    return together
