"""Compiled rules, and their evaluation on archive rows."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa

from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.readable_records import readable_records
from transforms.sigma.candidates import Prefilter
from transforms.sigma.events import Event, holds
from transforms.sigma.rule import Provenance, Rule, tampering_of


class RuleSet(msgspec.Struct, frozen=True, dict=True):
    """All rules of a run; picklable, and evaluated without pySigma."""

    rules: tuple[Rule, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """As compressed JSON: Beam pickles each step that has rules, and Python objects by the thousand are slow."""
        return _unpacked, (self._packed,)

    @functools.cached_property
    def _packed(self) -> bytes:
        return zlib.compress(msgspec.json.encode(self.rules), 1)

    @functools.cached_property
    def _prefilter(self) -> Prefilter:
        return Prefilter([rule.condition for rule in self.rules])

    def evaluate(self, table: pa.Table, log_path: LogPath) -> list[Tampering]:
        """What the rules find in rows of the archive, in row order, then rule order.

        Args:
            table: Rows with the columns of `ARCHIVE_SCHEMA`; only few ever become Python objects.
            log_path: What is declared as ours; decides `derived.*` fields and severity.
        """
        candidates = self._prefilter.candidates(table)
        rows = table.take(pa.array(candidates, pa.int64()))
        found: list[Tampering] = []
        for record, provenance, numbers in zip(
            readable_records(rows), _provenance(rows), candidates.values(), strict=True
        ):
            event = Event(record, log_path)
            held = (self.rules[number] for number in numbers if holds(self.rules[number].condition, event))
            found.extend(tampering_of(rule, event, provenance) for rule in held)
        return found


@functools.lru_cache(maxsize=2)
def _unpacked(packed: bytes) -> RuleSet:
    """One rule set for all steps of a process, with what its prefilter has learned."""
    return RuleSet(msgspec.json.decode(zlib.decompress(packed), type=tuple[Rule, ...]))


def _provenance(rows: pa.Table) -> Iterator[Provenance]:
    columns = (rows["event_time"].cast(pa.int64()), rows["delivered_at"].cast(pa.int64()), rows["object_key"])
    return map(Provenance, *(column.to_pylist() for column in columns))
