"""One small cycle: what `build` wires together in `pipeline/graph.py`, called one after the other.

Beam needs most of a second to build and run a graph, for whatever little there is; a cycle of a few objects takes a
hundredth. Both call the same functions, and write the same files in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pipeline.alerts import write_fresh
from pipeline.commit import Results, RunReport, commit_rest
from pipeline.watch_state import WatchState
from schemas.alerts import Alert
from schemas.objects import Bundle, ObjectRef
from schemas.settings import Settings
from transforms.archive_job import archive_bundle
from transforms.bundle_writer import ArchiveJob, BundleReport, Totals
from transforms.maintenance import maintained
from transforms.modification_incidents import is_call
from transforms.modifications import alerts_of_all
from transforms.object_alerts import object_faults
from transforms.objects import Listing, bundle_bytes, cut_bundles
from transforms.reopened import reopened


class Done(msgspec.Struct, frozen=True):
    """What a cycle wrote: its sheet, its alerts, what each of its bundles said; and whether the lake has `sight`."""

    report: RunReport
    alerts: tuple[Alert, ...]
    bundles: tuple[BundleReport, ...] = ()
    sight: bool = False

    @property
    def kinds(self) -> set[str]:
        """Which of the lake's kinds of files (`pipeline.views.PATTERNS`) it wrote."""
        sightings = any(bundle.sightings for bundle in self.bundles)
        wrote = {"events": self.report.balance.rows_written, "objects": self.bundles, "sightings": sightings}
        wrote |= {"verdicts": self.report.slots, "alerts": self.alerts, "runs": True, "sight": self.sight}
        wrote["digests"] = any(bundle.digests for bundle in self.bundles)
        return {kind for kind, any_ in wrote.items() if any_}


def carry_out(
    job: ArchiveJob,
    settings: Settings,
    state: WatchState,
    found: tuple[Listing, Sequence[ObjectRef]],
    *,
    check: Callable[[], None],
    told: Callable[[Bundle, BundleReport], None],
) -> Done:
    """Archive new objects, judge what is due, raise what is found; `state` then knows it.

    `check` is called before anything is made to count, and raises where it must not; `told` after each bundle.
    Errors: those of `check`, and StorageError: then `state` is no longer what the lake is, and is to be read anew.
    """
    listing, refs = found
    reports = []
    for bundle in cut_bundles(refs, bundle_bytes(listing, settings.limits.bundle_bytes)):
        check()
        reports.append(archive_bundle(job, bundle))
        told(bundle, reports[-1])
    state.hear(reports)
    horizon, verdicts, silence = state.slots.judge(settings.clock.now_us, state.of_canaries())
    alerts = [*_found(reports, settings, state), *silence]
    alerts += state.confirmed(silence)
    check()
    correlated = state.correlation.tell(state.alerts.fresh(alerts))
    written = write_fresh(job.lake, settings.run_id, correlated)
    totals = sum((report.totals for report in reports), Totals())
    ordered = tuple(sorted(verdicts, key=lambda verdict: (verdict.place, verdict.first)))
    results = Results(listing, horizon if settings.config.canaries else None, totals, tuple(written), ordered)
    report = commit_rest(results, job.lake, settings, written, {})
    state.settle(reports, written, verdicts, settings.clock.now_us)
    return Done(report, tuple(written), tuple(reports), state.digests.has_any)


def _found(reports: Sequence[BundleReport], settings: Settings, state: WatchState) -> list[Alert]:
    """What bundles call for, and what is due of the log path, of canaries' calls and of digests."""
    now_us, config = settings.clock.now_us, settings.config
    found = [each for report in reports for each in report.tamperings]
    tampered = alerts_of_all(state.path.claim(each for each in found if not is_call(each)), state.alerts.is_known)
    of_path = reopened([*tampered, *state.alerts.fresh(state.path.tell(now_us))])
    made = state.alerts.fresh(alerts_of_all(filter(is_call, found), lambda _incident_id: True))
    heard = (sighting for report in reports for sighting in report.sightings)
    return [
        *(maintained(alert, config.maintenance) for alert in of_path),
        *object_faults(row for report in reports for row in report.rows),
        *state.calls.tell(made, heard, config.canaries, now_us),
        *state.alerts.fresh(state.digests.tell(now_us, state.alerts.open("digest."))),
    ]
