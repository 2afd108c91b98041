"""The alerts of canary incidents: what the person who is paged reads."""

from __future__ import annotations

import msgspec

from schemas.alerts import Alert, Evidence, Severity, Status, content_id
from schemas.canaries import OpenAfter, Place, Verdict
from schemas.maintenance import MAINTENANCE
from schemas.runbooks import runbook_of
from schemas.times import format_duration_us, format_us


class IncidentKind(msgspec.Struct, frozen=True):
    """A kind of incident: the verdict that it is made of, and how its alerts read."""

    name: str
    verdict: Verdict
    severity: Severity
    mitre: tuple[str, ...]
    over: str


KINDS = {
    kind.name: kind
    for kind in (
        IncidentKind(
            "canary.missing",
            Verdict.MISSING,
            Severity.CRITICAL,
            ("T1562.008",),
            "is heard again in {where} after {length} of silence",
        ),
        IncidentKind(
            "canary.unsure",
            Verdict.UNSURE,
            Severity.HIGH,
            (),
            "can be judged again in {where} after {length} in doubt",
        ),
    )
}

_NOTHING = Evidence()
_AT_ONCE = OpenAfter()


class OpenIncident(msgspec.Struct, frozen=True):
    """An incident that goes on: which, where, the start of its first slot, and which of its slots were never heard.

    `outstanding` holds ascending disjoint spans of slots as (start, end) in microseconds, so that a changed period
    does not matter; `late` says that some slots have been heard since, `uncalled` that by the emitter's receipts no
    call was made. `opened_us` is the deadline at which it opened; `suppressed_by` is the maintenance window that it
    opened in, while nobody has been paged for it.
    """

    incident_id: str
    kind: str
    place: Place
    start_us: int
    outstanding: tuple[tuple[int, int], ...] = ()
    late: bool = False
    uncalled: bool = False
    opened_us: int = 0
    suppressed_by: str | None = None


def new_incident(kind: str, place: Place, start_us: int) -> OpenIncident:
    """The incident whose first absent slot starts at `start_us`."""
    incident_id = content_id(kind, place.canary, place.account_id, place.region, start_us)
    return OpenIncident(incident_id, kind, place, start_us)


def opened(
    incident: OpenIncident, end_us: int, detected_us: int, object_keys: tuple[str, ...], open_after: OpenAfter
) -> Alert:
    """As many slots as it takes were not heard, the last of them to `end_us`; says nothing of how long that went on."""
    place, since = incident.place, format_us(incident.start_us)
    if KINDS[incident.kind].verdict is Verdict.MISSING:
        title = f"is silent in {_where(place)} since {since}: others deliver, this does not"
    elif object_keys:
        title = f"cannot be judged in {_where(place)} since {since}: objects of that time could not be read"
    else:
        title = f"cannot be judged in {_where(place)} since {since}: nothing arrives from anywhere"
    if open_after != _AT_ONCE:
        title += f" ({open_after} slots)"
    return _alert(
        incident,
        Status.OPENED,
        title,
        end_us=end_us,
        detected_us=detected_us,
        evidence=Evidence(object_keys=object_keys),
    )


def still(incident: OpenIncident, end_us: int, detected_us: int) -> Alert:
    """An incident that opened in maintenance goes on after it: the slot that ends at `end_us` is absent too."""
    how = "silent" if KINDS[incident.kind].verdict is Verdict.MISSING else "in doubt"
    window = (incident.suppressed_by or "").removeprefix(MAINTENANCE)
    since = f"since {format_us(incident.start_us)}, after the maintenance {window} too"
    alert = _alert(
        incident, Status.UPDATED, f"is still {how} in {_where(incident.place)} {since}", end_us=end_us,
        detected_us=detected_us, evidence=_NOTHING,
    )  # fmt: skip
    return msgspec.structs.replace(alert, alert_id=content_id(incident.incident_id, MAINTENANCE), suppressed_by=None)


def heard(incident: OpenIncident, heard_us: int, detected_us: int) -> Alert:
    """A later slot, which starts at `heard_us`, was heard in time."""
    length = format_duration_us(heard_us - incident.start_us)
    title = KINDS[incident.kind].over.format(where=_where(incident.place), length=length)
    return _alert(incident, Status.RESOLVED, title, end_us=heard_us, detected_us=detected_us)


def arrived(incident: OpenIncident, slot_us: int, end_us: int, delivered_us: int, event_ids: tuple[str, ...]) -> Alert:
    """Every slot came late after all; the last to come is the one from `slot_us` to `end_us`."""
    delay = format_duration_us(delivered_us - end_us)
    call = f"the call of {format_us(slot_us)} came {delay} after its slot"
    title = f"was late, not silent, in {_where(incident.place)}: {call}"
    return _alert(
        incident,
        Status.RESOLVED,
        title,
        end_us=end_us,
        detected_us=delivered_us,
        evidence=Evidence(event_ids=event_ids),
    )


def taken_back(incident: OpenIncident, end_us: int, detected_us: int) -> Alert:
    """Every slot was delivered, and what had been called absent was only read late."""
    status = Status.RESOLVED if incident.late else Status.RETRACTED
    how = "some late, the rest" if incident.late else "all"
    title = f"was not silent in {_where(incident.place)}: its calls were delivered, {how} in time, and read late"
    return _alert(incident, status, title, end_us=end_us, detected_us=detected_us)


def _where(place: Place) -> str:
    return f"{place.account_id} {place.region}"


def _alert(
    incident: OpenIncident, status: Status, title: str, *, end_us: int, detected_us: int, evidence: Evidence = _NOTHING
) -> Alert:
    kind, place = KINDS[incident.kind], incident.place
    detected_us = max(detected_us, incident.opened_us)  # a correction may be about an earlier deadline
    return Alert(
        alert_id=content_id(incident.incident_id, status.value, detected_us),
        incident_id=incident.incident_id,
        kind=kind.name,
        status=status,
        severity=kind.severity,
        title=f"Canary {place.canary} {title}",
        account_id=place.account_id,
        region=place.region,
        window_start_us=incident.start_us,
        window_end_us=end_us,
        detected_us=detected_us,
        confidence="provisional",
        canary=place.canary,
        evidence=evidence,
        mitre=kind.mitre,
        runbook=runbook_of(kind.name),
        suppressed_by=incident.suppressed_by,
    )
