"""The log path's state in a stream: facts wait until the watermark has passed them, and deadlines are timers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple
from apache_beam.utils.timestamp import Timestamp

from schemas.alerts import Alert
from schemas.log_path import PathFact, distinct_facts
from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.bundle_writer import BundleReport
from transforms.modifications import alerts_of_all
from transforms.path_claims import claimed, joined
from transforms.path_state import tell
from transforms.waiting import Waiting


class TrackLogPathLive(beam.PTransform[BundleReport, PCollection[Alert]]):
    """BundleReport, stamped with when it was taken in → Alert of the log path's state, perhaps told before.

    Findings whose severity depends on the path are told here too, when all that came before them is known. All facts
    lie in one place: they are few. `began_us` is when the stream began; what the lake had counts from then.
    """

    def __init__(self, log_path: LogPath, began_us: int) -> None:
        super().__init__()
        self._log_path = log_path
        self._began_us = began_us

    def expand(self, reports: PCollection[BundleReport]) -> PCollection[Alert]:
        """Key alike, and tell."""
        facts = reports | "Facts" >> beam.FlatMap(_keyed).with_output_types(Tuple[int, AnyType])
        alerts: PCollection[Alert] = facts | "Tell" >> beam.ParDo(_Tell(self._log_path, self._began_us))
        return alerts


_News = tuple[tuple[PathFact, ...], tuple[Tampering, ...]]


def _keyed(report: BundleReport) -> Iterator[tuple[int, _News]]:
    unsure = tuple(each for each in report.tamperings if each.own_severity is not None)
    if report.facts or unsure:
        yield 0, (report.facts, unsure)


class _Tell(beam.DoFn):
    KNOWN = ReadModifyWriteStateSpec("known", PickleCoder())  # facts
    WAITING = BagStateSpec("waiting", PickleCoder())
    FIRST = ReadModifyWriteStateSpec("first", PickleCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def __init__(self, log_path: LogPath, began_us: int) -> None:
        self._log_path = log_path
        self._began_us = began_us

    def process(
        self,
        keyed: tuple[int, _News],
        at: Any = beam.DoFn.TimestampParam,
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> None:
        Waiting[_News](waiting, first, due).add(keyed[1], max(at, Timestamp(micros=self._began_us)))

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def tell(
        self,
        at: Any = beam.DoFn.TimestampParam,
        known: Any = beam.DoFn.StateParam(KNOWN),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Alert]:
        """Tell what is known by now."""
        news = Waiting[_News](waiting, first, due)
        come = news.take(at)
        facts = distinct_facts(tuple(known.read() or ()) + tuple(fact for some, _ in come for fact in some))
        known.write(facts)
        told = tell(facts, self._log_path, at.micros)
        if told.due_us is not None:
            news.wake(told.due_us)
        since_us = joined(facts, self._log_path)
        findings = (claimed(each, since_us) for _, found in come for each in found)
        yield from alerts_of_all(findings, lambda _incident_id: False)  # the next step tells what is known
        yield from told.alerts
