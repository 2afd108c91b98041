"""Incidents of canaries' calls in a stream: what is found waits until the watermark has passed it; ends are timers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from schemas.alerts import Alert
from schemas.canaries import Canary, Sighting
from schemas.maintenance import Maintenance
from schemas.tampering import Tampering
from transforms.bundle_writer import BundleReport
from transforms.canary_calls import KINDS, CallIncident, CallIncidents, call_incidents
from transforms.live_alerts import ALERTS_KEPT
from transforms.modification_incidents import is_call
from transforms.modifications import alerts_of_all
from transforms.waiting import Waiting


class _Told(msgspec.Struct, frozen=True):
    """What is kept: the incidents, and the ids of each one's newest alerts, by which copies of a call are known."""

    incidents: dict[str, CallIncident]
    alert_ids: dict[str, tuple[str, ...]]


class FollowCanaryCallsLive(beam.PTransform[BundleReport, PCollection[Alert]]):
    """BundleReport, stamped with when it was taken in → Alert of canaries' calls that were not refused, or not theirs.

    Everything lies in one place: incidents are few. `raised` are the lake's alerts; `began_us` is when the stream
    began, and what the lake had counts from then.
    """

    def __init__(
        self, canaries: Iterable[Canary], windows: Sequence[Maintenance], raised: Iterable[Alert], began_us: int
    ) -> None:
        super().__init__()
        self._canaries = tuple(canaries)
        self._windows = tuple(windows)
        self._raised = tuple(alert for alert in raised if alert.kind in KINDS)
        self._began_us = began_us

    def expand(self, reports: PCollection[BundleReport]) -> PCollection[Alert]:
        """Key alike, and tell."""
        before = _Told(call_incidents(self._raised), {})
        for alert in self._raised:
            before.alert_ids[alert.incident_id] = (*before.alert_ids.get(alert.incident_id, ()), alert.alert_id)
        tell = beam.ParDo(_Tell(self._canaries, self._windows, before, self._began_us))
        is_due = any(each.due_us is not None for each in before.incidents.values())
        news = reports | "News" >> beam.FlatMap(_keyed, is_due).with_output_types(Tuple[int, AnyType])
        alerts: PCollection[Alert] = news | "Tell" >> tell
        return alerts


_News = tuple[tuple[Tampering, ...], tuple[Sighting, ...]]


def _keyed(report: BundleReport, is_due: bool) -> Iterator[tuple[int, _News]]:  # noqa: FBT001 - Beam passes it so
    """What a report has of calls; also nothing, where incidents of the lake end of themselves: timers must be set."""
    found = tuple(each for each in report.tamperings if is_call(each))
    if found or report.sightings or is_due:
        yield 0, (found, report.sightings)


class _Tell(beam.DoFn):
    TOLD = ReadModifyWriteStateSpec("told", PickleCoder())
    WAITING = BagStateSpec("waiting", PickleCoder())
    FIRST = ReadModifyWriteStateSpec("first", PickleCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def __init__(
        self, canaries: Sequence[Canary], windows: Sequence[Maintenance], before: _Told, began_us: int
    ) -> None:
        self._canaries = canaries
        self._windows = windows
        self._before = before
        self._began_us = began_us

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
    def tell(
        self,
        at: Any = beam.DoFn.TimestampParam,
        state: Any = beam.DoFn.StateParam(TOLD),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Alert]:
        """Tell what is known by now."""
        told: _Told = state.read() or self._before
        news = Waiting[_News](waiting, first, due)
        come = news.take(at)
        incidents = CallIncidents(self._windows, told.incidents)
        found = alerts_of_all((each for calls, _ in come for each in calls), lambda _incident_id: True)
        calls = [call for call in found if call.alert_id not in told.alert_ids.get(call.incident_id, ())]
        heard = (each for _, some in come for each in some)
        alerts = list(incidents.tell(calls, heard, self._canaries, at.micros))
        if alerts:
            state.write(_Told(incidents.known, _with_ids(told.alert_ids, alerts)))
        if incidents.due_us is not None:
            news.wake(incidents.due_us)
        yield from alerts


def _with_ids(known: Mapping[str, tuple[str, ...]], alerts: Iterable[Alert]) -> dict[str, tuple[str, ...]]:
    ids = dict(known)
    for alert in alerts:
        ids[alert.incident_id] = (*ids.get(alert.incident_id, ()), alert.alert_id)[-ALERTS_KEPT:]
    return ids
