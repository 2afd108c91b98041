"""Silences of canaries and what digests prove of their time, in a stream: both wait for what comes before them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from schemas.alerts import CLOSING, Alert
from transforms.absence_confidence import CANARY_MISSING, PlaceSight, confidences, place_of
from transforms.digest_book import DigestPlace
from transforms.waiting import Waiting


class ConfirmAbsencesLive(beam.PTransform[Any, PCollection[Alert]]):
    """A dict of `silences` (Alert of canaries) and `sight` (PlaceSight) → Alert that updates them, each once.

    Kept of each account and region are the silences that go on, and what was last proved. `raised` are the alerts that
    the lake had when the stream began (`began_us`).
    """

    def __init__(self, raised: Iterable[Alert], began_us: int) -> None:
        super().__init__()
        self._raised = tuple(alert for alert in raised if alert.kind == CANARY_MISSING)
        self._began_us = began_us

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[Alert]:
        """Key by account and region, and tell."""
        types = Tuple[Tuple[str, str], AnyType]
        keyed = (
            inputs["silences"] | "ByPlace" >> beam.FlatMap(_by_place).with_output_types(types),
            inputs["sight"] | "OfPlace" >> beam.Map(_of_place).with_output_types(types),
        ) | "Keyed" >> beam.Flatten().with_output_types(types)
        alerts: PCollection[Alert] = keyed | "Confirm" >> beam.ParDo(_Confirm(self._raised, self._began_us))
        return alerts


def _by_place(alert: Alert) -> Iterator[tuple[DigestPlace, Alert]]:
    if alert.kind == CANARY_MISSING:
        yield place_of(alert), alert


def _of_place(sight: PlaceSight) -> tuple[DigestPlace, PlaceSight]:
    return sight.place, sight


class _Known(msgspec.Struct, frozen=True):
    silences: tuple[Alert, ...] = ()
    sight: PlaceSight | None = None


class _Confirm(beam.DoFn):
    KNOWN = ReadModifyWriteStateSpec("known", PickleCoder())
    WAITING = BagStateSpec("waiting", PickleCoder())
    FIRST = ReadModifyWriteStateSpec("first", PickleCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def __init__(self, raised: tuple[Alert, ...], began_us: int) -> None:
        self._raised = raised
        self._began_us = began_us

    def process(
        self,
        keyed: tuple[DigestPlace, Alert | PlaceSight],
        at: Any = beam.DoFn.TimestampParam,
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> None:
        Waiting[Alert | PlaceSight](waiting, first, due).add(keyed[1], at, self._began_us)

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def tell(  # noqa: PLR0917 - Beam asks for them
        self,
        place: DigestPlace = beam.DoFn.KeyParam,
        at: Any = beam.DoFn.TimestampParam,
        known: Any = beam.DoFn.StateParam(KNOWN),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Alert]:
        """Tell what follows from all that came until then."""
        come = Waiting[Alert | PlaceSight](waiting, first, due).take(at)
        before = known.read() or _Known(tuple(alert for alert in self._raised if place_of(alert) == place))
        silences = [*before.silences, *(each for each in come if isinstance(each, Alert))]
        sight = next((each for each in reversed(come) if isinstance(each, PlaceSight)), before.sight)
        told = [] if sight is None else list(confidences(silences, sight))
        ids = {alert.alert_id for alert in silences}
        fresh = [alert for alert in told if alert.alert_id not in ids]
        ended = {alert.incident_id for alert in silences if alert.status in CLOSING}
        left = tuple(alert for alert in (*silences, *fresh) if alert.incident_id not in ended)
        known.write(_Known(left, sight))
        yield from fresh
