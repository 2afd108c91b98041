"""Digests in a bounded run: verified once everything that the run takes in is in the lake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection

from schemas.alerts import Alert
from transforms.bundle_writer import BundleReport
from transforms.digest_alerts import still_open
from transforms.digest_book import DigestBook
from transforms.digest_judge import DigestCheck, DigestJudge

SIGHT = "sight"


class VerifyDigests(beam.PTransform[Any, beam.pvalue.DoOutputsTuple]):
    """What digests say of the logs, account by account and region by region, to alerts.

    Input: a dict of `reports` (BundleReport, committed) and `as_of` (one time, or None: then nothing is judged).
    Output: Alert, some told before; tagged `SIGHT`: PlaceSight, one for each place. `raised` are the alerts that the
    lake has. What is known of each place is read from the lake once all reports are there: digests and hashes of logs
    lie in it by then. Sight is written there too. Without a `check` nothing is verified.
    """

    def __init__(self, check: DigestCheck | None, raised: Iterable[Alert]) -> None:
        super().__init__()
        self._check = check
        self._raised = tuple(alert for alert in raised if alert.kind.startswith("digest."))

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> beam.pvalue.DoOutputsTuple:
        """Wait for all, read, spread, judge."""
        if self._check is None:
            return inputs["reports"] | "NoKeys" >> beam.FlatMap(nothing).with_outputs(SIGHT, main="alerts")
        as_of = beam.pvalue.AsSingleton(inputs["as_of"])
        judge = beam.ParDo(_Judge(self._check, self._raised), as_of)
        return (
            inputs["reports"]
            | "Committed" >> beam.Map(_committed).with_output_types(tuple[int, int])
            | "All" >> beam.GroupByKey()
            | "Books" >> beam.FlatMap(_books, self._check)
            | "Spread" >> beam.Reshuffle()
            | "Judge" >> judge.with_outputs(SIGHT, main="alerts")
        )


def nothing(_: BundleReport) -> Iterator[Alert]:
    """No alert, where nothing is verified."""
    return iter(())


def _committed(_: BundleReport) -> tuple[int, int]:
    return 0, 0


def _books(_: tuple[int, Iterable[int]], check: DigestCheck) -> Iterator[DigestBook]:
    yield from check.read_books(None)


class _Judge(beam.DoFn):
    def __init__(self, check: DigestCheck, raised: tuple[Alert, ...]) -> None:
        self._check = check
        self._raised = raised

    def setup(self) -> None:
        self._judge = DigestJudge(self._check)

    def process(self, book: DigestBook, as_of_us: int | None) -> Iterator[Alert | beam.pvalue.TaggedOutput]:
        if as_of_us is not None:
            verdict = self._judge.judge(book, still_open(self._raised, ()), as_of_us)
            yield beam.pvalue.TaggedOutput(SIGHT, verdict.sight)
            yield from verdict.alerts
