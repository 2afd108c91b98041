"""`trailcanary export`: the records again, as CloudTrail wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.compactions import read_compactions
from pipeline.lake_connection import connect, dead_letters
from pipeline.views import kinds_present, lake_files
from schemas.dead_letters import Reason
from schemas.errors import LakeDamaged, UsageError
from schemas.storage import Storage
from transforms.rebuild import record_lines

_BATCH_ROWS = 2_000


def export_records(storage: Storage, where: str | None, out: BinaryIO) -> int:
    """Write the archive's records to `out`, one JSON object a line; return how many.

    Each is equal to what was delivered, up to the order of names and absent ≡ null. They come file by file, by
    `event_time` within one, and a batch at a time, so that memory stays flat. Records that are whole but for their
    time, and so are dead letters, come last. `where` is a SQL condition on the view `events`; it may ask others too.

    Raises:
        UsageError: no lake, or a condition that DuckDB refuses.
        LakeDamaged: a file of the archive cannot be read.
        StorageError: the lake cannot be listed or read.
    """
    batches = _archived(storage) if where is None else _selected(storage, where)
    count = 0
    for batch in batches:
        out.writelines(line + b"\n" for line in record_lines(batch))
        count += batch.num_rows
    timeless = _timeless(storage) if where is None else []
    out.writelines(timeless)
    return count + len(timeless)


def _timeless(storage: Storage) -> list[bytes]:
    """Dead records that are JSON objects and were kept whole, as lines: a line break in JSON is white space."""
    rows = dead_letters(storage).to_pylist()
    return [
        row["body"].replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"
        for row in rows
        if row["reason"] == Reason.NO_EVENT_TIME.value and len(row["body"]) == row["body_size"]
    ]


def _archived(storage: Storage) -> Iterator[pa.RecordBatch]:
    if not kinds_present(storage):
        raise UsageError([f"{storage.root}: no lake there; `trailcanary run --output` makes one"])
    for path in lake_files(storage, read_compactions(storage), "events"):
        body = storage.read(path).body
        try:
            yield from pq.ParquetFile(pa.BufferReader(body)).iter_batches(_BATCH_ROWS)
        except (pa.ArrowException, OSError) as error:
            raise LakeDamaged(f"{storage.root}/{path}: {error}") from error


def _selected(storage: Storage, where: str) -> Iterator[pa.RecordBatch]:
    sql = f"SELECT * FROM events WHERE (\n{where}\n)"  # noqa: S608 - the user's own SQL, on the user's own files
    with connect(storage) as connection:
        try:
            if len(connection.extract_statements(sql)) != 1:
                raise UsageError([f"--where: not one SQL condition: {where}"])
            # Streams, in the order of files and rows (DuckDB's `preserve_insertion_order`), also where it reads ahead.
            reader: Any = connection.sql(sql).to_arrow_reader(_BATCH_ROWS)
            yield from reader
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise UsageError([f"--where: {error}"]) from error
