"""The log path as it is known: what is declared, and what the events have shown to belong to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from schemas.log_path import Aspect, PathFact
from schemas.trails import LogPath
from transforms.path_names import canonical, declared_names

_ALWAYS = ":eventdatastore/"  # CloudTrail Lake's own stores are nothing else
_ALIAS = ":alias/"


class PathGraph:
    """Trails, and all that they deliver through, are encrypted with and are told of by, now or ever.

    A fact of `Aspect.LINK` puts all that it names on the path, one of `Aspect.LEADS` what its resource leads to, once
    that is on it. What was on the path once stays on it: logs still lie there. So nobody can take a resource off it.
    """

    def __init__(self, log_path: LogPath) -> None:
        self._members: set[str] = set()
        self._leads: dict[str, set[str]] = defaultdict(set)
        self._called: dict[str, set[str]] = defaultdict(set)  # the aliases that ever stood for a key
        self._latest: dict[str, tuple[tuple[int, str, str, str], str]] = {}  # the key that an alias stands for
        list(self._join(declared_names(log_path)))

    def learn(self, fact: PathFact) -> tuple[str, ...]:
        """Take in a fact; what is on the path since, that was not before. The order of facts does not matter."""
        if fact.aspect not in (Aspect.LINK, Aspect.LEADS):
            return ()
        self._leads[fact.resource].update(fact.links)
        if fact.aspect is Aspect.LINK:
            return tuple(self._join((fact.resource, *fact.links)))
        if _ALIAS in fact.resource:
            self._name(fact)
        if fact.resource in self._members:
            return tuple(self._join(fact.links))
        called = _ALIAS in fact.resource and not self._members.isdisjoint(fact.links)
        return (fact.resource,) if called else ()

    def _name(self, fact: PathFact) -> None:
        for key in fact.links:
            self._called[key].add(fact.resource)
            newest = (fact.identity, key)
            self._latest[fact.resource] = max(self._latest.get(fact.resource, newest), newest)

    def _join(self, names: Iterable[str]) -> Iterator[str]:
        pending = sorted(names, reverse=True)
        while pending:
            name = pending.pop()
            if name not in self._members:
                self._members.add(name)
                yield name
                yield from sorted(self._called.get(name, set()) - self._members)
                pending += sorted(self._leads.get(name, ()), reverse=True)

    def resolve(self, resource: str) -> str:
        """The key behind an alias, where that is known; anything else is itself."""
        known = self._latest.get(resource)
        return resource if known is None else known[1]

    def leads_to(self, resource: str) -> frozenset[str]:
        """What a resource leads to by itself."""
        return frozenset(self._leads.get(resource, ()))

    def owns(self, name: str) -> bool:
        """Whether a resource, by any name that a call gives it, is on the log path."""
        resource = canonical(name)
        keys = self._leads.get(resource, set()) if _ALIAS in resource else set()
        return _ALWAYS in resource or resource in self._members or not keys.isdisjoint(self._members)


def learned(log_path: LogPath, facts: Iterable[PathFact]) -> PathGraph:
    """The graph after all these facts, in whatever order they come."""
    graph = PathGraph(log_path)
    for fact in facts:
        graph.learn(fact)
    return graph
