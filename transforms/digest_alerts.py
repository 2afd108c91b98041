"""Alerts about digests: incidents by chain or object, opened by findings and closed once nothing is found any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import msgspec

from schemas.alerts import CLOSING, Alert, Evidence, Status, alert_order, content_id
from schemas.digests import Digest, DigestFault, SignedDigest
from schemas.runbooks import runbook_of
from schemas.times import HOUR_US
from transforms.digest_book import DigestPlace, Told
from transforms.digest_dues import milestones
from transforms.digest_incidents import DIGEST_MISSING, KINDS, Incident, incidents_of
from transforms.digest_notes import Clock

_NAMES_KEPT = 20
_LATE = frozenset({"digest.missing", "digest.unverified"})


def digest_alerts(told: Told, opened: Iterable[Alert], roots: Collection[str], clock: Clock) -> list[Alert]:
    """All that findings open, told before or not; and the ends of `opened` incidents that nothing bears out any more.

    Of these only those of digests and logs below `roots` are meant. What is still awaited ends nothing.
    """
    found = {each.incident_id: each for each in incidents_of(told.findings, clock.patience.grace_us)}
    alerts = [alert for incident in found.values() for alert in _alerts(incident, told.book.place, clock)]
    opened = tuple(opened)
    known = {alert.incident_id: alert for alert in (*opened, *alerts)}
    alerts += [_ended(known[each.incident_id], each.closed_us) for each in found.values() if each.closed_us is not None]
    for alert in opened:
        if alert.incident_id not in found and _is_below(alert, roots) and not _is_awaited(alert, told):
            alerts.append(_ended(alert, _answered_us(alert, told.book.digests, clock)))
    return alerts


def of_place(alerts: Iterable[Alert], place: DigestPlace) -> tuple[Alert, ...]:
    """Alerts of an account and region."""
    return tuple(alert for alert in alerts if (alert.account_id or "", alert.region or "") == place)


def still_open(opened: Iterable[Alert], alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """Of each incident that goes on its newest alert, after these were told."""
    last = {alert.incident_id: alert for alert in sorted((*opened, *alerts), key=alert_order)}
    return tuple(alert for alert in last.values() if alert.status not in CLOSING)


def _alerts(incident: Incident, place: DigestPlace, clock: Clock) -> Iterator[Alert]:
    alert = _alert(incident, place)
    if incident.kind != DIGEST_MISSING:
        yield alert
        return
    first_us = min(incident.first.deadline_us, alert.window_start_us + HOUR_US + clock.patience.grace_us)
    for hours in milestones(max(1, *(each.digests for each in incident.findings))):
        detected_us = first_us + (hours - 1) * HOUR_US
        if detected_us <= clock.as_of_us:
            yield _of_hours(alert, incident, hours, detected_us)


def _of_hours(alert: Alert, incident: Incident, hours: int, detected_us: int) -> Alert:
    """An incident goes on: it is told of again when twice as much is missing."""
    some = f"{hours} hourly digests of trail {incident.name} are missing: {incident.first.detail}"
    return msgspec.structs.replace(
        alert,
        alert_id=content_id(incident.incident_id, "missing", hours),
        status=Status.OPENED if hours == 1 else Status.UPDATED,
        title=alert.title if hours == 1 else some,
        window_end_us=alert.window_start_us + hours * HOUR_US,
        detected_us=detected_us,
    )


def _alert(incident: Incident, place: DigestPlace) -> Alert:
    kind, names = KINDS[incident.kind], incident.uris
    return Alert(
        alert_id=content_id(incident.incident_id, Status.OPENED.value),
        incident_id=incident.incident_id,
        kind=incident.kind,
        status=Status.OPENED,
        severity=incident.severity,
        title=kind.title.format(name=incident.name, uri=names[0], count=_count(names), detail=incident.first.detail),
        account_id=place[0] or None,
        region=place[1] or None,
        window_start_us=incident.first.start_us,
        window_end_us=max(each.end_us for each in incident.findings),
        detected_us=min(each.deadline_us for each in incident.findings),
        confidence="certain" if incident.is_certain else "provisional",
        resource=names[0],
        evidence=Evidence(object_keys=names[:_NAMES_KEPT]),
        mitre=kind.mitre,
        runbook=runbook_of(incident.kind),
    )


def _count(names: Collection[str]) -> str:
    return "A log object" if len(names) == 1 else f"{len(names)} log objects"


def _ended(alert: Alert, at_us: int) -> Alert:
    late = alert.kind in _LATE
    return msgspec.structs.replace(
        alert,
        alert_id=content_id(alert.incident_id, "ended"),
        status=Status.RESOLVED if late else Status.RETRACTED,
        title=f"{'Answered' if late else 'Taken back, what was missing has come'}: {alert.title}",
        detected_us=max(at_us, alert.detected_us),
        confidence="certain",
    )


def _is_below(alert: Alert, roots: Collection[str]) -> bool:
    return any(key.startswith(f"{root}/") for key in alert.evidence.object_keys for root in roots)


def _is_awaited(alert: Alert, told: Told) -> bool:
    """Whether what the incident is about is being waited for: a later digest has come, and names it."""
    return any(
        span.cause is DigestFault.AWAITED
        and span.start_us < alert.window_end_us
        and alert.window_start_us < span.end_us
        and any(key.startswith(f"{span.chain.root}/{span.chain.logs}") for key in alert.evidence.object_keys)
        for span in told.spans
    )


def _answered_us(alert: Alert, digests: Iterable[Digest], clock: Clock) -> int:
    """When the last of the digests came that cover what was missing; of other kinds nothing tells that."""
    if alert.kind != DIGEST_MISSING:
        return clock.as_of_us
    came_us = [
        each.modified_us
        for each in digests
        if isinstance(each, SignedDigest)
        and each.start_us < alert.window_end_us
        and alert.window_start_us < each.end_us
    ]
    return min(clock.as_of_us, max(came_us, default=clock.as_of_us))
