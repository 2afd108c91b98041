"""Alerts about the objects themselves: changed after delivery, or unreadable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam

from schemas.alerts import Alert, Evidence, Severity, Status, content_id
from schemas.objects import ObjectRow, ObjectStatus
from schemas.runbooks import runbook_of
from schemas.times import DAY_US

_OBJECT_CHANGED, _UNREADABLE = "ingest.object_changed", "ingest.unreadable"
_CHANGED = "changed"


class DetectObjectFaults(beam.PTransform):
    """ObjectRow → Alert: `ingest.object_changed` for each, `ingest.unreadable` once a day for an account and region.

    Days of delivery, not runs, so that many short runs say the same as a long one.
    """

    def expand(self, rows: beam.PCollection[ObjectRow]) -> beam.PCollection[Alert]:
        return (
            rows
            | "Faults" >> beam.FlatMap(_faults).with_output_types(tuple[str, ObjectRow])
            | "GroupByFault" >> beam.GroupByKey()
            | "AlertFault" >> beam.MapTuple(_alert)
        )


def _faults(row: ObjectRow) -> Iterator[tuple[str, ObjectRow]]:
    if row.changed:
        yield f"{_CHANGED} {row.uri} {row.etag} {row.size}", row
    if row.status is ObjectStatus.DEAD:
        yield f"unreadable {row.account_id} {row.region} {_day(row)}", row


def object_faults(rows: Iterable[ObjectRow]) -> list[Alert]:
    """What `DetectObjectFaults` says of these rows, without Beam."""
    by_fault: dict[str, list[ObjectRow]] = {}
    for fault, row in (found for each in rows for found in _faults(each)):
        by_fault.setdefault(fault, []).append(row)
    return [_alert(fault, concerned) for fault, concerned in sorted(by_fault.items())]


def _alert(fault: str, rows: Iterable[ObjectRow]) -> Alert:
    first = min(rows, key=lambda row: (row.delivered_us, row.uri))
    return object_changed(first) if fault.startswith(_CHANGED) else unreadable(first)


def object_changed(row: ObjectRow) -> Alert:
    """A delivered log object never changes by itself: somebody overwrote it. CloudTrail writes each key once."""
    incident_id = content_id(_OBJECT_CHANGED, row.uri)
    same = " (same records)" if row.status is ObjectStatus.UNCHANGED else ""
    return Alert(
        alert_id=content_id(incident_id, row.etag, row.size),
        incident_id=incident_id,
        kind=_OBJECT_CHANGED,
        status=Status.OPENED,
        severity=Severity.MEDIUM if same else Severity.HIGH,
        title=f"A delivered object was overwritten: {row.uri}{same}",
        account_id=row.account_id,
        region=row.region,
        window_start_us=row.delivered_us,
        window_end_us=row.modified_us,
        detected_us=row.modified_us,
        confidence="certain",
        resource=row.uri,
        evidence=Evidence(object_keys=(row.uri,)),
        mitre=("T1565.001",),
        runbook=runbook_of(_OBJECT_CHANGED),
    )


def unreadable(row: ObjectRow) -> Alert:
    """Objects of one account, region and day cannot be read; `row` is the first, the ledger has the others."""
    incident_id = content_id(_UNREADABLE, row.account_id, row.region, _day(row))
    return Alert(
        alert_id=content_id(incident_id, Status.OPENED.value),
        incident_id=incident_id,
        kind=_UNREADABLE,
        status=Status.OPENED,
        severity=Severity.MEDIUM,
        title=f"Objects cannot be read, first {row.uri}: see dead_letters/",
        account_id=row.account_id,
        region=row.region,
        window_start_us=row.delivered_us,
        window_end_us=row.delivered_us,
        detected_us=row.delivered_us,
        confidence="certain",
        resource=row.uri,
        evidence=Evidence(object_keys=(row.uri,)),
        runbook=runbook_of(_UNREADABLE),
    )


def _day(row: ObjectRow) -> int:
    """The UTC day of delivery, counted from the epoch."""
    return row.delivered_us // DAY_US
