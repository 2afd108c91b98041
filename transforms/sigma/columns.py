"""Archive columns as the prefilter reads them: the bounds that a column sets to one field test."""

from __future__ import annotations

import copy
import re
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.archive import RECORD_MEMBERS, Member, members_of
from transforms.sigma.bounds import Bounds, Mask, Tests
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


Rows: TypeAlias = npt.NDArray[np.int64]
"""Positions of rows, ascending."""


Verdicts: TypeAlias = dict[Tests, dict[Any, bool]]
"""Whether a value of a column passes any of some tests."""

_VERDICTS_KEPT = 20_000  # for each tests; bounds memory where values are hostile


class Encoded(NamedTuple):
    """A column as codes, one a row, into its distinct values, of which null is one."""

    codes: npt.NDArray[np.int32]
    values: list[Any]


class Columns:
    """A table's columns as the prefilter needs them, or some rows of them; each is prepared once, when it is asked for.

    Of a struct column only the wanted member is ever taken.
    """

    def __init__(self, table: pa.Table, verdicts: Verdicts | None = None) -> None:
        self._verdicts: Verdicts = {} if verdicts is None else verdicts
        self._arrays = {name: table[name] for name in table.column_names}
        self._rows: Any = None
        self._as_said = table["unmapped"].null_count == table.num_rows
        self._forget()

    def at(self, rows: Rows) -> Columns:
        """The columns at some of their rows."""
        some = copy.copy(self)
        some._rows = pa.array(rows if self._rows is None else self._rows.to_numpy()[rows])
        some._forget()
        some._bounds = {
            tests: Bounds(*(None if each is None else each[rows] for each in self._bounds[tests]))
            for tests in self._bounds
        }
        return some

    def _forget(self) -> None:
        self._taken: dict[Column, Any] = {}
        self._encoded: dict[Column, Encoded] = {}
        self._overlaid: dict[str, Mask] = {}
        self._bounds: dict[Tests, Bounds] = {}

    def encoded(self, column: Column) -> Encoded:
        """The column dictionary-encoded."""
        if column not in self._encoded:
            encoded = pc.dictionary_encode(self.array(*column), null_encoding="encode")
            self._encoded[column] = Encoded(encoded.indices.to_numpy(), encoded.dictionary.to_pylist())
        return self._encoded[column]

    def array(self, name: str, members: tuple[str, ...] = ()) -> Any:
        """The column, or a member of it, as one array."""
        column = Column(name, members)
        if column not in self._taken:
            array = self._whole(name)
            if members:
                array = pc.struct_field(array, list(members))
            self._taken[column] = array if self._rows is None else pc.take(array, self._rows)
        return self._taken[column]

    def _whole(self, name: str) -> Any:
        array = self._arrays[name]
        if isinstance(array, pa.ChunkedArray):
            self._arrays[name] = array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
        return array

    def overlaid(self, vendor_name: str) -> Mask:
        """Rows whose `unmapped` may replace the member, so that its column does not say what the record says."""
        if vendor_name not in self._overlaid:
            unmapped = self.array("unmapped")
            # A name may also be spelt with escapes, and begin a name with dots.
            named = pc.or_(pc.match_substring(unmapped, f'"{vendor_name}'), pc.match_substring(unmapped, "\\u"))
            self._overlaid[vendor_name] = _mask(named)
        return self._overlaid[vendor_name]

    def scalar_bounds(self, tests: Tests) -> Bounds:
        """Test a text or boolean column, each distinct value once."""
        path = tests[0].path
        if path not in SCALAR_COLUMNS:
            return Bounds()
        if tests not in self._bounds:
            codes, values = self.encoded(SCALAR_COLUMNS[path])
            table = np.array(self._judged(tests, values), np.bool_)
            self._bounds[tests] = self._bounded(table[codes], path[0])
        return self._bounds[tests]

    def _judged(self, tests: Tests, values: list[Any]) -> list[bool]:
        """Whether each value passes any test; values that were met before are not tested again."""
        known = self._verdicts.setdefault(tests, {})
        if len(known) > _VERDICTS_KEPT:
            known.clear()  # maybe while another thread reads: nothing below counts on what was put in
        judged: list[bool] = []
        for value in values:
            verdict = known.get(value)
            if verdict is None:
                verdict = any(passes(each.test, [] if value is None else [value]) for each in tests)
                known[value] = verdict
            judged.append(verdict)
        return judged

    def _bounded(self, mask: Mask, vendor_name: str) -> Bounds:
        """An exact mask, but for rows whose `unmapped` may say something else."""
        if self._as_said:
            return Bounds(mask, mask)
        overlaid = self.overlaid(vendor_name)
        return Bounds(mask | overlaid, mask & ~overlaid)

    def bounds(self, tests: Tests) -> Bounds:
        """Whatever the column of some field tests allows: an exact test, or a search for literals."""
        path = tests[0].path
        if path in SCALAR_COLUMNS:
            return self.scalar_bounds(tests)
        literals = [literal for each in tests if (literal := searched_literal(each)) is not None]
        if len(literals) < len(tests):
            return Bounds()
        if tests not in self._bounds:
            search = self._in_list if path in LIST_COLUMNS else self._in_json
            self._bounds[tests] = Bounds(self._bounded(search(path, literals), path[0]).possible)
        return self._bounds[tests]

    def _in_json(self, path: tuple[str, ...], literals: list[str]) -> Mask:
        """Rows whose JSON column has one of the literals."""
        return _mask(_search(self.array(JSON_TEXT_COLUMNS[path[0]]), literals))

    def _in_list(self, path: tuple[str, ...], literals: list[str]) -> Mask:
        """Rows with an element whose text has one of the literals."""
        column = LIST_COLUMNS[path]
        lists = self.array(column.name)
        found = _mask(_search(pc.struct_field(pc.list_flatten(lists), list(column.members)), literals))
        mask = np.zeros(len(lists), np.bool_)
        mask[pc.list_parent_indices(lists).to_numpy()[found]] = True
        return mask


def _mask(found: Any) -> Mask:
    """A boolean array as a mask, without its nulls."""
    mask: Mask = (pc.fill_null(found, fill_value=False) if found.null_count else found).to_numpy(zero_copy_only=False)
    return mask


def _search(text: Any, literals: list[str]) -> Any:
    """Texts with a literal, or with what could stand for it: escapes, and letters that fold to ASCII ones."""
    pattern = "|".join([*map(re.escape, literals), r"\\u", r"[^\x00-\x7f]"])
    return pc.match_substring_regex(text, pattern, ignore_case=True)


def searched_literal(node: FieldTest) -> str | None:
    """The literal that `Columns.bounds` searches a JSON or list column for; None where it knows no search."""
    searched = node.path in LIST_COLUMNS or node.path[0] in JSON_TEXT_COLUMNS
    return required_literal(node.test) if searched and isinstance(node.test, Text) else None


def required_literal(test: Text) -> str | None:
    """The longest run of plain characters that the JSON of every matching value contains, lowered."""
    runs = [run for part in test.parts if isinstance(part, str) for run in _PLAIN_RUN.findall(part.lower())]
    telling = [run for run in runs if any(char.isalpha() and char not in _NUMBER_LETTERS for char in run)]
    return max(telling, key=len, default=None)
