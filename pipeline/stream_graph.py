"""The same job without an end, on one screen: what a bounded run does at its end happens as the watermark passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import apache_beam as beam
import msgspec

from pipeline.bundle_log import archive_logged
from pipeline.clock import now_us
from pipeline.committed import committed_report
from pipeline.died import balances_of_died
from pipeline.digest_books import digest_check
from pipeline.graph import Plan
from pipeline.live_sheets import WriteSheets
from pipeline.live_sinks import WriteAlerts, WriteVerdicts
from schemas.alerts import open_incident_ids
from schemas.canaries import Canary, Expected
from schemas.intake import Tick
from transforms.bundle_writer import BundleReport
from transforms.confirm_absences_live import ConfirmAbsencesLive
from transforms.expected import Horizon, Judged, due_between, expected_slots
from transforms.intake import AHEAD_US, TICKS
from transforms.live_alerts import RaiseAlerts
from transforms.live_archive import ArchiveOnce
from transforms.live_calls import FollowCanaryCallsLive
from transforms.live_canaries import SPAN_US, DetectMissingCanariesLive
from transforms.live_correlation import SETTLED, CorrelateLive
from transforms.live_digests import VerifyDigestsLive
from transforms.live_incidents import VERDICTS, TrackIncidentsLive
from transforms.live_log_path import TrackLogPathLive
from transforms.maintenance import maintained
from transforms.metrics import PublishMetrics
from transforms.untold import untold
from transforms.verify_digests import SIGHT


class StreamPlan(msgspec.Struct, frozen=True):
    """What `build_stream` wires together: a run's plan, and the source of new objects (`transforms.intake.TakeIn`)."""

    plan: Plan
    source: beam.PTransform


def build_stream(root: beam.Pipeline, stream: StreamPlan) -> None:
    """Objects as they come; archive, ledger, verdicts, alerts and balance sheets as they are due."""
    plan = stream.plan
    settings, lake, state = plan.settings, plan.lake, plan.state
    canaries, lateness_us = settings.config.canaries, settings.config.allowed_lateness_us

    taken = root | "TakeIn" >> stream.source
    committed = partial(committed_report, lake, canaries=canaries)
    archived = taken.bundles | "ArchiveOnce" >> ArchiveOnce(plan.job, committed, archive_logged)
    left = root | "Left" >> beam.Create([_left(plan)], reshuffle=False)
    reports = (archived, left) | "Reports" >> beam.Flatten()
    raised = RaiseAlerts(open_incident_ids(state.alerts), frozenset(alert.alert_id for alert in state.alerts))
    follow = TrackLogPathLive(settings.config.log_path, settings.clock.now_us, state.findings)
    path = reports | "TrackLogPathLive" >> follow
    verify = VerifyDigestsLive(digest_check(settings, plan.inputs, lake), state.alerts, settings.clock.now_us)
    digests = {"reports": reports, "ticks": taken[TICKS]} | "VerifyDigestsLive" >> verify
    windows = settings.config.maintenance
    found_by_rules = {"reports": reports, "path": path, "digests": digests.alerts} | "RaiseAlerts" >> raised
    alerts = [found_by_rules | "Maintained" >> beam.Map(maintained, windows)]
    found = {"reports": archived}

    if canaries:
        slots = {
            "expected": taken[TICKS] | "ExpectSlots" >> beam.FlatMap(_expected, canaries, state.judged, lateness_us),
            "sightings": reports | "Sightings" >> beam.FlatMap(lambda report: report.sightings),
            "pulses": reports | "Pulses" >> beam.FlatMap(lambda report: report.pulses),
        }
        verdicts = slots | "DetectMissingCanariesLive" >> DetectMissingCanariesLive(canaries, lateness_us)
        prior, absent = untold(canaries, state.alerts, state.judged), _absent(canaries, state.judged)
        told = verdicts | "TrackIncidentsLive" >> TrackIncidentsLive(canaries, lateness_us, prior, absent)
        calls = FollowCanaryCallsLive(canaries, windows, state.alerts, settings.clock.now_us)
        confirm = ConfirmAbsencesLive(state.alerts, settings.clock.now_us)
        confirmed = {"silences": told.alerts, "sight": digests[SIGHT]} | "ConfirmAbsencesLive" >> confirm
        alerts += [told.alerts, confirmed, reports | "FollowCanaryCallsLive" >> calls]
        found["verdicts"] = told[VERDICTS]
        _ = told[VERDICTS] | "WriteVerdicts" >> WriteVerdicts(lake, settings)

    correlate = CorrelateLive(canaries, state.alerts, settings.clock.now_us)
    correlated = alerts | "Alerts" >> beam.Flatten() | "CorrelateLive" >> correlate
    found["alerts"] = correlated.alerts
    _ = (correlated.alerts, correlated[SETTLED]) | "ToWrite" >> beam.Flatten() | "WriteAlerts" >> WriteAlerts(lake)
    _ = found | "WriteSheets" >> WriteSheets(lake, settings, balances_of_died(state.left))
    _ = found | {"ticks": taken[TICKS]} | "PublishMetrics" >> PublishMetrics(canaries, now_us)


def _left(plan: Plan) -> BundleReport:
    """What the lake has from before, as `pipeline.graph` takes it in."""
    state = plan.state
    return BundleReport(state.left, state.sightings, state.left_tamperings, state.pulses, facts=state.facts)


def _absent(canaries: Sequence[Canary], judged: Sequence[Judged]) -> list[Expected]:
    """Slots that the lake calls missing or unsure: a sighting may still correct them."""
    named = {canary.name for canary in canaries}
    return [
        Expected(state.place, first, last, verdict)
        for state in judged
        if state.place.canary in named
        for first, last, verdict in state.unseen
    ]


def _expected(
    tick: Tick, canaries: Sequence[Canary], judged: Sequence[Judged], allowed_lateness_us: int
) -> Iterator[Expected]:
    past_us = tick.to_us - AHEAD_US
    horizon = Horizon(tick.to_us, tick.first_delivery_us, SPAN_US, allowed_lateness_us, past_us)
    if tick.from_us is None:
        yield from expected_slots(canaries, judged, horizon)
    else:
        yield from due_between(canaries, tick.from_us, horizon)
