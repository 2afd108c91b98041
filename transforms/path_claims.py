"""Findings on what has shown to be on the log path count in full, as on what is declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.pvalue import PCollection

from schemas.log_path import Aspect, PathFact
from schemas.tampering import Tampering
from schemas.trails import LogPath, Ownership
from transforms.path_graph import PathGraph
from transforms.path_names import canonical


def joined(facts: Iterable[PathFact], log_path: LogPath) -> dict[str, int]:
    """When each resource became known to be on the path: its canonical name, and the delivery that showed it."""
    graph, since_us = PathGraph(log_path), dict[str, int]()
    links = (fact for fact in facts if fact.aspect is Aspect.LINK)
    for fact in sorted(links, key=lambda each: (each.delivered_us, each.identity)):
        if graph.learn(fact):
            for name in (fact.resource, *fact.links, *graph.same_as(fact.resource), *graph.same_as(*fact.links)):
                if graph.owns(name):
                    since_us.setdefault(name, fact.delivered_us)
    return since_us


def claimed(tampering: Tampering, since_us: Mapping[str, int]) -> Tampering:
    """The finding as it is, or at its rule's severity if its resource was known to be on the path by its delivery."""
    if tampering.own_severity is None or tampering.resource is None:
        return tampering
    known_us = since_us.get(canonical(tampering.resource))
    if known_us is None or known_us > tampering.delivered_us:
        return tampering
    return msgspec.structs.replace(tampering, severity=tampering.own_severity, ownership=Ownership.OWN)


class ClaimFindings(beam.PTransform[Any, PCollection[Tampering]]):
    """A dict of `tamperings` (Tampering) and `facts` (PathFact, all that is known) → Tampering, each `claimed`."""

    def __init__(self, log_path: LogPath) -> None:
        super().__init__()
        self._log_path = log_path

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[Tampering]:
        """Learn when each resource joined the path, and claim."""
        keyed = inputs["facts"] | "Together" >> beam.Map(_together).with_output_types(tuple[int, PathFact])
        since = keyed | "Group" >> beam.GroupByKey() | "Joined" >> beam.FlatMap(_joined, self._log_path)
        known = beam.pvalue.AsSingleton(since, default_value={})
        result: PCollection[Tampering] = inputs["tamperings"] | "Claim" >> beam.Map(claimed, known)
        return result


def _together(fact: PathFact) -> tuple[int, PathFact]:
    return 0, fact


def _joined(grouped: tuple[int, Iterable[PathFact]], log_path: LogPath) -> Iterator[dict[str, int]]:
    yield joined(grouped[1], log_path)
