"""The state of the log path: what each fact changes, and the alerts that this calls for."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from schemas.alerts import Alert
from schemas.log_path import Aspect, PathFact
from schemas.trails import LogPath
from transforms.path_alerts import Bomb, armed, disarmed, moved, nearing, recovered
from transforms.path_courses import Course, Harm
from transforms.path_coverage import COVERAGE_ASPECTS, DELIVERY_ASPECTS, Trail
from transforms.path_escalations import Escalations
from transforms.path_gaps import Gaps
from transforms.path_graph import PathGraph

_Key = tuple[str, Aspect]
_LINKS = (Aspect.LINK, Aspect.LEADS)


class _Mark(NamedTuple):
    """When a warning is due; the number is unique, so that nothing behind it is compared."""

    at_us: int
    number: int
    warning_us: int
    key: _Key
    bomb: Bomb


class PathState:
    """What is known so far."""

    def __init__(self, log_path: LogPath) -> None:
        self.escalations = Escalations()
        self._graph = PathGraph(log_path)
        self._since_us: dict[str, int] = {}
        self._warnings_us = (*log_path.warnings_us, 0)
        self._courses: dict[_Key, Course] = defaultdict(Course)
        self._of_incident: dict[str, set[_Key]] = defaultdict(set)
        self._incidents: dict[_Key, set[str]] = defaultdict(set)
        self._deadlines: set[_Key] = set()
        self._armed: dict[_Key, Bomb] = {}
        self._marks: list[_Mark] = []
        self._numbers = itertools.count()
        self._places: dict[str, tuple[str | None, str | None]] = {}
        self._gaps = Gaps(log_path)

    @property
    def due_us(self) -> int | None:
        """The next time at which something is due of itself."""
        while self._marks and self._armed.get(self._marks[0].key) != self._marks[0].bomb:
            heapq.heappop(self._marks)
        return self._marks[0].at_us if self._marks else None

    def learn(self, facts: list[PathFact], at_us: int) -> Iterator[Alert]:
        """Take in what was delivered at one time."""
        news: dict[str, PathFact] = {}
        for fact in facts:
            for name in self._graph.learn(fact):
                news.setdefault(name, fact)
                self._since_us.setdefault(name, at_us)
        touched = dict.fromkeys(self._put(fact) for fact in facts if fact.aspect not in _LINKS)
        incidents = dict.fromkeys(each for key in touched for each in sorted(self._incidents[key]))
        for incident_id in incidents:
            yield from self._recovery(incident_id, at_us)
        yield from self.escalations.of(news, self._since_us, at_us, self._is_undone)
        yield from self._coverage(facts, at_us)
        doomed = (
            sorted(self._deadlines, key=_sorted_key) if news else [key for key in touched if key in self._deadlines]
        )
        for key in doomed:
            yield from self._deadline(key, at_us)

    def _put(self, fact: PathFact) -> _Key:
        key = self._graph.resolve(fact.resource), fact.aspect
        self._courses[key].add(fact)
        if fact.incident_id is not None:
            self._of_incident[fact.incident_id].add(key)
            self._incidents[key].add(fact.incident_id)
            self._places.setdefault(fact.incident_id, (fact.account_id, fact.region))
        if fact.deadline_us is not None:
            self._deadlines.add(key)
        return key

    def _recovery(self, incident_id: str, at_us: int) -> Iterator[Alert]:
        """Recovered where nothing of the incident is left harmed."""
        if self._is_undone(incident_id):
            own = any(self._graph.owns(resource) for resource, _ in self._of_incident[incident_id])
            harms = _last_together(self._harms(incident_id))
            yield recovered(incident_id, harms, at_us, own=own, place=self._places[incident_id])

    def _is_undone(self, incident_id: str) -> bool:
        harms = self._harms(incident_id)
        return bool(harms) and all(harm.remedy for harm in harms)

    def _harms(self, incident_id: str) -> list[Harm]:
        courses = (self._courses[key] for key in self._of_incident.get(incident_id, ()))
        return [harm for course in courses if (harm := course.last_harm())]

    def _coverage(self, facts: list[PathFact], at_us: int) -> Iterator[Alert]:
        """What the trails that these facts are about, as they now are, record no longer or again."""
        changed: dict[str, tuple[Trail, PathFact]] = {}
        for fact in sorted(facts, key=lambda each: (not each.sound, each.identity)):  # the last harm is to be named
            for arn in self._concerned(fact):
                trail = self._trail(arn)
                if trail is not None:
                    changed[arn] = trail, fact
        if changed:
            yield from self._gaps.change(changed, at_us)

    def _concerned(self, fact: PathFact) -> Iterable[str]:
        """The trails that a fact is about: itself, or those that deliver through the key or bucket."""
        if fact.aspect in COVERAGE_ASPECTS:
            return (fact.resource,)
        if fact.aspect not in DELIVERY_ASPECTS or not self._graph.owns(fact.resource):
            return ()
        through = self._graph.resolve(fact.resource)
        return [arn for arn, trail in self._gaps.trails() if through in (self._key_of(arn, trail), trail.bucket)]

    def _trail(self, arn: str) -> Trail | None:
        """A trail as the last facts on it, its key and its bucket leave it."""
        trail = self._gaps.trail(arn, self._lasts(arn, COVERAGE_ASPECTS))
        if trail is None:
            return None
        through = (
            *self._lasts(self._key_of(arn, trail), DELIVERY_ASPECTS),
            *self._lasts(trail.bucket, DELIVERY_ASPECTS),
        )
        return msgspec.structs.replace(trail, delivers=all(sound for _, sound in through))

    def _key_of(self, arn: str, trail: Trail) -> str | None:
        """The key that a trail encrypts with: the one it was given, or the only one that it was seen to use."""
        if trail.key is not None:
            return self._graph.resolve(trail.key)
        keys = [name for name in self._graph.leads_to(arn) if name.startswith("key/")]
        return keys[0] if len(keys) == 1 else None

    def _lasts(self, resource: str | None, aspects: Iterable[Aspect]) -> list[tuple[PathFact, bool]]:
        """The last fact of each aspect of a resource, and whether all of it is sound after that."""
        courses = (self._courses.get((resource, aspect)) for aspect in aspects) if resource else ()
        return [last for course in courses if course is not None and (last := course.last())]

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
        for warning_us in self._warnings_us:
            if bomb.deadline_us - warning_us > at_us:
                mark = _Mark(bomb.deadline_us - warning_us, next(self._numbers), warning_us, key, bomb)
                heapq.heappush(self._marks, mark)
        near = bomb.deadline_us - at_us <= max(self._warnings_us)
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
