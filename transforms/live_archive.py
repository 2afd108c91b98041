"""Bundles of a stream to archive files, each once, whatever the runner does again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import apache_beam as beam
import msgspec

from schemas.intake import Offered
from schemas.objects import Bundle
from schemas.times import HOUR_US, format_us
from transforms.bundle_writer import ArchiveJob, BundleReport

Committed = Callable[[Bundle], BundleReport | None]
"""What the lake says of a bundle that was committed before; None where it was not."""
Archive = Callable[[ArchiveJob, Bundle], BundleReport]
"""Archives a bundle, as `transforms.archive_job.archive_bundle` does."""


def hourly_run(stream_id: str, taken_us: int) -> str:
    """The run that a bundle of a stream belongs to: a stream is a run an hour, each with a sheet of its own."""
    return f"{stream_id}-{format_us(taken_us // HOUR_US * HOUR_US)[:13]}"


class ArchiveOnce(beam.PTransform):
    """Offered → BundleReport with the same stamp, once the bundle is committed.

    A bundle that is offered again is asked for first: `committed` gives its report where it has been done. Doing it
    again would write the same files: names, times and runs follow from the bundle and when it was taken in.
    """

    def __init__(self, job: ArchiveJob, committed: Committed, archive: Archive) -> None:
        super().__init__()
        self._job = job
        self._committed = committed
        self._archive = archive

    def expand(self, offered: beam.PCollection[Offered]) -> beam.PCollection[BundleReport]:
        archive = _ArchiveOnce(self._job, self._committed, self._archive)
        return offered | "Spread" >> beam.Reshuffle() | beam.ParDo(archive)


class _ArchiveOnce(beam.DoFn):
    def __init__(self, job: ArchiveJob, committed: Committed, archive: Archive) -> None:
        self._job = job
        self._committed = committed
        self._archive = archive

    def process(self, offered: Offered) -> Iterator[BundleReport]:
        report = self._committed(offered.bundle) if offered.again else None
        if report is None:
            taken_us = offered.taken_us
            run_id = hourly_run(self._job.run_id, taken_us)
            report = self._archive(msgspec.structs.replace(self._job, run_id=run_id, now_us=taken_us), offered.bundle)
        yield report
