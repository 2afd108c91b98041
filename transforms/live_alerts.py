"""Alerts of a stream about events and objects: each raised once, an incident opened by the first that arrives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from schemas.alerts import CLOSING, Alert, Status
from transforms.bundle_writer import BundleReport
from transforms.modification_incidents import is_call
from transforms.modifications import alerts_of_all
from transforms.object_alerts import object_faults

ALERTS_KEPT = 1000
"""Ids of an incident's newest alerts that are remembered: copies of an event come within minutes of each other."""


class RaiseAlerts(beam.PTransform[Any, PCollection[Alert]]):
    """A dict of `reports` (BundleReport), `path` and others (Alert of the log path's state and of digests) → Alert.

    Alerts of what rules found in a report, as far as they need not know the log path, of its objects' faults, and the
    others; one that was raised before is dropped. The first of rules of an incident that is not open is opened, those
    that follow are updates. `raised` has the ids of alerts that the lake already has, `open_incidents` those of
    incidents. All are in the global window.
    """

    def __init__(self, open_incidents: frozenset[str], raised: frozenset[str]) -> None:
        super().__init__()
        self._open_incidents = open_incidents
        self._raised = raised

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[Alert]:
        """Key by incident, and drop what is known."""
        types = Tuple[str, AnyType]
        keyed = (
            inputs["reports"] | "AlertsOf" >> beam.FlatMap(_keyed).with_output_types(types),
            *(
                alerts | f"ByIncident {name}" >> beam.Map(_by_incident).with_output_types(types)
                for name, alerts in inputs.items()
                if name != "reports"
            ),
        ) | "Keyed" >> beam.Flatten().with_output_types(types)
        alerts: PCollection[Alert] = keyed | "Once" >> beam.ParDo(_Once(self._open_incidents, self._raised))
        return alerts


def _keyed(report: BundleReport) -> Iterator[tuple[str, Alert]]:
    of_rules = (each for each in report.tamperings if not is_call(each))
    certain = (each for each in of_rules if each.own_severity is None)  # of others the log path tells
    alerts = alerts_of_all(certain, lambda _incident_id: False)  # the next step tells what is known
    yield from ((alert.incident_id, alert) for alert in (*alerts, *object_faults(report.rows)))


def _by_incident(alert: Alert) -> tuple[str, Alert]:
    return alert.incident_id, alert


class _Once(beam.DoFn):
    RAISED = ReadModifyWriteStateSpec("raised", PickleCoder())
    OPEN = ReadModifyWriteStateSpec("open", PickleCoder())

    def __init__(self, open_incidents: frozenset[str], raised: frozenset[str]) -> None:
        self._open_incidents = open_incidents
        self._raised = raised

    def process(
        self,
        keyed: tuple[str, Alert],
        state: Any = beam.DoFn.StateParam(RAISED),
        opened: Any = beam.DoFn.StateParam(OPEN),
    ) -> Iterator[Alert]:
        incident_id, alert = keyed
        raised: tuple[str, ...] = state.read() or ()
        if alert.alert_id in raised or alert.alert_id in self._raised:
            return
        was_open = opened.read()
        known = incident_id in self._open_incidents if was_open is None else was_open
        if alert.rule is not None:  # each fault of an object is an incident of its own, or opens one but once
            alert = msgspec.structs.replace(alert, status=Status.UPDATED if known else Status.OPENED)
        state.write((*raised, alert.alert_id)[-ALERTS_KEPT:])
        opened.write(alert.status not in CLOSING)
        yield alert
