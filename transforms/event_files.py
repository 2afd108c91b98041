"""The archive's Parquet files: one for each bundle and day, in order of time."""

from __future__ import annotations

import datetime as dt
import itertools
import mmap
import tempfile
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.archive import ARCHIVE_SCHEMA
from schemas.objects import EventFile
from schemas.storage import Storage
from schemas.times import DAY_US
from transforms.sorted_runs import times_of

_EPOCH = dt.date(1970, 1, 1)

# Nearly every value differs in these: a dictionary would be built, overflow and be thrown away.
_PLAIN = {
    "event_id",
    "request_id",
    "shared_event_id",
    "request_parameters",
    "response_elements",
    "additional_event_data",
}
# Nor in members of structs: DuckDB 2.0 fails on `WHERE user_identity.arn = … ORDER BY … LIMIT …` if they have one.
DICTIONARY = [field.name for field in ARCHIVE_SCHEMA if field.name not in _PLAIN and not pa.types.is_nested(field.type)]
# Columns whose least and greatest values let a reader skip row groups; in the others they only cost time.
STATISTICS = [
    "event_time",
    "event_name",
    "event_source",
    "aws_region",
    "error_code",
    "recipient_account_id",
    "object_key",
    "delivered_at",
]
COMPRESSION_LEVEL = 1


class EventFiles:
    """Writes sorted rows of one bundle, a file a day; each file appears whole or not at all.

    A file grows in a temporary one, not in memory.
    Errors: StorageError from the lake ends the bundle, which then has no ledger part and is done again.
    """

    def __init__(self, lake: Storage, bundle: str) -> None:
        self._lake = lake
        self._bundle = bundle
        self._day: int | None = None
        self._spool: IO[bytes] | None = None
        self._writer: pq.ParquetWriter | None = None
        self.written: list[EventFile] = []

    def write(self, table: pa.Table) -> None:
        """Append rows (`ARCHIVE_SCHEMA`), none earlier than those before; each call is a row group a day."""
        days = times_of(table) // DAY_US
        borders = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
        for start, stop in itertools.pairwise(borders):
            if stop > start:
                self._write_day(int(days[start]), table.slice(start, stop - start))

    def _write_day(self, day: int, rows: pa.Table) -> None:
        if day != self._day:
            self.close()
            self._day, self._spool = day, tempfile.TemporaryFile(prefix="trailcanary-")  # noqa: SIM115 - by `close`
            self._writer = pq.ParquetWriter(
                self._spool,
                ARCHIVE_SCHEMA,
                compression="zstd",
                compression_level=COMPRESSION_LEVEL,
                use_dictionary=DICTIONARY,
                write_statistics=STATISTICS,
                sorting_columns=[pq.SortingColumn(0)],
            )
        assert self._writer is not None  # noqa: S101 - opened above
        self._writer.write_table(rows, row_group_size=rows.num_rows)

    @property
    def open_bytes(self) -> int:
        """Size so far of the file that is being written."""
        return 0 if self._spool is None else self._spool.tell()

    def close(self) -> None:
        """Finish the open file and write it to the lake."""
        if self._writer is None or self._spool is None or self._day is None:
            return
        self._writer.close()
        path = f"events/event_date={_EPOCH + dt.timedelta(days=self._day)}/{self._bundle}.parquet"
        self._spool.flush()
        with self._spool, mmap.mmap(self._spool.fileno(), 0, access=mmap.ACCESS_READ) as body:
            with memoryview(body) as view:
                self._lake.write(path, view)
            body.seek(0)
            rows = pq.read_metadata(body).num_rows  # of the very bytes that were written
            self.written.append(EventFile(path, rows, len(body)))
        self._day = self._spool = self._writer = None
