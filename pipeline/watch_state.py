"""What a watch keeps between its cycles: what reading the lake again would say, in little memory."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pyarrow as pa

from pipeline.graph import WINDOW_US
from pipeline.lake import LakeState
from schemas.alerts import Alert
from schemas.canaries import SlotVerdict
from schemas.settings import Config
from transforms.absence_confidence import CANARY_MISSING, confidences
from transforms.bundle_writer import BundleReport
from transforms.canary_calls import CallIncidents, call_incidents
from transforms.correlation import Correlation
from transforms.deliveries import is_delivery
from transforms.digest_judge import DigestCheck
from transforms.judged_slots import Heard, JudgedSlots
from transforms.known_digests import KnownDigests
from transforms.known_path import KnownPath
from transforms.object_index import ObjectIndex
from transforms.raised_alerts import RaisedAlerts


class WatchState:
    """The ledger's objects, the alerts, and the slots. A cycle adds what it has committed."""

    def __init__(self, state: LakeState, ledger: pa.Table, config: Config, digests: DigestCheck | None = None) -> None:
        key = os.urandom(16)
        self.objects = ObjectIndex(key)
        self.objects.add_ledger(ledger)
        self.alerts = RaisedAlerts(key)
        self.alerts.add(state.alerts)
        self.correlation = Correlation(config.canaries, state.alerts)
        self.slots = JudgedSlots(config.canaries, config.allowed_lateness_us, WINDOW_US)
        self.slots.hear(Heard(state.sightings, state.pulses, state.deliveries))
        self.slots.remember(state.judged, self.of_canaries())
        self.path = KnownPath(config.log_path, state.facts, state.findings)
        self.calls = CallIncidents(config.maintenance, call_incidents(state.alerts))
        self.digests = KnownDigests(digests)

    def of_canaries(self) -> list[Alert]:
        """The alerts of canaries that still matter."""
        return self.alerts.of_canaries()

    def confirmed(self, silence: Sequence[Alert]) -> list[Alert]:
        """What digests prove of silences that go on, and of those that are told of now; told before or not."""
        silences = (*self.alerts.open(CANARY_MISSING), *silence)
        return [alert for sight in self.digests.sights.values() for alert in confidences(silences, sight)]

    @property
    def due_us(self) -> int | None:
        """When something is due of itself: a warning about the log path, the end of an incident, or a digest."""
        times_us = self.path.due_us, self.calls.due_us, self.digests.due_us
        return min((us for us in times_us if us is not None), default=None)

    def hear(self, reports: Sequence[BundleReport]) -> None:
        """Take in what committed bundles say of deliveries."""
        delivered = [row.delivered_us for report in reports for row in report.rows if is_delivery(row)]
        sightings = tuple(sighting for report in reports for sighting in report.sightings)
        pulses = tuple(pulse for report in reports for pulse in report.pulses)
        self.slots.hear(Heard(sightings, pulses, (min(delivered), max(delivered)) if delivered else None))
        findings = (finding for report in reports for finding in report.tamperings)
        self.path.learn((fact for report in reports for fact in report.facts), findings)
        self.digests.hear(reports)

    def settle(
        self,
        reports: Sequence[BundleReport],
        alerts: Sequence[Alert],
        verdicts: Sequence[SlotVerdict],
        as_of_us: int,
    ) -> None:
        """Take what a cycle has written for written."""
        for report in reports:
            self.objects.add_rows(report.rows)
        self.alerts.add(alerts)
        self.slots.settle(verdicts, as_of_us, self.of_canaries())
