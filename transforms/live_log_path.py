"""The log path's state in a stream: facts wait until the watermark has passed them, and deadlines are timers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import PickleCoder, StrUtf8Coder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from schemas.alerts import Alert, content_id
from schemas.log_path import PathFact
from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.bundle_writer import BundleReport
from transforms.known_path import KnownPath
from transforms.modifications import alerts_of_all
from transforms.waiting import Waiting

ENTRIES_KEPT = 1000
"""What comes is kept look by look; after so many looks as one."""


class TrackLogPathLive(beam.PTransform[BundleReport, PCollection[Alert]]):
    """BundleReport, stamped with when it was taken in → Alert of the log path's state, perhaps told before.

    Findings whose severity depends on the path are told here too, when all that came before them is known. All facts
    lie in one place: they are few. `began_us` is when the stream began; what the lake had counts from then. `told` are
    findings of before that may be escalated.
    """

    def __init__(self, log_path: LogPath, began_us: int, told: Iterable[Tampering] = ()) -> None:
        super().__init__()
        self._log_path = log_path
        self._began_us = began_us
        self._told = tuple(told)

    def expand(self, reports: PCollection[BundleReport]) -> PCollection[Alert]:
        """Key alike, and tell."""
        facts = reports | "Facts" >> beam.FlatMap(_keyed).with_output_types(Tuple[int, AnyType])
        alerts: PCollection[Alert] = facts | "Tell" >> beam.ParDo(_Tell(self._log_path, self._began_us, self._told))
        return alerts


_News = tuple[tuple[PathFact, ...], tuple[Tampering, ...]]


def _keyed(report: BundleReport) -> Iterator[tuple[int, _News]]:
    unsure = tuple(each for each in report.tamperings if each.own_severity is not None)
    if report.facts or unsure:
        yield 0, (report.facts, unsure)


class _Tell(beam.DoFn):
    """State has all that came; the instance keeps what it made of it, for as long as it is what state says.

    `version` tells: it is another after each look, so that what an instance knows of a bundle that was not committed is
    forgotten.
    """

    KNOWN = BagStateSpec("known", PickleCoder())
    VERSION = ReadModifyWriteStateSpec("version", StrUtf8Coder())
    WAITING = BagStateSpec("waiting", PickleCoder())
    FIRST = ReadModifyWriteStateSpec("first", PickleCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def __init__(self, log_path: LogPath, began_us: int, told: tuple[Tampering, ...]) -> None:
        self._log_path = log_path
        self._began_us = began_us
        self._told = told
        self._made: tuple[str, KnownPath] | None = None
        self._entries = ENTRIES_KEPT

    def process(
        self,
        keyed: tuple[int, _News],
        at: Any = beam.DoFn.TimestampParam,
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> None:
        Waiting[_News](waiting, first, due).add(keyed[1], at, self._began_us)

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def tell(  # noqa: PLR0917 - Beam asks for them
        self,
        at: Any = beam.DoFn.TimestampParam,
        known: Any = beam.DoFn.StateParam(KNOWN),
        version: Any = beam.DoFn.StateParam(VERSION),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Alert]:
        """Tell what is known by now."""
        news = Waiting[_News](waiting, first, due)
        path, come = self._path(known, version.read() or ""), news.take(at)
        facts = tuple(fact for some, _ in come for fact in some)
        found = tuple(each for _, some in come for each in some)
        path.learn(facts, found)
        self._keep(known, path, (facts, found))
        self._made = content_id(version.read(), at.micros, *(each.identity for each in facts)), path
        version.write(self._made[0])
        claimed = list(path.claim(found))
        told = path.tell(at.micros)
        if path.due_us is not None:
            news.wake(path.due_us)
        yield from alerts_of_all(claimed, lambda _incident_id: False)  # the next step tells what is known
        yield from told

    def _keep(self, known: Any, path: KnownPath, news: _News) -> None:
        """Add what is new; now and then all at once, without the findings that are too old."""
        self._entries += 1
        if self._entries > ENTRIES_KEPT:
            known.clear()
            news, self._entries = (path.facts, path.findings), 1
        known.add(news)

    def _path(self, known: Any, version: str) -> KnownPath:
        """What was made of all that came, or what can be made of it again."""
        if self._made is not None and self._made[0] == version:
            return self._made[1]
        came, self._entries = list(known.read()), ENTRIES_KEPT
        facts = [fact for some, _ in came for fact in some]
        return KnownPath(self._log_path, facts, (*self._told, *(each for _, some in came for each in some)))
