"""Alerts about ourselves: a watch that completes no cycle is as blind as a log that is not delivered."""

from __future__ import annotations

import msgspec

from schemas.alerts import Alert, Severity, Status, content_id
from schemas.runbooks import runbook_of
from schemas.times import format_duration_us, format_us

STALLED = "ingest.stalled"


def stalled(lake_root: str, since_us: int, limit_us: int) -> Alert:
    """No cycle has been completed since `since_us`, for longer than `limit_us`."""
    incident_id = content_id(STALLED, lake_root, since_us)
    length = format_duration_us(limit_us)
    return Alert(
        alert_id=content_id(incident_id, Status.OPENED.value),
        incident_id=incident_id,
        kind=STALLED,
        status=Status.OPENED,
        severity=Severity.HIGH,
        title=f"No cycle was completed for {length}: nothing is archived or judged since {format_us(since_us)}",
        account_id=None,
        region=None,
        window_start_us=since_us,
        window_end_us=since_us + limit_us,
        detected_us=since_us + limit_us,
        confidence="certain",
        resource=lake_root,
        runbook=runbook_of(STALLED),
    )


def recovered(opened: Alert, at_us: int) -> Alert:
    """A cycle has been completed again."""
    length = format_duration_us(at_us - opened.window_start_us)
    return msgspec.structs.replace(
        opened,
        alert_id=content_id(opened.incident_id, Status.RESOLVED.value),
        status=Status.RESOLVED,
        title=f"A cycle was completed again after {length}",
        window_end_us=at_us,
        detected_us=at_us,
    )
