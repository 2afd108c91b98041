"""`trailcanary run`: one bounded run over whatever is new."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import msgspec
import orjson
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.alerts import read_alerts
from pipeline.canary_secrets import refuse_unreadable
from pipeline.clock import now_us
from pipeline.commit import RunReport
from pipeline.graph import Plan, build
from pipeline.lake import LakeState, read_lake
from pipeline.lock import hold_lake
from pipeline.progress import progress
from pipeline.replay import remove_answered, replay_dead_records
from pipeline.rule_files import load_rules
from pipeline.storages import open_storage
from pipeline.views import write_views
from schemas import errors
from schemas.alerts import Alert
from schemas.errors import TrailcanaryError, UsageError
from schemas.settings import Settings
from schemas.storage import Storage
from transforms.sigma import RuleSet

_WRAPPED = re.compile(r"^schemas\.errors\.(\w+): (.*?)(?: \[while running .*\])?$", re.MULTILINE)


class Outcome(msgspec.Struct, frozen=True):
    """What a run reports: its sheet, and the alerts that it raised."""

    report: RunReport
    alerts: tuple[Alert, ...]


class Opened(msgspec.Struct, frozen=True):
    """What a run reads, by what rules, and where it writes."""

    inputs: tuple[Storage, ...]
    rules: RuleSet
    lake: Storage


def run(settings: Settings, beam_arguments: Sequence[str] = ()) -> Outcome:
    """Handle what the ledger does not know, judge what is due, write what is found.

    Raises:
        UsageError: a rule or an input cannot be used.
        LakeLocked, LakeDamaged, StorageError: as their names say; what was committed stays, the next run goes on.
    """
    opened = open_all(settings)
    with hold_lake(opened.lake, settings.run_id, now_us), progress():
        return run_held(settings, opened, beam_arguments)


def open_all(settings: Settings) -> Opened:
    """Storages and rules. Raises UsageError where one of them, or a canary's secret, cannot be used."""
    refuse_unreadable(settings.config.canaries)
    inputs = tuple(open_storage(uri) for uri in dict.fromkeys(settings.inputs))
    if settings.config.digests.original_location and len(inputs) > 1:
        raise UsageError(["[digests] original_location is that of one --input; there are more"])
    refuse_missing(inputs)
    return Opened(inputs, load_rules(settings.rule_folders), open_storage(settings.output))


def run_held(
    settings: Settings, opened: Opened, beam_arguments: Sequence[str] = (), state: LakeState | None = None
) -> Outcome:
    """The same for who holds the lake, and has perhaps read it."""
    lake = opened.lake
    state = state or read_lake(lake, settings.config)
    plan = Plan(settings, opened.inputs, lake, opened.rules, state)
    if settings.replay:
        plan = msgspec.structs.replace(plan, replayed=replay_dead_records(plan.job))
    _execute(plan, PipelineOptions(list(beam_arguments)))
    if settings.replay:
        remove_answered(lake)
    write_views(lake)
    known = {alert.alert_id for alert in state.alerts}
    fresh = tuple(alert for alert in read_alerts(lake) if alert.alert_id not in known)
    report = orjson.loads(lake.read(f"runs/{settings.run_id}.json").body)
    return Outcome(msgspec.convert(report, RunReport), fresh)


def refuse_missing(inputs: Sequence[Storage]) -> None:
    """Raise UsageError for folders that are none."""
    folders = [storage.root for storage in inputs if not storage.remote]
    problems = [f"--input {root}: no such folder" for root in folders if not Path(root).is_dir()]
    if problems:
        raise UsageError(problems)


def _execute(plan: Plan, options: PipelineOptions) -> None:
    pipeline = beam.Pipeline(options=options)
    build(pipeline, plan)
    try:
        pipeline.run().wait_until_finish()
    except RuntimeError as error:  # what a runner makes of anything that a step raises
        cause = cause_of(str(error))
        if cause is None:
            raise
        raise cause from error


def cause_of(text: str) -> TrailcanaryError | None:
    """The project's own error behind a runner's text."""
    match = _WRAPPED.search(text)
    if match is None:
        return None
    kind: type[TrailcanaryError] = getattr(errors, match[1], TrailcanaryError)
    cause = kind.__new__(kind)
    cause.args = (match[2],)
    return cause


def new_run_id(started_us: int) -> str:
    """Sorts by time, and is unique."""
    return f"{started_us // 1_000_000}-{os.getpid()}-{os.urandom(3).hex()}"
