"""Small archive files of one day become a few large ones: the same rows in order of time, copies once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.archive import ARCHIVE_SCHEMA
from schemas.errors import LakeDamaged
from schemas.objects import EventFile
from schemas.storage import Storage
from transforms.dedupe import drop_archived_duplicates
from transforms.event_files import EventFiles
from transforms.sorted_runs import CHUNK_BYTES, RUN_BYTES, SortedRuns

_BATCH_ROWS = 4096
_BROKEN = (pa.ArrowException, OSError, ValueError, KeyError)


class MergedDay(msgspec.Struct, frozen=True):
    """The files written; rows of the files read; copies left out, by object; ids that came with two contents."""

    files: tuple[EventFile, ...]
    rows_read: int
    copies: Counter[str]
    conflicts: int


def merge_day(lake: Storage, name: str, files: Sequence[EventFile], file_bytes: int, pinned: pa.Array) -> MergedDay:
    """Merge files of one day into files of about `file_bytes`, `<name>-0.parquet` and so on.

    Copies of rows in other files are dropped, save those of the objects `pinned`. Memory holds one run of rows
    (`SortedRuns`) and one file as it is stored; what is sorted lies in temporary files.

    Errors: LakeDamaged for a file that is not as the ledger has it; StorageError.
    """
    runs, arrow_bytes = _sorted_runs(lake, files)
    rows_read = runs.rows
    writer = _FullFiles(lake, name, file_bytes)
    copies: Counter[str] = Counter()
    conflicts = 0
    for chunk in runs.chunks(max(1, rows_read * CHUNK_BYTES // max(1, arrow_bytes))):
        deduped = drop_archived_duplicates(chunk, pinned)
        copies += deduped.dropped
        conflicts += deduped.conflicts
        writer.write(deduped.table)
    return MergedDay(writer.close(), rows_read, copies, conflicts)


class _FullFiles:
    """Begins another file where one is full."""

    def __init__(self, lake: Storage, name: str, file_bytes: int) -> None:
        self._lake, self._name, self._file_bytes, self._number = lake, name, file_bytes, 0
        self._written: list[EventFile] = []
        self._files = EventFiles(lake, f"{name}-0")

    def write(self, rows: pa.Table) -> None:
        self._files.write(rows)
        if self._files.open_bytes >= self._file_bytes:
            self.close()
            self._number += 1
            self._files = EventFiles(self._lake, f"{self._name}-{self._number}")

    def close(self) -> tuple[EventFile, ...]:
        self._files.close()
        self._written += self._files.written
        self._files.written = []
        return tuple(self._written)


def _sorted_runs(lake: Storage, files: Sequence[EventFile]) -> tuple[SortedRuns, int]:
    runs, total_bytes = SortedRuns(), 0
    run: list[pa.RecordBatch] = []
    run_bytes = 0
    for file in files:
        for batch in _batches(lake, file):
            run.append(batch)
            run_bytes += int(batch.nbytes)
            if run_bytes >= RUN_BYTES:
                runs.add(run)
                run, run_bytes, total_bytes = [], 0, total_bytes + run_bytes
    if run:
        runs.add(run)
    return runs, total_bytes + run_bytes


def _batches(lake: Storage, file: EventFile) -> Iterator[pa.RecordBatch]:
    body = lake.read(file.path).body
    try:
        parquet = pq.ParquetFile(pa.BufferReader(body))
        if (len(body), parquet.metadata.num_rows) != (file.bytes, file.rows):
            raise LakeDamaged(f"{lake.root}/{file.path} is not as the ledger has it")
        for batch in parquet.iter_batches(_BATCH_ROWS):
            yield from pa.Table.from_batches([batch]).select(ARCHIVE_SCHEMA.names).cast(ARCHIVE_SCHEMA).to_batches()
    except _BROKEN as error:
        raise LakeDamaged(f"{lake.root}/{file.path}: {error}") from error
