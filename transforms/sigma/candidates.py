"""Which rows of an Arrow table each rule could hold for: never too few, cheaply almost none too many.

First by eventName, then by eventSource: what is left of each condition is kept for each pair ever seen. Then by text
columns, each distinct value tested once by the very function that decides in the end; then by literals that the JSON
columns must contain. Rows of pairs that leave the same conditions are looked at together; a condition that asks for no
call is tried on the columns of all rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from transforms.sigma.bounds import bounds, required_texts, residue
from transforms.sigma.columns import SCALAR_COLUMNS, Columns, Encoded, Rows, Verdicts, searched_literal
from transforms.sigma.predicate import AllOf, AnyOf, FieldTest, Node, Not

Known: TypeAlias = dict[tuple[str, ...], list[Any]]
"""Fields whose values are known, by path."""

_SOURCE, _NAME = ("eventSource",), ("eventName",)
_NO_CALL: Known = {_SOURCE: [], _NAME: []}  # a condition that may hold for it asks for no call: other columns tell
_GATES_KEPT = 50_000  # bounds memory where event names are hostile
_FEW = 8  # so few rows are decided sooner than searched


class _Rest(NamedTuple):
    """A condition's number, what is left of it, and whether a search of JSON columns can tell more of that."""

    number: int
    condition: Node | bool
    searched: bool


Gate: TypeAlias = tuple[_Rest, ...]
"""The conditions that may hold, by number."""


class Prefilter:
    """The conditions of a rule set, and what is left of them for each name, and each pair of name and source."""

    def __init__(self, conditions: Sequence[Node]) -> None:
        anywhere = [residue(condition, _NO_CALL) is not False for condition in conditions]
        rests = [_rest(number, condition) for number, condition in enumerate(conditions)]
        self._anywhere = tuple(itertools.compress(rests, anywhere))
        self._whole = tuple(rest for rest in rests if not anywhere[rest.number])
        self._any_name: list[_Rest] = []
        self._by_name: dict[str, list[_Rest]] = {}
        for rest in self._whole:
            names = _required_names(conditions[rest.number])
            for name in names:
                self._by_name.setdefault(name, []).append(rest)
            if not names:
                self._any_name.append(rest)
        self._names: dict[Any, Gate] = {}
        self._pairs: dict[tuple[Any, Any], Gate] = {}
        self._verdicts: Verdicts = {}

    def candidates(self, table: pa.Table) -> dict[int, list[int]]:
        """Rows (ascending) that a condition may hold for, each with the numbers of those conditions (ascending)."""
        columns = Columns(table, self._verdicts)
        found: dict[int, list[int]] = {}
        everywhere = np.arange(table.num_rows)
        for rest in self._anywhere:
            for row in _rows(rest, everywhere, columns).tolist():
                found.setdefault(row, []).append(rest.number)
        for gate, rows in self._gated(columns):
            some = columns.at(rows)
            for rest in gate:
                for row in _rows(rest, rows, some).tolist():
                    found.setdefault(row, []).append(rest.number)
        return {row: sorted(found[row]) for row in sorted(found)}

    def _gated(self, columns: Columns) -> Iterator[tuple[Gate, Rows]]:
        """Rows by the conditions that may hold for their source and name; no row is in two of the groups."""
        codes, names = columns.encoded(SCALAR_COLUMNS[_NAME])
        unsure = columns.overlaid("eventSource") | columns.overlaid("eventName")
        if unsure.any():
            yield self._whole, np.flatnonzero(unsure)
        by_name = np.array([bool(self._of_name(name)) for name in names], np.bool_)
        rows = np.flatnonzero(by_name[codes] & ~unsure)
        if len(rows):
            yield from self._by_pair(rows, Encoded(codes[rows], names), columns.at(rows))

    def _by_pair(self, rows: Rows, names: Encoded, columns: Columns) -> Iterator[tuple[Gate, Rows]]:
        sources = columns.encoded(SCALAR_COLUMNS[_SOURCE])
        width = len(sources.values)
        codes, of_rows = np.unique(names.codes.astype(np.int64) * width + sources.codes, return_inverse=True)
        groups: dict[Gate, int] = {}
        numbers = [
            groups.setdefault(self._of_pair(sources.values[code % width], names.values[code // width]), len(groups))
            for code in codes.tolist()
        ]
        group_of_rows = np.array(numbers)[of_rows]
        for gate, number in groups.items():
            if gate:
                yield gate, rows[group_of_rows == number]

    def _of_name(self, name: str | None) -> Gate:
        """What may hold for events of this name."""
        gate = self._names.get(name)
        if gate is None:
            named = self._by_name.get(name.lower(), []) if name is not None else []
            gate = _narrowed((*self._any_name, *named), {_NAME: _values(name)})
            _keep(self._names, name, gate)
        return gate

    def _of_pair(self, source: str | None, name: str | None) -> Gate:
        """What may hold for events of this source and name."""
        gate = self._pairs.get((source, name))
        if gate is None:
            gate = _narrowed(self._of_name(name), {_SOURCE: _values(source)})
            _keep(self._pairs, (source, name), gate)
        return gate


def _required_names(condition: Node) -> set[str]:
    """Lowered names of which an event must have one; none where it may have others."""
    texts = required_texts(condition, _NAME) or ()
    names = {part.lower() for text in texts for part in text.parts if isinstance(part, str)}
    return names if all(len(text.parts) == 1 for text in texts) else set()


def _keep(gates: dict[Any, Gate], key: Any, gate: Gate) -> None:
    if len(gates) >= _GATES_KEPT:
        gates.clear()
    gates[key] = gate


def _narrowed(gate: Gate, known: Known) -> Gate:
    left = ((rest.number, residue(rest.condition, known)) for rest in gate if not isinstance(rest.condition, bool))
    decided = [rest for rest in gate if isinstance(rest.condition, bool)]
    return tuple(
        sorted([*decided, *(_rest(number, condition) for number, condition in left if condition is not False)])
    )


def _rest(number: int, condition: Node | bool) -> _Rest:  # noqa: FBT001 - a truth value, not an option
    searched = not isinstance(condition, bool) and any(
        searched_literal(test) is not None for test in _field_tests(condition)
    )
    return _Rest(number, condition, searched)


def _rows(rest: _Rest, rows: Rows, columns: Columns) -> Rows:
    """Of `rows`, which `columns` holds, those that a condition may hold for."""
    if isinstance(rest.condition, bool):
        return rows
    possible = bounds(rest.condition, columns.scalar_bounds).possible
    kept = np.arange(len(rows)) if possible is None else np.flatnonzero(possible)
    if rest.searched and len(kept) > _FEW:
        possible = bounds(rest.condition, columns.at(kept).bounds).possible
        kept = kept if possible is None else kept[possible]
    return rows[kept]


def _values(value: str | None) -> list[Any]:
    return [] if value is None else [value]


def _field_tests(node: Node) -> Iterator[FieldTest]:
    match node:
        case AllOf(parts=parts) | AnyOf(parts=parts):
            for part in parts:
                yield from _field_tests(part)
        case Not(part=part):
            yield from _field_tests(part)
        case FieldTest():
            yield node
