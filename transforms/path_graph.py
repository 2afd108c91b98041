"""The log path as it is known: what is declared, and what the events have shown to belong to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from schemas.log_path import Aspect, PathFact
from schemas.trails import LogPath
from transforms.path_names import canonical

_ALWAYS = ":eventdatastore/"  # CloudTrail Lake's own stores are nothing else


class PathGraph:
    """Trails, and the buckets, keys, topics and log groups that they deliver through, now or ever.

    What was on the path once stays on it: logs still lie there. So nobody can take a resource off it.
    """

    def __init__(self, log_path: LogPath) -> None:
        self._members = set(_declared(log_path))
        self._same: dict[str, set[str]] = defaultdict(set)  # an alias and each key that it ever stood for, both ways
        self._latest: dict[str, tuple[tuple[int, str, str, str], str]] = {}

    def learn(self, fact: PathFact) -> bool:
        """Take in what a fact links; whether that was news. The order does not matter."""
        if fact.aspect is not Aspect.LINK:
            return False
        if ":alias/" not in fact.resource:
            before = len(self._members)
            self._members.update((fact.resource, *fact.links))
            return len(self._members) > before
        for key in fact.links:
            self._same[fact.resource].add(key)
            self._same[key].add(fact.resource)
            self._latest[fact.resource] = max(
                self._latest.get(fact.resource, (fact.identity, key)), (fact.identity, key)
            )
        return True

    def resolve(self, resource: str) -> str:
        """The key behind an alias, where that is known; anything else is itself."""
        known = self._latest.get(resource)
        return resource if known is None else known[1]

    def same_as(self, *resources: str) -> tuple[str, ...]:
        """What else these are called: aliases of keys, keys of aliases."""
        return tuple(sorted({other for each in resources for other in self._same.get(each, ())}))

    def owns(self, name: str) -> bool:
        """Whether a resource, by any name that a call gives it, is on the log path."""
        resource = canonical(name)
        names = {resource, *self._same.get(resource, ())}
        return _ALWAYS in resource or not names.isdisjoint(self._members)


def learned(log_path: LogPath, facts: Iterable[PathFact]) -> PathGraph:
    """The graph after all these facts, in whatever order they come."""
    graph = PathGraph(log_path)
    for fact in facts:
        graph.learn(fact)
    return graph


def _declared(log_path: LogPath) -> Iterator[str]:
    for trail in log_path.trails:
        yield canonical(f"arn:aws:cloudtrail:{trail.home_region}:{trail.account}:trail/{trail.name}")
        yield canonical(trail.bucket)
        if trail.kms_key:
            named = trail.kms_key.startswith(("arn:", "alias/"))
            yield canonical(trail.kms_key if named else f"key/{trail.kms_key}")
