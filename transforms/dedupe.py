"""Copies of one record within a bundle: a second trail delivers the same events again, in other objects.

Source: AWS CloudTrail user guide: duplicates occur and "in most cases" carry the same eventID. A copy is dropped only
when everything CloudTrail wrote is the same; one id with two contents is kept and counted.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

_PROVENANCE = ("object_number", "record_index")


class Deduped(msgspec.Struct, frozen=True):
    """Rows without copies; `dropped` has the object number of each row left out; `conflicts` counts ids in dispute."""

    table: pa.Table
    dropped: npt.NDArray[np.int32]
    conflicts: int


def drop_duplicates(table: pa.Table) -> Deduped:
    """Keep the first of equal rows in a flat table whose copies, having equal times, all lie in it.

    Rows without `event_id` are never copies of anything. An id whose contents differ in time may lie in two tables,
    and then goes uncounted: `conflicts` is a least number.
    """
    ids = _codes(table["event_id"])
    repeated = (np.bincount(ids + 1)[ids + 1] > 1) & (ids >= 0)
    suspects = np.flatnonzero(repeated)
    if not len(suspects):
        return Deduped(table, np.empty(0, np.int32), 0)
    contents = _contents(table.take(pa.array(suspects)))
    _, first = np.unique(contents, axis=0, return_index=True)
    drop = np.setdiff1d(suspects, suspects[first], assume_unique=True)
    per_id = np.unique(_owners(table, suspects[first]), axis=0, return_counts=True)[1]
    keep = np.ones(table.num_rows, np.bool_)
    keep[drop] = False
    numbers = table["object_number"].combine_chunks().to_numpy()
    return Deduped(table.filter(pa.array(keep)), numbers[drop], int(np.count_nonzero(per_id > 1)))


def _owners(table: pa.Table, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    chosen = table.select(["event_id", "recipient_account_id"]).take(pa.array(rows))
    return np.column_stack([_codes(column) for column in chosen.columns])


def _contents(table: pa.Table) -> npt.NDArray[np.int64]:
    """Each row as numbers that are equal exactly where its columns are."""
    columns = [table[name] for name in table.column_names if name not in _PROVENANCE]
    return np.column_stack([_codes(column) for column in columns if column.null_count < len(column)])


def _codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Number the distinct values of a column; null is -1."""
    whole = column.combine_chunks()
    codes = whole.cast(pa.int8()) if pa.types.is_boolean(whole.type) else whole.dictionary_encode().indices
    numbers: npt.NDArray[np.int64] = codes.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return numbers
