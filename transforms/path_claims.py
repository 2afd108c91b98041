"""Findings on what has shown to be on the log path count in full, as on what is declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.pvalue import PCollection

from schemas.log_path import PathFact
from schemas.tampering import Tampering
from schemas.trails import LogPath, Ownership
from transforms.path_graph import PathGraph

_NEVER_US = 2**63


class Joined:
    """When each resource became known to be on the path: its canonical name, and the delivery that showed it."""

    def __init__(self, log_path: LogPath) -> None:
        self.since_us: dict[str, int] = {}
        self._graph = PathGraph(log_path)

    def learn(self, facts: Iterable[PathFact]) -> None:
        """Take in facts, none of which was delivered before those that are known."""
        for fact in sorted(facts, key=lambda each: (each.delivered_us, each.identity)):
            for name in self._graph.learn(fact):
                self.since_us.setdefault(name, fact.delivered_us)


def joined(facts: Iterable[PathFact], log_path: LogPath) -> dict[str, int]:
    """When each resource became known to be on the path by all these facts."""
    path = Joined(log_path)
    path.learn(facts)
    return path.since_us


def claimed(tampering: Tampering, since_us: Mapping[str, int]) -> Tampering:
    """The finding as it is, or at its rule's severity if what it touched was known to be ours when it was delivered."""
    if tampering.own_severity is None:
        return tampering
    if all(since_us.get(name, _NEVER_US) > tampering.delivered_us for name in tampering.touched):
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
