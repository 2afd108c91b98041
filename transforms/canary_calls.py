"""Incidents of a canary's calls that were forged, replayed or allowed: one page each, and an end.

Calls and sightings are told in the order of their delivery. So alerts depend on times in the data alone, save those of
what was delivered before something else and read after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from schemas.alerts import CLOSING, Alert, Evidence, Severity, Status, alert_order, content_id
from schemas.canaries import Canary, Place, Sighting
from schemas.maintenance import Maintenance
from schemas.runbooks import runbook_of
from schemas.times import DAY_US, format_duration_us
from transforms.calibration import flagged
from transforms.expected import by_name
from transforms.maintenance import maintained
from transforms.sightings import ALLOWED, FORGED, REPLAYED
from transforms.untold import place_of

QUIET_US = DAY_US
"""An incident of forged or replayed calls is over when for so long no other was delivered."""

KINDS = frozenset({FORGED, REPLAYED, ALLOWED})


class CallIncident(msgspec.Struct, frozen=True):
    """What was told of the calls of one kind at one place, for whoever tells the rest.

    While it is open, `first_us` and `last_us` are the times of the first and the last call, and `told_us` is the last
    delivery; `suppressed_by` says what kept it quiet, None once somebody was paged. Once it was resolved, `closed_us`
    says when and `ended_us` up to when it was about.
    """

    incident_id: str
    kind: str
    place: Place
    severity: Severity
    first_us: int = 0
    last_us: int = 0
    told_us: int = 0
    suppressed_by: str | None = None
    closed_us: int | None = None
    ended_us: int = 0

    @property
    def due_us(self) -> int | None:
        """When it is over of itself; None where it is not open, or is not over before a call is refused."""
        return None if self.closed_us is not None or self.kind == ALLOWED else self.told_us + QUIET_US


def call_incidents(alerts: Iterable[Alert]) -> dict[str, CallIncident]:
    """What earlier runs told of each incident, by id; `alerts` in any order, of other kinds too."""
    known: dict[str, CallIncident] = {}
    for alert in sorted((each for each in alerts if each.kind in KINDS), key=alert_order):
        known[alert.incident_id] = _learned(known.get(alert.incident_id), alert)
    return known


def _learned(known: CallIncident | None, alert: Alert) -> CallIncident:
    at_us, identity = alert.window_start_us, (alert.incident_id, alert.kind, place_of(alert))
    if alert.status in CLOSING:
        return CallIncident(*identity, alert.severity, closed_us=alert.detected_us, ended_us=alert.window_end_us)
    if known is None or alert.status is Status.OPENED:
        return CallIncident(*identity, alert.severity, at_us, at_us, alert.detected_us, alert.suppressed_by)
    if known.closed_us is not None:
        return known
    return msgspec.structs.replace(
        known,
        last_us=max(at_us, known.last_us),
        told_us=max(alert.detected_us, known.told_us),
        suppressed_by=known.suppressed_by and alert.suppressed_by,
    )


class CallIncidents:
    """The incidents of all canaries' calls. `known` is what was told before."""

    def __init__(self, windows: Sequence[Maintenance], known: Mapping[str, CallIncident]) -> None:
        self._windows = windows
        self.known = dict(known)

    @property
    def due_us(self) -> int | None:
        """The next time at which an incident is over of itself."""
        return min((due for each in self.known.values() if (due := each.due_us) is not None), default=None)

    @property
    def awaited(self) -> frozenset[Place]:
        """Where a call that is refused would be news."""
        return frozenset(each.place for each in self.known.values() if each.kind == ALLOWED and each.closed_us is None)

    def tell(
        self, calls: Iterable[Alert], heard: Iterable[Sighting], canaries: Iterable[Canary], as_of_us: int
    ) -> Iterator[Alert]:
        """What follows from calls and sightings, and from the time, which incidents' ends are judged up to.

        `calls` are alerts about one call each (`modifications.alerts_of`) that were not told before, by whatever
        status; of sightings only those of places count of which there is an incident of allowed calls.
        """
        new: dict[str, list[Alert]] = defaultdict(list)
        sightings: dict[Place, list[Sighting]] = defaultdict(list)
        for call in calls:
            new[call.incident_id].append(call)
        for each in heard:
            sightings[each.place].append(each)
        declared = by_name(canaries)
        for incident_id in sorted({*self.known, *new}):
            known, some = self.known.get(incident_id), new[incident_id]
            kind, place = (known.kind, known.place) if known is not None else (some[0].kind, place_of(some[0]))
            refused = sightings[place] if kind == ALLOWED else []
            for alert in self._story(incident_id, [*some, *refused], as_of_us):
                closes = place.canary in declared and alert.status in CLOSING
                yield flagged(alert, declared[place.canary]) if closes else alert

    def _story(self, incident_id: str, news: Iterable[Alert | Sighting], as_of_us: int) -> Iterator[Alert]:
        for each in sorted(news, key=_delivery):
            told = self._call(each) if isinstance(each, Alert) else self._refused(incident_id, each)
            yield from self._kept(told)
        known = self.known.get(incident_id)
        if known is not None and known.due_us is not None and known.due_us <= as_of_us:
            yield from self._kept([_quiet(known)])

    def _kept(self, told: Iterable[Alert]) -> Iterator[Alert]:
        for alert in told:
            self.known[alert.incident_id] = _learned(self.known.get(alert.incident_id), alert)
            yield alert

    def _call(self, call: Alert) -> Iterator[Alert]:
        known = self.known.get(call.incident_id)
        if known is not None and known.due_us is not None and known.due_us < call.detected_us:
            yield _quiet(known)
            known = None
        if known is None or (known.closed_us is not None and not _is_past(known, call)):
            yield maintained(msgspec.structs.replace(call, status=Status.OPENED), self._windows)
            return
        call = msgspec.structs.replace(call, status=Status.UPDATED)
        if known.closed_us is None and known.suppressed_by is not None:
            yield maintained(call, self._windows)  # nobody was paged yet
            return
        yield msgspec.structs.replace(call, suppressed_by=known.incident_id)
        if known.closed_us is not None and call.detected_us > known.closed_us:
            yield _again_closed(known, call)

    def _refused(self, incident_id: str, heard: Sighting) -> Iterator[Alert]:
        known = self.known.get(incident_id)
        if known is None or known.closed_us is not None:
            return
        if heard.event_us > known.last_us and heard.delivered_us >= known.told_us:
            yield _refused_again(known, heard)


def _delivery(each: Alert | Sighting) -> tuple[int, bool, int, str]:
    """Of what is delivered at once, calls first: a call that was allowed is a sighting too, and closes nothing."""
    if isinstance(each, Alert):
        return each.detected_us, False, each.window_start_us, each.alert_id
    return each.delivered_us, True, each.event_us, each.event_id or ""


def _is_past(known: CallIncident, call: Alert) -> bool:
    """Whether a call was made, or delivered, before its incident was over: then it is news to nobody."""
    was_refused_since = known.kind == ALLOWED and call.window_start_us < known.ended_us
    return was_refused_since or (known.closed_us is not None and call.detected_us <= known.closed_us)


def _quiet(known: CallIncident) -> Alert:
    how = "imitated" if known.kind == FORGED else "replayed"
    title = f"is no longer {how} in {_where(known)}: no such call was delivered for {format_duration_us(QUIET_US)}"
    alert_id = content_id(known.incident_id, "quiet", known.first_us, known.told_us)
    return _over(known, alert_id, title, known.last_us, known.told_us + QUIET_US)


def _refused_again(known: CallIncident, heard: Sighting) -> Alert:
    length = format_duration_us(heard.event_us - known.first_us)
    title = f"is refused again in {_where(known)}, after {length}"
    alert_id = content_id(known.incident_id, "refused", heard.event_us, heard.event_id)
    evidence = Evidence(() if heard.event_id is None else (heard.event_id,), (heard.object_key,))
    alert = _over(known, alert_id, title, heard.event_us, heard.delivered_us)
    return msgspec.structs.replace(alert, evidence=evidence)


def _again_closed(known: CallIncident, call: Alert) -> Alert:
    """After an update by a call from before the one that was refused."""
    past = msgspec.structs.replace(known, first_us=call.window_start_us, suppressed_by=known.incident_id)
    title = f"has been refused in {_where(known)} since that call"
    return _over(past, content_id(known.incident_id, "past", call.alert_id), title, known.ended_us, call.detected_us)


def _where(known: CallIncident) -> str:
    return f"{known.place.account_id} {known.place.region}"


def _over(known: CallIncident, alert_id: str, title: str, end_us: int, detected_us: int) -> Alert:
    return Alert(
        alert_id=alert_id,
        incident_id=known.incident_id,
        kind=known.kind,
        status=Status.RESOLVED,
        severity=known.severity,
        title=f"Canary {known.place.canary} {title}",
        account_id=known.place.account_id,
        region=known.place.region,
        window_start_us=known.first_us,
        window_end_us=max(end_us, known.first_us),
        detected_us=detected_us,
        confidence="certain" if known.kind == ALLOWED else "provisional",
        canary=known.place.canary,
        runbook=runbook_of(known.kind),
        suppressed_by=known.suppressed_by,
    )
