"""The whole job, on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import apache_beam as beam
import msgspec
from apache_beam.transforms.window import GlobalWindows

from pipeline.clock import now_us
from pipeline.commit import CommitRun
from pipeline.died import balances_of_died
from pipeline.digest_books import digest_check
from pipeline.lake import LakeState, known_objects
from schemas.canaries import Expected
from schemas.settings import Settings
from schemas.storage import Storage
from schemas.times import DAY_US
from transforms.archive import ArchiveBundles
from transforms.bundle_writer import ArchiveJob, BundleReport, Rules
from transforms.call_tracking import FollowCanaryCalls
from transforms.canaries import DetectMissingCanaries
from transforms.confirm_absences import ConfirmAbsences
from transforms.correlation import Correlate
from transforms.expected import Horizon, Judged, expected_slots
from transforms.incidents import TrackIncidents
from transforms.maintenance import maintained
from transforms.metrics import PublishMetrics
from transforms.object_alerts import DetectObjectFaults
from transforms.objects import LISTED, BundleObjects, Listing, MatchObjects, bundle_bytes
from transforms.path_tracking import FollowLogPath
from transforms.untold import untold
from transforms.verify_digests import SIGHT, VerifyDigests

WINDOW_US = 30 * DAY_US
"""Windows of deadlines in a bounded run: long, because nothing waits for one to close and many of them are slow."""


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
        return archive_job(self.settings, self.inputs, self.lake, self.rules)


def archive_job(settings: Settings, inputs: tuple[Storage, ...], lake: Storage, rules: Rules) -> ArchiveJob:
    """What each bundle of a run needs."""
    config = settings.config
    return ArchiveJob(
        inputs={storage.root: storage for storage in inputs},
        lake=lake,
        canaries=config.canaries,
        rules=rules,
        log_path=config.log_path,
        limits=settings.limits,
        run_id=settings.run_id,
        now_us=settings.clock.now_us,
    )


def build(root: beam.Pipeline, plan: Plan) -> None:
    """Objects in; archive, ledger, verdicts, alerts and a balance sheet out."""
    settings, lake, state = plan.settings, plan.lake, plan.state
    canaries, lateness_us = settings.config.canaries, settings.config.allowed_lateness_us

    objects = root | "MatchObjects" >> MatchObjects(plan.inputs, partial(known_objects, lake, replay=settings.replay))
    size = objects[LISTED] | "BundleBytes" >> beam.Map(bundle_bytes, settings.limits.bundle_bytes)
    bundles = objects.new | "BundleObjects" >> BundleObjects(beam.pvalue.AsSingleton(size))
    archived = bundles | "ArchiveBundles" >> ArchiveBundles(plan.job, settings.workers)
    reports = (
        archived,
        root | "Left" >> beam.Create([_left(state), *plan.replayed], reshuffle=False),
    ) | "Reports" >> beam.Flatten()
    path = {
        "tamperings": reports | "Tamperings" >> beam.FlatMap(lambda report: report.tamperings),
        "facts": reports | "Facts" >> beam.FlatMap(lambda report: report.facts),
        "as_of": objects[LISTED] | "AsOf" >> beam.Map(_as_of_us, settings, state.deliveries),
    }
    found = {"listing": objects[LISTED], "totals": reports | "Totals" >> beam.Map(lambda report: report.totals)}
    follow = FollowLogPath(settings.config.log_path, state.alerts, state.findings)
    of_path = path | follow | "Maintained" >> beam.Map(maintained, settings.config.maintenance)
    verify = VerifyDigests(digest_check(settings, plan.inputs, lake), state.alerts)
    proof = {**path, "reports": reports} | "VerifyDigests" >> verify
    rows = reports | "Rows" >> beam.FlatMap(lambda report: report.rows)
    alerts = [of_path, rows | DetectObjectFaults(), proof.alerts]
    if canaries:
        horizon = objects[LISTED] | "Horizon" >> beam.Map(_horizon, settings, state.deliveries)
        slots = {
            "expected": horizon | "ExpectSlots" >> beam.FlatMap(_expected, settings, state.judged),
            "sightings": reports | "Sightings" >> beam.FlatMap(lambda report: report.sightings),
            "pulses": reports | "Pulses" >> beam.FlatMap(lambda report: report.pulses),
        }
        judge = DetectMissingCanaries(canaries, WINDOW_US, lateness_us, settings.clock.as_of_us)
        verdicts = slots | judge | "WindowsEnd" >> beam.WindowInto(GlobalWindows())
        prior = root | "Prior" >> beam.Create(untold(canaries, state.alerts, state.judged), reshuffle=False)
        found |= {"horizon": horizon, "verdicts": verdicts}
        silences = {"verdicts": verdicts, "prior": prior} | TrackIncidents(canaries)
        alerts += [silences, {"silences": silences, "sight": proof[SIGHT]} | ConfirmAbsences(state.alerts)]
        follow_calls = FollowCanaryCalls(canaries, settings.config.maintenance, state.alerts)
        alerts += [path | {"sightings": slots["sightings"]} | follow_calls]

    found["alerts"] = alerts | "Alerts" >> beam.Flatten() | "Correlate" >> Correlate(canaries, state.alerts)
    _ = found | "CommitRun" >> CommitRun(lake, settings, balances_of_died(state.left))
    counted = {"reports": archived} | {name: found[name] for name in ("alerts", "verdicts") if name in found}
    _ = counted | "PublishMetrics" >> PublishMetrics(canaries, now_us)


def _left(state: LakeState) -> BundleReport:
    """What the lake has from before: deliveries and sightings, and findings whose alerts a run that died still owes."""
    return BundleReport(state.left, state.sightings, state.left_tamperings, state.pulses, facts=state.facts)


def _as_of_us(listing: Listing, settings: Settings, known: tuple[int, int] | None) -> int | None:
    """As of when this run judges; None where nothing was ever delivered and the data's own clock was asked for."""
    return settings.clock.as_of_us or max(_delivered_us(listing, known), default=None)


def _delivered_us(listing: Listing, known: tuple[int, int] | None) -> list[int]:
    times_us = (listing.first_delivery_us, listing.newest_delivery_us, *(known or ()))
    return [us for us in times_us if us is not None]


def _horizon(listing: Listing, settings: Settings, known: tuple[int, int] | None) -> Horizon | None:
    """How far this run judges; None where nothing was ever delivered and the data's own clock was asked for.

    `known` is the span of deliveries in the ledger; a listing that has lost its oldest objects does not shorten it.
    """
    as_of_us = _as_of_us(listing, settings, known)
    if as_of_us is None:
        return None
    return Horizon(
        as_of_us, min(_delivered_us(listing, known), default=None), WINDOW_US, settings.config.allowed_lateness_us
    )


def _expected(horizon: Horizon | None, settings: Settings, judged: tuple[Judged, ...]) -> Iterator[Expected]:
    if horizon is not None:
        yield from expected_slots(settings.config.canaries, judged, horizon)
