"""The whole job, on one screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import msgspec

from pipeline.lake import LakeState, is_delivery, pulse_of
from pipeline.sinks import WriteAlerts, WriteRun, WriteVerdicts
from schemas.alerts import Status
from schemas.balance import BalanceSheet
from schemas.canaries import Expected
from schemas.settings import Settings
from schemas.storage import Storage
from schemas.times import DAY_US
from transforms.archive import ArchiveBundles
from transforms.bundle_writer import ArchiveJob, BundleReport, Rules
from transforms.canaries import DetectMissingCanaries
from transforms.expected import Horizon, expected_slots
from transforms.incidents import TrackIncidents, open_incidents
from transforms.modifications import DetectTrailModifications
from transforms.object_alerts import DetectObjectFaults
from transforms.objects import LISTED, BundleObjects, KnownObjects, Listing, MatchObjects

WINDOW_US = DAY_US
"""Windows of deadlines in a bounded run: long, because nothing waits for one to close."""


class Plan(msgspec.Struct, frozen=True):
    """What `build` wires together: opened storages, loaded rules, and the lake as it was."""

    settings: Settings
    inputs: tuple[Storage, ...]
    lake: Storage
    rules: Rules
    state: LakeState
    replayed: tuple[BundleReport, ...] = ()

    @property
    def job(self) -> ArchiveJob:
        """What each bundle needs."""
        settings, config = self.settings, self.settings.config
        return ArchiveJob(
            inputs={storage.root: storage for storage in self.inputs},
            lake=self.lake,
            canaries=config.canaries,
            rules=self.rules,
            log_path=config.log_path,
            limits=settings.limits,
            run_id=settings.run_id,
            now_us=settings.clock.now_us,
        )


def build(root: beam.Pipeline, plan: Plan) -> None:
    """Objects in; archive, ledger, verdicts, alerts and a balance sheet out."""
    settings, lake, state = plan.settings, plan.lake, plan.state
    canaries, lateness_us = settings.config.canaries, settings.config.allowed_lateness_us

    objects = root | "MatchObjects" >> MatchObjects(plan.inputs, KnownObjects(state.ledger))
    bundles = objects.new | "BundleObjects" >> BundleObjects(settings.limits.bundle_bytes)
    archived = bundles | "ArchiveBundles" >> ArchiveBundles(plan.job, settings.workers)
    reports = (archived, root | "Replayed" >> beam.Create(plan.replayed)) | "Reports" >> beam.Flatten()
    rows = reports | "Rows" >> _Each("rows", state.left)
    sightings = reports | "Sightings" >> _Each("sightings", state.sightings)
    tamperings = reports | "Tamperings" >> _Each("tamperings", state.left_tamperings)
    pulses = rows | "Deliveries" >> beam.Filter(is_delivery) | "PulseOf" >> beam.Map(pulse_of)
    pulses = (pulses, root | "KnownPulses" >> beam.Create(state.pulses)) | "Pulses" >> beam.Flatten()

    horizon = objects[LISTED] | "Horizon" >> beam.Map(_horizon, settings, state)
    expected = horizon | "ExpectSlots" >> beam.FlatMap(_expected, settings, state)
    verdicts = {"expected": expected, "sightings": sightings, "pulses": pulses} | DetectMissingCanaries(
        canaries, WINDOW_US, lateness_us
    )
    prior = root | "OpenIncidents" >> beam.Create(open_incidents(state.alerts, state.judged))
    alerts = (
        {"verdicts": verdicts, "prior": prior} | TrackIncidents(canaries),
        tamperings | DetectTrailModifications(_running(state)),
        rows | DetectObjectFaults(),
    ) | "Alerts" >> beam.Flatten()

    written = alerts | WriteAlerts(lake, settings.run_id)
    slots = verdicts | WriteVerdicts(lake, settings, horizon, written)
    parts = {"listing": objects[LISTED], "horizon": horizon, "alerts": written}
    parts |= {name: reports | name >> _Total(name, zero) for name, zero in _TOTALS.items()}
    _ = slots | WriteRun(lake, settings, state.died, parts)


_TOTALS: dict[str, Any] = {"balance": BalanceSheet(), "letters": Counter(), "conflicts": 0}


class _Total(beam.PTransform):
    """BundleReport → the sum of one of its fields."""

    def __init__(self, field: str, zero: Any) -> None:
        super().__init__()
        self._field = field
        self._zero = zero

    def expand(self, reports: beam.PCollection[Any]) -> beam.PCollection[Any]:
        field, zero = self._field, self._zero
        values = reports | beam.Map(lambda report: getattr(report, field))
        return values | beam.CombineGlobally(lambda parts: sum(parts, zero))


class _Each(beam.PTransform):
    """BundleReport → the elements of one of its fields, and those that runs before left to do."""

    def __init__(self, field: str, left: Iterable[Any]) -> None:
        super().__init__()
        self._field = field
        self._left = tuple(left)

    def expand(self, reports: beam.PCollection[Any]) -> beam.PCollection[Any]:
        field = self._field
        fresh = reports | beam.FlatMap(lambda report: getattr(report, field))
        return (fresh, reports.pipeline | beam.Create(self._left)) | beam.Flatten()


def _horizon(listing: Listing, settings: Settings, state: LakeState) -> Horizon | None:
    """How far this run judges; None where nothing was ever delivered and the data's own clock was asked for."""
    known_us = [pulse.delivered_us for pulse in state.pulses]
    as_of_us = settings.clock.as_of_us
    if as_of_us is None:
        newest = [us for us in (listing.newest_delivery_us, max(known_us, default=None)) if us is not None]
        if not newest:
            return None
        as_of_us = max(newest)
    first = [us for us in (listing.first_delivery_us, min(known_us, default=None)) if us is not None]
    return Horizon(as_of_us, min(first, default=None), WINDOW_US, settings.config.allowed_lateness_us)


def _expected(horizon: Horizon | None, settings: Settings, state: LakeState) -> Iterator[Expected]:
    if horizon is not None:
        yield from expected_slots(settings.config.canaries, state.judged, horizon)


def _running(state: LakeState) -> frozenset[str]:
    """Incidents that are open: a new event on one of them updates it."""
    closed = {alert.incident_id for alert in state.alerts if alert.status in (Status.RESOLVED, Status.RETRACTED)}
    return frozenset(alert.incident_id for alert in state.alerts) - closed
