"""`trailcanary stream`: the job without an end, handed to a cluster that keeps it running."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.options.pipeline_options import PipelineOptions, TestOptions
from apache_beam.runners.runner import PipelineState

from pipeline.clock import now_us
from pipeline.graph import Plan
from pipeline.intake import LakeIntake
from pipeline.lake import read_lake
from pipeline.lock import hold_lake
from pipeline.run import cause_of, open_all
from pipeline.sqs_queue import open_queue
from pipeline.stream_graph import StreamPlan, build_stream
from pipeline.views import write_views
from schemas.errors import JobRefused, UsageError
from schemas.settings import MIB, Settings
from transforms.intake import TakeIn

BUNDLE_BYTES = 16 * MIB
_UNDERWAY = {PipelineState.STOPPED, PipelineState.STARTING, PipelineState.UNKNOWN, None}
_ASK_AGAIN_S = 0.5


class Pace(msgspec.Struct, frozen=True):
    """How often the inputs are listed, how long a new object waits for others, and a queue of notices (URL or ARN)."""

    every_us: int
    flush_us: int
    notices: str | None = None


def stream(settings: Settings, pace: Pace, beam_arguments: Sequence[str]) -> str | None:
    """Submit the job, and return its id as soon as it runs; the cluster keeps it. None for a dry run: nothing runs.

    Raises:
        UsageError: a rule or an input cannot be used.
        LakeLocked, LakeDamaged, StorageError: as their names say.
        JobRefused: the cluster did not take the job, or it ended before it ran.
    """
    options = PipelineOptions(list(beam_arguments), streaming=True)
    result = submit(settings, pace, options)
    return None if options.view_as(TestOptions).dry_run else _running(result)


def submit(settings: Settings, pace: Pace, options: PipelineOptions) -> Any:
    """Hand the job to the runner, and return the runner's own result at once. Raises what `stream` raises."""
    try:
        pipeline = beam.Pipeline(options=options)
    except ValueError as error:  # a runner's checks of its options
        raise UsageError([" ".join(str(error).split())]) from error
    build_stream(pipeline, prepare(settings, pace))
    try:
        return pipeline.run()
    except (RuntimeError, ImportError) as error:  # what runners make of anything that goes wrong; an extra is missing
        raise cause_of(str(error)) or JobRefused(f"the job was not taken: {error}") from error


def prepare(settings: Settings, pace: Pace) -> StreamPlan:
    """Read the lake while nobody else writes to it; the process that looks for objects holds it from then on."""
    opened = open_all(settings)
    inputs, lake = opened.inputs, opened.lake
    queue = None if pace.notices is None else open_queue(pace.notices, inputs, lake, settings.run_id)
    with hold_lake(lake, settings.run_id, now_us):
        state = read_lake(lake, settings.config)
        write_views(lake)
    intake = LakeIntake(inputs, lake, settings.run_id, BUNDLE_BYTES, pace.every_us, pace.flush_us, queue)
    return StreamPlan(Plan(settings, inputs, lake, opened.rules, state), TakeIn(intake))


def _running(result: Any) -> str:
    while result.state in _UNDERWAY:
        time.sleep(_ASK_AGAIN_S)
    if result.state != PipelineState.RUNNING:
        raise JobRefused(f"the job is {str(result.state).lower()}: see the cluster's log")
    return str(getattr(result, "_job_id", "") or getattr(result, "job_id", lambda: "")())
