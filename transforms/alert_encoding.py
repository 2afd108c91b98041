"""Alerts as JSON lines and as Avro: the same fields, in the contract's order, and the same bytes every time."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import fastavro
import msgspec
import orjson

from schemas.alerts import ALERT_AVRO, Alert, Evidence, Severity, Status
from schemas.times import format_us, parse_iso_us

_AVRO = fastavro.parse_schema(ALERT_AVRO)
_TEXT = ("alert_id", "incident_id", "kind", "title", "confidence")
_OPTIONAL = ("account_id", "region", "canary", "rule", "actor", "resource", "runbook", "suppressed_by")


class _Written(msgspec.Struct, frozen=True):
    """An alert as it is written: what a line must hold to be one."""

    alert_id: str
    incident_id: str
    kind: str
    status: Status
    severity: Literal["critical", "high", "medium", "low", "info"]
    title: str
    account_id: str | None
    region: str | None
    window_start: str
    window_end: str
    detected_at: str
    confidence: str
    canary: str | None
    rule: str | None
    actor: str | None
    resource: str | None
    evidence: Evidence
    mitre: tuple[str, ...]
    runbook: str | None
    suppressed_by: str | None = None  # lakes of before there was such a thing lack it


_DECODER = msgspec.json.Decoder(_Written)


def alert_fields(alert: Alert) -> dict[str, Any]:
    """The alert's fields as JSON and Avro have them, in contract order; nulls stay, so every field is always there."""
    fields = {
        "alert_id": alert.alert_id,
        "incident_id": alert.incident_id,
        "kind": alert.kind,
        "status": alert.status.value,
        "severity": alert.severity.label,
        "title": alert.title,
        "account_id": alert.account_id,
        "region": alert.region,
        "window_start": format_us(alert.window_start_us),
        "window_end": format_us(alert.window_end_us),
        "detected_at": format_us(alert.detected_us),
        "confidence": alert.confidence,
        "canary": alert.canary,
        "rule": alert.rule,
        "actor": alert.actor,
        "resource": alert.resource,
        "evidence": {
            "event_ids": _texts(alert.evidence.event_ids),
            "object_keys": _texts(alert.evidence.object_keys),
            "places": _texts(alert.evidence.places),
        },
        "mitre": _texts(alert.mitre),
        "runbook": alert.runbook,
        "suppressed_by": alert.suppressed_by,
    }
    return {name: _text(value) if isinstance(value, str) else value for name, value in fields.items()}


def alert_json(alert: Alert) -> bytes:
    """One alert as a JSON object on one line, without the line's end."""
    return orjson.dumps(alert_fields(alert))


def alerts_jsonl(alerts: Iterable[Alert]) -> bytes:
    """Alerts as JSON, one a line."""
    return b"".join(alert_json(alert) + b"\n" for alert in alerts)


def alert_from_json(line: bytes) -> Alert:
    """Read one line that `alert_json` wrote.

    Raises:
        ValueError: the line is not JSON, lacks a field, or a field has another type; the message says which.
    """
    try:
        written = _DECODER.decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    return Alert(
        status=written.status,
        severity=Severity[written.severity.upper()],
        window_start_us=parse_iso_us(written.window_start),
        window_end_us=parse_iso_us(written.window_end),
        detected_us=parse_iso_us(written.detected_at),
        evidence=written.evidence,
        mitre=written.mitre,
        **{name: getattr(written, name) for name in (*_TEXT, *_OPTIONAL)},
    )


def alerts_avro(alerts: Sequence[Alert]) -> bytes:
    """Alerts as an Avro container file, uncompressed.

    The sync marker, which Avro wants random, derives from the content: equal alerts give equal bytes.
    """
    marker = hashlib.sha256(alerts_jsonl(alerts)).digest()[:16]
    body = io.BytesIO()
    fastavro.writer(body, _AVRO, [alert_fields(alert) for alert in alerts], sync_marker=marker)
    return body.getvalue()


def _texts(values: Iterable[str]) -> list[str]:
    return [_text(value) for value in values]


def _text(value: str) -> str:
    """Text that UTF-8 can hold: halves of surrogate pairs, which JSON escapes can smuggle in, become U+FFFD."""
    return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
