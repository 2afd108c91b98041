"""Bundles to archive files, on as many cores as there are: the one heavy step of the job."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from schemas.objects import Bundle
from transforms.archive_job import archive_bundle
from transforms.bundle_writer import ArchiveJob, BundleReport
from transforms.workers import archive_here, start_pool


class ArchiveBundles(beam.PTransform):
    """Bundle → BundleReport, once the bundle is committed.

    With `workers` above one, bundles go to a pool of processes of this step's own: the way to use a second core under
    an in-process runner. On Flink and Dataflow, whose workers are the pool, it is one.
    """

    def __init__(self, job: ArchiveJob, workers: int) -> None:
        super().__init__()
        self._job = job
        self._workers = workers

    def expand(self, bundles: beam.PCollection[Bundle]) -> beam.PCollection[BundleReport]:
        return bundles | beam.ParDo(_Archive(self._job, self._workers))


class _Archive(beam.DoFn):
    """A first bundle waits to see whether a second comes: a single one is not worth starting processes for."""

    def __init__(self, job: ArchiveJob, workers: int) -> None:
        self._job = job
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def start_bundle(self) -> None:
        self._first: Bundle | None = None
        self._running: set[Future[BundleReport]] = set()

    def process(self, bundle: Bundle) -> Iterator[BundleReport]:
        if self._workers == 1:
            yield archive_bundle(self._job, bundle)
            return
        if self._pool is None:
            if self._first is None:
                self._first = bundle
                return
            self._pool = start_pool(self._job, self._workers)
            self._submit(self._first)
            self._first = None
        while len(self._running) >= 2 * self._workers:
            yield from self._done()
        self._submit(bundle)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        window = GlobalWindow()
        if self._first is not None:
            yield WindowedValue(archive_bundle(self._job, self._first), window.max_timestamp(), (window,))
        while self._running:
            for report in self._done():
                yield WindowedValue(report, window.max_timestamp(), (window,))

    def teardown(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _submit(self, bundle: Bundle) -> None:
        assert self._pool is not None  # noqa: S101 - started by `process`
        self._running.add(self._pool.submit(archive_here, bundle))

    def _done(self) -> list[BundleReport]:
        done, self._running = wait(self._running, return_when=FIRST_COMPLETED)
        return [future.result() for future in done]
