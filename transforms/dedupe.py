"""Copies of one record within a bundle, or among archive files that are merged.

A second trail delivers the same events again, in other objects. Source: AWS CloudTrail user guide: duplicates occur
and "in most cases" carry the same eventID. A copy is dropped only when everything CloudTrail wrote is the same; one id
with two contents is kept and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_PROVENANCE = frozenset({"object_number", "record_index", "object_key", "delivered_at"})


class Deduped(msgspec.Struct, frozen=True):
    """Rows without copies; `dropped` has the object number of each row left out; `conflicts` counts ids in dispute."""

    table: pa.Table
    dropped: npt.NDArray[np.int32]
    conflicts: int


class DedupedRows(msgspec.Struct, frozen=True):
    """Archive rows without copies; `dropped` counts rows left out by `object_key`."""

    table: pa.Table
    dropped: Counter[str]
    conflicts: int


def drop_duplicates(table: pa.Table) -> Deduped:
    """Keep the first of equal rows in a flat table whose copies, having equal times, all lie in it.

    Rows without `event_id` are never copies of anything. An id whose contents differ in time may lie in two tables,
    and then goes uncounted: `conflicts` is a least number.
    """
    drop, conflicts = _copies(table)
    if not len(drop):
        return Deduped(table, np.empty(0, np.int32), conflicts)
    numbers = table["object_number"].combine_chunks().to_numpy()
    return Deduped(_without(table, drop), numbers[drop], conflicts)


def drop_archived_duplicates(table: pa.Table, pinned: pa.Array) -> DedupedRows:
    """The same for rows of the archive (`ARCHIVE_SCHEMA`); rows of the objects (`object_key`) `pinned` all stay."""
    drop, conflicts = _copies(table)
    if len(drop) and len(pinned):
        free = pc.invert(pc.is_in(table["object_key"].take(pa.array(drop)), value_set=pinned))
        drop = drop[free.to_numpy()]
    if not len(drop):
        return DedupedRows(table, Counter(), conflicts)
    return DedupedRows(_without(table, drop), Counter(table["object_key"].take(pa.array(drop)).to_pylist()), conflicts)


def _copies(table: pa.Table) -> tuple[npt.NDArray[np.int64], int]:
    """Positions of rows that are copies of an earlier one, and how many ids are in dispute."""
    ids = _codes(table["event_id"])
    repeated = (np.bincount(ids + 1)[ids + 1] > 1) & (ids >= 0)
    suspects = np.flatnonzero(repeated)
    if not len(suspects):
        return suspects, 0
    contents = _contents(table.take(pa.array(suspects)))
    _, first = np.unique(contents, axis=0, return_index=True)
    drop: npt.NDArray[np.int64] = np.setdiff1d(suspects, suspects[first], assume_unique=True)
    per_id = np.unique(_owners(table, suspects[first]), axis=0, return_counts=True)[1]
    return drop, int(np.count_nonzero(per_id > 1))


def _without(table: pa.Table, drop: npt.NDArray[np.int64]) -> pa.Table:
    keep = np.ones(table.num_rows, np.bool_)
    keep[drop] = False
    return table.filter(pa.array(keep))


def _owners(table: pa.Table, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    chosen = table.select(["event_id", "recipient_account_id"]).take(pa.array(rows))
    return np.column_stack([_codes(column) for column in chosen.columns])


def _contents(table: pa.Table) -> npt.NDArray[np.int64]:
    """Each row as numbers that are equal exactly where its columns are."""
    columns = [table[name] for name in table.column_names if name not in _PROVENANCE]
    return np.column_stack([codes for column in columns for codes in _all_codes(column)])


def _all_codes(column: pa.ChunkedArray) -> Iterator[npt.NDArray[np.int64]]:
    """The codes of a column; of a struct those of its members, and where it is null."""
    if column.null_count == len(column):
        return
    if pa.types.is_struct(column.type):
        yield _codes(pc.is_valid(column))
        for member in column.flatten():
            yield from _all_codes(member)
    elif pa.types.is_list(column.type):
        texts = [None if value is None else repr(value) for value in column.to_pylist()]
        yield _codes(pa.chunked_array([pa.array(texts, pa.string())]))
    else:
        yield _codes(column)


def _codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Number the distinct values of a column; null is -1."""
    whole = column.combine_chunks()
    codes = whole.cast(pa.int8()) if pa.types.is_boolean(whole.type) else whole.dictionary_encode().indices
    numbers: npt.NDArray[np.int64] = codes.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return numbers
