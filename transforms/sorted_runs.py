"""A bundle's rows in order of time, in bounded memory: sorted runs, spilled beside the job, merged by time ranges.

Objects come in order of delivery, so runs overlap by minutes only and a merge rarely reads a row twice.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

RUN_BYTES = 64 * 1024 * 1024
"""Inflated JSON in one run: what a worker holds at a time, give or take its copies. Small bundles are a single run."""

CHUNK_BYTES = 24 * 1024 * 1024
"""Inflated JSON behind one chunk of sorted rows, which becomes a row group."""

_SPILL_ROWS = 4096

Times = npt.NDArray[np.int64]


class _Run:
    """One sorted table; `spill` moves its rows to a temporary file that vanishes with the process."""

    def __init__(self, table: pa.Table) -> None:
        self.times = times_of(table)
        self._table: pa.Table | None = table
        self._file: IO[bytes] | None = None
        self._reader: pa.ipc.RecordBatchFileReader | None = None

    def spill(self) -> None:
        if self._table is None:
            return
        self._file = tempfile.TemporaryFile(prefix="trailcanary-")  # noqa: SIM115 - closed with the run
        with pa.ipc.new_file(self._file, self._table.schema) as writer:
            writer.write_table(self._table, max_chunksize=_SPILL_ROWS)
        self._table = None
        self._reader = pa.ipc.open_file(pa.PythonFile(self._file, mode="r"))

    def rows(self, start: int, stop: int) -> pa.Table:
        if self._table is not None:
            return self._table.slice(start, stop - start)
        assert self._reader is not None  # noqa: S101 - a run without a table has been spilled
        first, last = start // _SPILL_ROWS, (stop - 1) // _SPILL_ROWS
        batches = [self._reader.get_batch(number) for number in range(first, last + 1)]
        return pa.Table.from_batches(batches).slice(start - first * _SPILL_ROWS, stop - start)

    def close(self) -> None:
        self._table = self._reader = None
        if self._file is not None:
            self._file.close()


class SortedRuns:
    """Collects flat tables (`transforms.columns`) and gives them back in time order."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def add(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Sort batches into a run; all runs but a single one live in temporary files."""
        table = _sorted(pa.Table.from_batches(batches))
        if table.num_rows:
            self._runs.append(_Run(table))
        if len(self._runs) > 1:
            for run in self._runs:
                run.spill()

    @property
    def rows(self) -> int:
        """Rows collected."""
        return sum(len(run.times) for run in self._runs)

    def chunks(self, chunk_rows: int) -> Iterator[pa.Table]:
        """Tables of about `chunk_rows` rows by (event_time, object, index); rows of one time never lie in two.

        Given once: the temporary files are closed behind the last.
        """
        try:
            if self._runs:
                yield from self._chunks(chunk_rows)
        finally:
            for run in self._runs:
                run.close()

    def _chunks(self, chunk_rows: int) -> Iterator[pa.Table]:
        ordered = np.sort(np.concatenate([run.times for run in self._runs]))
        cuts = np.unique(ordered[chunk_rows::chunk_rows])
        for low, high in zip([None, *cuts], [*cuts, None], strict=True):
            parts = [
                run.rows(start, stop)
                for run in self._runs
                for start, stop in [_range(run.times, low, high)]
                if stop > start
            ]
            if len(parts) == 1:
                yield parts[0]
            elif parts:
                yield _sorted(pa.concat_tables(parts))


def times_of(table: pa.Table) -> Times:
    """The event times of a table, microseconds."""
    times: Times = table["event_time"].combine_chunks().cast(pa.int64()).to_numpy(zero_copy_only=False)
    return times


def _range(times: Times, low: int | None, high: int | None) -> tuple[int, int]:
    start = 0 if low is None else int(np.searchsorted(times, low))
    return start, len(times) if high is None else int(np.searchsorted(times, high))


def _sorted(table: pa.Table) -> pa.Table:
    """By time; rows of one time stay in the order of objects and records, in which they came."""
    return table.take(pa.array(np.argsort(times_of(table), kind="stable")))
