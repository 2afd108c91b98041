"""Which rows of an Arrow table each rule could hold for: never too few, cheaply almost none too many.

First by (eventSource, eventName), the answer kept for each pair ever seen; then by text columns, each distinct value
tested once by the very function that decides in the end; then by literals that the JSON columns must contain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from transforms.sigma.bounds import bounds, verdict
from transforms.sigma.columns import SCALAR_COLUMNS, Columns, column_names, searched_literal
from transforms.sigma.predicate import AllOf, AnyOf, FieldTest, Node, Not

Known: TypeAlias = dict[tuple[str, ...], list[Any]]
"""Fields whose values are known, by path."""

_SOURCE, _NAME = ("eventSource",), ("eventName",)
_GATES_KEPT = 50_000  # bounds memory where event names are hostile
_FEW = 64  # so few rows are decided sooner than searched


class Prefilter:
    """The conditions of a rule set, and what is known of them for each pair of source and name."""

    def __init__(self, conditions: Sequence[Node]) -> None:
        self._conditions = conditions
        self._gates: dict[tuple[Any, Any], tuple[int, ...]] = {}
        self._sources: dict[Any, tuple[int, ...]] = {}
        tests = [list(_field_tests(condition)) for condition in conditions]
        self._searched = [any(searched_literal(test) is not None for test in some) for some in tests]
        self._columns = [sorted({"unmapped", *column_names(some)}) for some in tests]
        self._all_columns = sorted({"unmapped"}.union(*self._columns))

    def candidates(self, table: pa.Table) -> dict[int, list[int]]:
        """Rows (ascending) that a condition may hold for, each with the numbers of those conditions (ascending)."""
        positions, gates = self._gated(table)
        if not gates:
            return {}
        columns = Columns(table.select(self._all_columns).take(positions))
        found: dict[int, list[int]] = {}
        for number in sorted(gates):
            for row in self._rows(number, gates[number], columns):
                found.setdefault(row, []).append(number)
        return {positions[row].as_py(): found[row] for row in sorted(found)}

    def _gated(self, table: pa.Table) -> tuple[Any, dict[int, Any]]:
        """Positions of rows with a promising source and name, and for each condition a mask over those rows."""
        columns = Columns(table)
        source, name = (columns.encoded(SCALAR_COLUMNS[path]) for path in (_SOURCE, _NAME))
        width = len(source.dictionary)
        pairs = pc.add(pc.multiply(name.indices.cast(pa.int64()), width), source.indices.cast(pa.int64()))
        encoded = pc.dictionary_encode(pairs)
        sources, names = source.dictionary.to_pylist(), name.dictionary.to_pylist()
        gates = [self._gate(sources[pair % width], names[pair // width]) for pair in encoded.dictionary.to_pylist()]
        overlaid = pc.or_(columns.overlaid("eventSource"), columns.overlaid("eventName"))
        positions = pc.indices_nonzero(pc.or_(_lookup([bool(gate) for gate in gates], encoded.indices), overlaid))
        codes, unsure = pc.take(encoded.indices, positions), pc.take(overlaid, positions)
        numbers = set(range(len(self._conditions))) if pc.any(unsure).as_py() else {n for gate in gates for n in gate}
        return positions, {n: pc.or_(_lookup([n in gate for gate in gates], codes), unsure) for n in numbers}

    def _gate(self, source: str | None, name: str | None) -> tuple[int, ...]:
        """The conditions that may hold for events of this source and name."""
        gate = self._gates.get((source, name))
        if gate is None:
            known: Known = {_SOURCE: _values(source), _NAME: _values(name)}
            gate = tuple(n for n in self._of_source(source) if verdict(self._conditions[n], known) is not False)
            if len(self._gates) >= _GATES_KEPT:
                self._gates.clear()
            self._gates[source, name] = gate
        return gate

    def _of_source(self, source: str | None) -> tuple[int, ...]:
        """The conditions that may hold for some event of this source."""
        numbers = self._sources.get(source)
        if numbers is None:
            known: Known = {_SOURCE: _values(source)}
            numbers = tuple(n for n, node in enumerate(self._conditions) if verdict(node, known) is not False)
            if len(self._sources) >= _GATES_KEPT:
                self._sources.clear()
            self._sources[source] = numbers
        return numbers

    def _rows(self, number: int, gate: Any, columns: Columns) -> list[int]:
        """Rows that one condition may hold for, by its other fields."""
        condition = self._conditions[number]
        possible = bounds(condition, columns.scalar_bounds).possible
        rows = pc.indices_nonzero(gate if possible is None else pc.and_(gate, possible))
        if self._searched[number] and len(rows) > _FEW:
            narrowed = Columns(columns.table.select(self._columns[number]).take(rows))
            possible = bounds(condition, narrowed.bounds).possible
            rows = rows if possible is None else rows.filter(possible)
        return list(rows.to_pylist())


def _values(value: str | None) -> list[Any]:
    return [] if value is None else [value]


def _lookup(values: list[bool], codes: Any) -> Any:
    return pc.take(pa.array(values, pa.bool_()), codes)


def _field_tests(node: Node) -> Iterator[FieldTest]:
    match node:
        case AllOf(parts=parts) | AnyOf(parts=parts):
            for part in parts:
                yield from _field_tests(part)
        case Not(part=part):
            yield from _field_tests(part)
        case FieldTest():
            yield node
