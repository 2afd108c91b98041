"""Archive columns as the prefilter reads them: the bounds that a column sets to one field test."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.archive import RECORD_MEMBERS, Member, members_of
from transforms.sigma.bounds import Bounds
from transforms.sigma.predicate import FieldTest, Text, passes

# Runs of characters that every JSON writer puts as they are (or as \uXXXX), alike in keys, texts and objects.
_PLAIN_RUN = re.compile(r"[a-z0-9_.@=+-]{3,}")
# Letters that decimal numbers are written with (1e+16, inf, nan): a run of these alone may be another rendering.
_NUMBER_LETTERS = frozenset("einfa")


class Column(NamedTuple):
    """An archive column, or a member of a struct column."""

    name: str
    members: tuple[str, ...]


def _scalar_columns() -> dict[tuple[str, ...], Column]:
    """Each text or boolean column by its Sigma field path."""
    found: dict[tuple[str, ...], Column] = {}
    pending: list[tuple[tuple[str, ...], Column, Member]] = [
        ((member.vendor_name,), Column(member.name, ()), member) for member in RECORD_MEMBERS
    ]
    while pending:
        path, column, member = pending.pop()
        if pa.types.is_struct(member.arrow) and member.struct:
            pending += [
                ((*path, inner.vendor_name), Column(column.name, (*column.members, inner.name)), inner)
                for inner in members_of(member.struct)
            ]
        elif not member.json and not pa.types.is_list(member.arrow) and path != ("eventTime",):
            found[path] = column
    return found


SCALAR_COLUMNS = _scalar_columns()
LIST_COLUMNS: dict[tuple[str, ...], Column] = {
    (member.vendor_name, inner.vendor_name): Column(member.name, (inner.name,))
    for member in RECORD_MEMBERS
    if pa.types.is_list(member.arrow) and member.struct
    for inner in members_of(member.struct)
}
JSON_TEXT_COLUMNS = {member.vendor_name: member.name for member in RECORD_MEMBERS if member.json}


class Columns:
    """A table's columns as the prefilter needs them, each prepared once."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._encoded: dict[Column, Any] = {}
        self._overlaid: dict[str, Any] = {}
        self._as_said = table["unmapped"].null_count == table.num_rows
        self._bounds: dict[FieldTest, Bounds] = {}

    def encoded(self, column: Column) -> Any:
        """The column dictionary-encoded, nulls with a code of their own."""
        if column not in self._encoded:
            array = self.array(column.name)
            if column.members:
                array = pc.struct_field(array, list(column.members))
            self._encoded[column] = pc.dictionary_encode(array, null_encoding="encode")
        return self._encoded[column]

    def array(self, name: str) -> Any:
        """The column as one array."""
        column = self.table[name]
        return (
            column.chunk(0)
            if column.num_chunks == 1
            else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
        )

    def overlaid(self, vendor_name: str) -> Any:
        """Rows whose `unmapped` may replace the member, so that its column does not say what the record says."""
        if vendor_name not in self._overlaid:
            unmapped = self.array("unmapped")
            # A name may also be spelt with escapes, and begin a name with dots.
            named = pc.or_(pc.match_substring(unmapped, f'"{vendor_name}'), pc.match_substring(unmapped, "\\u"))
            self._overlaid[vendor_name] = pc.fill_null(named, fill_value=False)
        return self._overlaid[vendor_name]

    def scalar_bounds(self, node: FieldTest) -> Bounds:
        """Test a text or boolean column, each distinct value once."""
        if node.path not in SCALAR_COLUMNS:
            return Bounds()
        if node not in self._bounds:
            encoded = self.encoded(SCALAR_COLUMNS[node.path])
            table = [passes(node.test, [] if value is None else [value]) for value in encoded.dictionary.to_pylist()]
            mask = pc.take(pa.array(table, pa.bool_()), encoded.indices)
            self._bounds[node] = self._bounded(mask, node.path[0])
        return self._bounds[node]

    def _bounded(self, mask: Any, vendor_name: str) -> Bounds:
        """An exact mask, but for rows whose `unmapped` may say something else."""
        if self._as_said:
            return Bounds(mask, mask)
        overlaid = self.overlaid(vendor_name)
        return Bounds(pc.or_(mask, overlaid), pc.and_not(mask, overlaid))

    def bounds(self, node: FieldTest) -> Bounds:
        """Whatever the column of a field test allows: an exact test, or a search for a literal."""
        if node.path in SCALAR_COLUMNS:
            return self.scalar_bounds(node)
        literal = searched_literal(node)
        if literal is None:
            return Bounds()
        found = self._in_list(node.path, literal) if node.path in LIST_COLUMNS else self._in_json(node.path, literal)
        return Bounds(self._bounded(found, node.path[0]).possible)

    def _in_json(self, path: tuple[str, ...], literal: str) -> Any:
        """Rows whose JSON column has the literal."""
        return pc.fill_null(_search(self.array(JSON_TEXT_COLUMNS[path[0]]), literal), fill_value=False)

    def _in_list(self, path: tuple[str, ...], literal: str) -> Any:
        """Rows with an element whose text has the literal."""
        column = LIST_COLUMNS[path]
        lists = self.array(column.name)
        found = _search(pc.struct_field(pc.list_flatten(lists), list(column.members)), literal)
        rows = pc.list_parent_indices(lists).filter(found, null_selection_behavior="drop")
        return pc.is_in(pa.array(range(len(lists)), pa.int64()), value_set=rows.cast(pa.int64()))


def _search(text: Any, literal: str) -> Any:
    """Texts with the literal, or with what could stand for it: escapes, and letters that fold to ASCII ones."""
    return pc.match_substring_regex(text, rf"{re.escape(literal)}|\\u|[^\x00-\x7f]", ignore_case=True)


def column_names(tests: Iterable[FieldTest]) -> set[str]:
    """The archive columns that tests read."""
    scalars = {SCALAR_COLUMNS[test.path].name for test in tests if test.path in SCALAR_COLUMNS}
    lists = {LIST_COLUMNS[test.path].name for test in tests if test.path in LIST_COLUMNS}
    return scalars | lists | {JSON_TEXT_COLUMNS[test.path[0]] for test in tests if test.path[0] in JSON_TEXT_COLUMNS}


def searched_literal(node: FieldTest) -> str | None:
    """The literal that `Columns.bounds` searches a JSON or list column for; None where it knows no search."""
    searched = node.path in LIST_COLUMNS or node.path[0] in JSON_TEXT_COLUMNS
    return required_literal(node.test) if searched and isinstance(node.test, Text) else None


def required_literal(test: Text) -> str | None:
    """The longest run of plain characters that the JSON of every matching value contains, lowered."""
    runs = [run for part in test.parts if isinstance(part, str) for run in _PLAIN_RUN.findall(part.lower())]
    telling = [run for run in runs if any(char.isalpha() and char not in _NUMBER_LETTERS for char in run)]
    return max(telling, key=len, default=None)
