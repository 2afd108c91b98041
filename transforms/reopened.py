"""Incidents of rules that were closed, and open again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import apache_beam as beam
import msgspec
from apache_beam.pvalue import PCollection

from schemas.alerts import CLOSING, Alert, Status, alert_order


def reopened(alerts: Iterable[Alert]) -> list[Alert]:
    """Alerts that are raised in one go, by incident: what a rule finds after an incident was closed opens it again."""
    ordered = sorted(alerts, key=lambda alert: (alert.incident_id, alert_order(alert)))
    incidents = groupby(ordered, key=lambda alert: alert.incident_id)
    return [alert for _, group in incidents for alert in _told(group)]


class TellReopened(beam.PTransform[Alert, PCollection[Alert]]):
    """Alert → Alert, in the global window of a bounded run: `reopened` for each incident."""

    def expand(self, alerts: PCollection[Alert]) -> PCollection[Alert]:
        """Key by incident, and tell."""
        keyed = alerts | "ByIncident" >> beam.Map(_keyed).with_output_types(tuple[str, Alert])
        told: PCollection[Alert] = keyed | "Group" >> beam.GroupByKey() | "Tell" >> beam.FlatMap(_told_group)
        return told


def _keyed(alert: Alert) -> tuple[str, Alert]:
    return alert.incident_id, alert


def _told_group(incident: tuple[str, Iterable[Alert]]) -> Iterator[Alert]:
    yield from _told(sorted(incident[1], key=alert_order))


def _told(ordered: Iterable[Alert]) -> Iterator[Alert]:
    closed = False
    for alert in ordered:
        if closed and alert.rule is not None:
            yield msgspec.structs.replace(alert, status=Status.OPENED)
        else:
            yield alert
        closed = alert.status in CLOSING
