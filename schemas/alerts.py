"""Alerts: one for each transition of an incident, with the same fields in JSON and Avro."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec


class Severity(enum.IntEnum):
    """How bad, in ascending order; written by name."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The name in the alert."""
        return self.name.lower()


class Status(enum.Enum):
    """Which transition of its incident an alert is."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"
    RETRACTED = "retracted"  # we had been wrong: the fault was ours


class Evidence(msgspec.Struct, frozen=True):
    """Where to look: events by id, objects by key, canaries' places as `canary account region`."""

    event_ids: tuple[str, ...] = ()
    object_keys: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


class Alert(msgspec.Struct, frozen=True):
    """One transition of one incident. Times are microseconds here and ISO 8601 UTC when written.

    `detected_us` is when the evidence was complete (a deadline, or a delivery), not when a machine got round to it:
    so a replay says the same. `alert_id` and `incident_id` derive from content. An alert pages if `suppressed_by` is
    None; else that is what made it quiet: the id of an incident, or `maintenance:` and the name of a window.
    """

    alert_id: str
    incident_id: str
    kind: str
    status: Status
    severity: Severity
    title: str
    account_id: str | None
    region: str | None
    window_start_us: int
    window_end_us: int
    detected_us: int
    confidence: str
    canary: str | None = None
    rule: str | None = None
    actor: str | None = None
    resource: str | None = None
    evidence: Evidence = Evidence()
    mitre: tuple[str, ...] = ()
    runbook: str | None = None
    suppressed_by: str | None = None


def content_id(*parts: object) -> str:
    """An id that the same content always gets: 32 hex digits of SHA-256 over the parts."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


CLOSING = frozenset({Status.RESOLVED, Status.RETRACTED})
_STATUSES = list(Status)


def alert_order(alert: Alert) -> tuple[int, int, str]:
    """Sorts alerts of an incident by when the evidence was complete; what opens before what closes."""
    return alert.detected_us, _STATUSES.index(alert.status), alert.alert_id


def open_incident_ids(alerts: Iterable[Alert]) -> frozenset[str]:
    """Incidents whose last alert neither resolved nor retracted them."""
    last = {alert.incident_id: alert.status for alert in sorted(alerts, key=alert_order)}
    return frozenset(incident_id for incident_id, status in last.items() if status not in CLOSING)


def quietly(alert: Alert, suppressed_by: str | None) -> Alert:
    """The alert, made quiet by that; as it is where there is nothing."""
    return alert if suppressed_by is None else msgspec.structs.replace(alert, suppressed_by=suppressed_by)


def _optional(name: str, doc: str) -> dict[str, Any]:
    return {"name": name, "type": ["null", "string"], "doc": doc}


_STRINGS = {"type": "array", "items": "string"}
ALERT_AVRO: dict[str, Any] = {
    "type": "record",
    "name": "Alert",
    "namespace": "trailcanary",
    "doc": "One transition of one incident.",
    "fields": [
        {"name": "alert_id", "type": "string", "doc": "derives from content: a replay raises nothing twice"},
        {"name": "incident_id", "type": "string", "doc": "shared by all transitions of one incident"},
        {"name": "kind", "type": "string", "doc": "canary.*, trail.*, watcher.*, ingest.*, digest.* or rule.*"},
        {"name": "status", "type": "string", "doc": "opened, updated, resolved or retracted"},
        {"name": "severity", "type": "string", "doc": "critical, high, medium, low or info"},
        {"name": "title", "type": "string", "doc": "one sentence for the person who is paged"},
        _optional("account_id", "the account concerned"),
        _optional("region", "the region concerned"),
        {"name": "window_start", "type": "string", "doc": "start of the time concerned, ISO 8601 UTC"},
        {"name": "window_end", "type": "string", "doc": "its end"},
        {"name": "detected_at", "type": "string", "doc": "when the evidence was complete: deadline or delivery"},
        {
            "name": "confidence",
            "type": "string",
            "doc": "provisional, certain by what a record proves, confirmed or removed",
        },
        _optional("canary", "the canary, for canary.*"),
        _optional("rule", "the rule's id, for what a rule found"),
        _optional("actor", "who made the call: an ARN, or the service"),
        _optional("resource", "what was touched"),
        {
            "name": "evidence",
            "type": {
                "type": "record",
                "name": "Evidence",
                "fields": [
                    {"name": "event_ids", "type": _STRINGS},
                    {"name": "object_keys", "type": _STRINGS},
                    {"name": "places", "type": _STRINGS, "default": []},
                ],
            },
            "doc": "events by id, objects by key, places as `canary account region`",
        },
        {"name": "mitre", "type": _STRINGS, "doc": "ATT&CK technique ids"},
        _optional("runbook", "what to do next"),
        _optional("suppressed_by", "null: it pages; else an incident's id, or `maintenance:` and a window's name")
        | {"default": None},
    ],
}
