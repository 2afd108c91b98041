"""Alerts of a stream about events and objects: each raised once, an incident opened by the first that arrives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from schemas.alerts import Alert, Status
from transforms.bundle_writer import BundleReport
from transforms.modifications import alerts_of_all
from transforms.object_alerts import object_faults

ALERTS_KEPT = 1000
"""Ids of an incident's newest alerts that are remembered: copies of an event come within minutes of each other."""


class RaiseAlerts(beam.PTransform[BundleReport, PCollection[Alert]]):
    """BundleReport → Alert of what its rules found and of its objects' faults, in the global window.

    An alert that was raised before is dropped. The first of an incident that is not among `open_incidents` is opened,
    those that follow are updates. `raised` has the ids of alerts that the lake already has.
    """

    def __init__(self, open_incidents: frozenset[str], raised: frozenset[str]) -> None:
        super().__init__()
        self._open_incidents = open_incidents
        self._raised = raised

    def expand(self, reports: PCollection[BundleReport]) -> PCollection[Alert]:
        """Key by incident, and drop what is known."""
        keyed = reports | "AlertsOf" >> beam.FlatMap(_keyed).with_output_types(Tuple[str, AnyType])
        alerts: PCollection[Alert] = keyed | "Once" >> beam.ParDo(_Once(self._open_incidents, self._raised))
        return alerts


def _keyed(report: BundleReport) -> Iterator[tuple[str, Alert]]:
    alerts = alerts_of_all(report.tamperings, lambda _incident_id: False)  # the next step tells what is known
    yield from ((alert.incident_id, alert) for alert in (*alerts, *object_faults(report.rows)))


class _Once(beam.DoFn):
    RAISED = ReadModifyWriteStateSpec("raised", PickleCoder())

    def __init__(self, open_incidents: frozenset[str], raised: frozenset[str]) -> None:
        self._open_incidents = open_incidents
        self._raised = raised

    def process(self, keyed: tuple[str, Alert], state: Any = beam.DoFn.StateParam(RAISED)) -> Iterator[Alert]:
        incident_id, alert = keyed
        raised: tuple[str, ...] = state.read() or ()
        if alert.alert_id in raised or alert.alert_id in self._raised:
            return
        known = bool(raised) or incident_id in self._open_incidents
        if alert.rule is not None:  # each fault of an object is an incident of its own, or opens one but once
            alert = msgspec.structs.replace(alert, status=Status.UPDATED if known else Status.OPENED)
        state.write((*raised, alert.alert_id)[-ALERTS_KEPT:])
        yield alert
