"""Digests in a stream: what comes waits until the watermark has passed it, and ticks bring what is due of itself.

No timer is set to a deadline: a stream that is drained lets all timers fire, and nothing is missing yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.coders import PickleCoder, VarIntCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from schemas.alerts import Alert
from schemas.digest_proofs import LogObject
from schemas.digests import Digest
from schemas.intake import Tick
from schemas.times import MINUTE_US
from transforms.bundle_writer import BundleReport
from transforms.digest_alerts import of_place, still_open
from transforms.digest_book import DigestBook, DigestPlace
from transforms.digest_judge import DigestCheck, DigestJudge
from transforms.known_digests import is_news, news_of
from transforms.verify_digests import SIGHT, nothing
from transforms.waiting import Waiting

_News = tuple[tuple[Digest, ...], tuple[LogObject, ...]]
_NOTHING: _News = ((), ())
_NEVER_US = 2**62


class VerifyDigestsLive(beam.PTransform[Any, beam.pvalue.DoOutputsTuple]):
    """A dict of `reports` (BundleReport, stamped with when it was taken in) and `ticks` (Tick) → Alert, perhaps again.

    Tagged `SIGHT`: PlaceSight of a place, whenever it was judged.

    By account and region. State is what is not settled; of a place without any a stream reads the lake when its first
    digest comes, as it does of places that the lake knew when the stream began (`began_us`). `raised` are the alerts
    that the lake had then. Without a `check` nothing is verified.
    """

    def __init__(self, check: DigestCheck | None, raised: Iterable[Alert], began_us: int) -> None:
        super().__init__()
        self._check = check
        self._raised = tuple(alert for alert in raised if alert.kind.startswith("digest."))
        self._began_us = began_us

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> beam.pvalue.DoOutputsTuple:
        """Key by place, and tell."""
        keyed, together = Tuple[Tuple[str, str], AnyType], Tuple[int, AnyType]
        reports = inputs["reports"]
        if self._check is None:
            return reports | "NoKeys" >> beam.FlatMap(nothing).with_outputs(SIGHT, main="alerts")
        places = frozenset(book.place for book in self._check.read_books(None))
        moments = (
            inputs["ticks"] | "Ticks" >> beam.Map(_together).with_output_types(together),
            reports | "Places" >> beam.FlatMap(_places).with_output_types(together),
        ) | "Moments" >> beam.Flatten().with_output_types(together)
        news = (
            reports | "News" >> beam.FlatMap(_keyed).with_output_types(keyed),
            moments | "Remind" >> beam.ParDo(_Remind(places)).with_output_types(keyed),
        ) | "Keyed" >> beam.Flatten().with_output_types(keyed)
        told = beam.ParDo(_Tell(self._check, places, self._raised, self._began_us))
        return news | "Tell" >> told.with_outputs(SIGHT, main="alerts")


def _keyed(report: BundleReport) -> Iterator[tuple[DigestPlace, _News]]:
    for place, (digests, objects) in news_of([report]).items():
        yield place, (tuple(digests), tuple(objects))


def _together(tick: Tick) -> tuple[int, Tick]:
    return 0, tick


def _places(report: BundleReport) -> Iterator[tuple[int, frozenset[DigestPlace]]]:
    """Where there are digests."""
    places = frozenset((each.chain.account_id, each.chain.region) for each in report.digests)
    if places:
        yield 0, places


class _Remind(beam.DoFn):
    """Ticks to places that have digests, once a minute."""

    PLACES = ReadModifyWriteStateSpec("places", PickleCoder())
    MINUTE = ReadModifyWriteStateSpec("minute", VarIntCoder())

    def __init__(self, places: frozenset[DigestPlace]) -> None:
        self._places = places

    def process(
        self,
        keyed: tuple[int, Tick | frozenset[DigestPlace]],
        places: Any = beam.DoFn.StateParam(PLACES),
        minute: Any = beam.DoFn.StateParam(MINUTE),
    ) -> Iterator[tuple[DigestPlace, _News]]:
        known: frozenset[DigestPlace] = places.read() or self._places
        moment = keyed[1]
        if isinstance(moment, frozenset):
            if not moment <= known:
                places.write(known | moment)
        elif moment.to_us // MINUTE_US != minute.read():
            minute.write(moment.to_us // MINUTE_US)
            yield from ((place, _NOTHING) for place in sorted(known))


class _Story(msgspec.Struct, frozen=True):
    book: DigestBook
    opened: tuple[Alert, ...]
    due_us: int | None
    covered_us: int | None


class _Tell(beam.DoFn):
    STORY = ReadModifyWriteStateSpec("story", PickleCoder())
    WAITING = BagStateSpec("waiting", PickleCoder())
    FIRST = ReadModifyWriteStateSpec("first", PickleCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)
    NEXT = ReadModifyWriteStateSpec("next", VarIntCoder())

    def __init__(
        self, check: DigestCheck, places: frozenset[DigestPlace], raised: tuple[Alert, ...], began_us: int
    ) -> None:
        self._check = check
        self._known = places
        self._raised = raised
        self._began_us = began_us
        self._read: dict[DigestPlace, DigestBook] | None = None

    def setup(self) -> None:
        self._judge = DigestJudge(self._check)

    def process(  # noqa: PLR0917 - Beam asks for them
        self,
        keyed: tuple[DigestPlace, _News],
        at: Any = beam.DoFn.TimestampParam,
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
        then: Any = beam.DoFn.StateParam(NEXT),
    ) -> None:
        """What is news waits; a tick only if something is due."""
        if keyed[1] == _NOTHING and at.micros < (then.read() or 0):
            return
        Waiting[_News](waiting, first, due).add(keyed[1], at, self._began_us)

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def tell(  # noqa: PLR0917 - Beam asks for them
        self,
        place: DigestPlace = beam.DoFn.KeyParam,
        at: Any = beam.DoFn.TimestampParam,
        story: Any = beam.DoFn.StateParam(STORY),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
        then: Any = beam.DoFn.StateParam(NEXT),
    ) -> Iterator[Alert | beam.pvalue.TaggedOutput]:
        """Tell what follows from what is known by now."""
        come = Waiting[_News](waiting, first, due).take(at)
        digests = [each for some, _ in come for each in some]
        objects = [each for _, some in come for each in some]
        before: _Story | None = story.read()
        if before is None:
            book = self._book(place) if digests or place in self._known else None
            if book is None:
                return
            before = _Story(book, still_open(of_place(self._raised, place), ()), at.micros, None)
        book = before.book.add(digests, objects)
        is_due = before.due_us is not None and before.due_us <= at.micros
        if is_due or is_news(digests, objects, before.covered_us):
            verdict = self._judge.judge(book, before.opened, at.micros)
            opened = still_open(before.opened, verdict.alerts)
            before = _Story(verdict.book, opened, verdict.due_us, verdict.covered_us)
            yield beam.pvalue.TaggedOutput(SIGHT, verdict.sight)
            yield from verdict.alerts
        else:
            before = msgspec.structs.replace(before, book=book)
        story.write(before)
        then.write(_NEVER_US if before.due_us is None else before.due_us)

    def _book(self, place: DigestPlace) -> DigestBook | None:
        """What the lake knows of a place. Those of the beginning are read at once, and each is used but once."""
        if self._read is None:
            self._read = {book.place: book for book in self._check.read_books(self._known)}
        if place in self._read:
            return self._read.pop(place)
        return next(iter(self._check.read_books({place})), None)
