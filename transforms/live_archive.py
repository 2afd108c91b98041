"""Bundles of a stream to archive files, each once, whatever the runner does again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import apache_beam as beam
import msgspec

from schemas.objects import Bundle
from schemas.times import HOUR_US, format_us
from transforms.archive_job import archive_bundle
from transforms.bundle_writer import ArchiveJob, BundleReport

Committed = Callable[[Bundle], BundleReport | None]
"""What the lake says of a bundle that was committed before; None where it was not."""


def hourly_run(stream_id: str, taken_us: int) -> str:
    """The run that a bundle of a stream belongs to: a stream is a run an hour, each with a sheet of its own."""
    return f"{stream_id}-{format_us(taken_us // HOUR_US * HOUR_US)[:13]}"


class ArchiveOnce(beam.PTransform):
    """Bundle, stamped with when it was taken in → BundleReport with the same stamp, once the bundle is committed.

    `committed` spares a bundle that an earlier attempt committed from being done again; its report comes from the
    lake. Doing it again would write the same files: names, times and runs follow from the bundle and its stamp.
    """

    def __init__(self, job: ArchiveJob, committed: Committed) -> None:
        super().__init__()
        self._job = job
        self._committed = committed

    def expand(self, bundles: beam.PCollection[Bundle]) -> beam.PCollection[BundleReport]:
        return bundles | "Spread" >> beam.Reshuffle() | beam.ParDo(_ArchiveOnce(self._job, self._committed))


class _ArchiveOnce(beam.DoFn):
    def __init__(self, job: ArchiveJob, committed: Committed) -> None:
        self._job = job
        self._committed = committed

    def process(self, bundle: Bundle, taken: object = beam.DoFn.TimestampParam) -> Iterator[BundleReport]:
        report = self._committed(bundle)
        if report is None:
            taken_us = taken.micros  # type: ignore[attr-defined]
            run_id = hourly_run(self._job.run_id, taken_us)
            report = archive_bundle(msgspec.structs.replace(self._job, run_id=run_id, now_us=taken_us), bundle)
        yield report
