"""`trailcanary stream`: the job without an end, handed to a cluster that keeps it running."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
    TestOptions,
)
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
_UNDERWAY = frozenset({PipelineState.STOPPED, PipelineState.STARTING, PipelineState.UNKNOWN, None})
_MAKE_JARS = frozenset({"FlinkRunner", "PortableRunner"})
_ASK_AGAIN_S = 0.5


class Pace(msgspec.Struct, frozen=True):
    """How often the inputs are listed, how long a new object waits for others, and a queue of notices (URL or ARN)."""

    every_us: int
    flush_us: int
    notices: str | None = None


class Submitted(msgspec.Struct, frozen=True):
    """What became of a job: the id that it runs under, or the `jar` (a path) that it was put into instead.

    Neither for a dry run.
    """

    job_id: str | None = None
    jar: str | None = None


def stream(settings: Settings, pace: Pace, beam_arguments: Sequence[str]) -> Submitted:
    """Submit the job, and return as soon as it runs; the cluster keeps it.

    With Beam's `--output_executable_path` nothing runs: return once the job server has written that file, which may be
    on another machine.

    Raises:
        UsageError: a rule, an input or an option of Beam's cannot be used.
        LakeLocked, LakeDamaged, StorageError, QueueError: as their names say.
        JobRefused: the cluster did not take the job, or it ended before it ran, or there is no jar.
    """
    options = PipelineOptions(list(beam_arguments), streaming=True)
    jar = options.view_as(PortableOptions).output_executable_path
    if jar:
        _refuse_jar(options)
    result = submit(settings, pace, options)
    if options.view_as(TestOptions).dry_run:
        return Submitted()
    return _written(result, jar) if jar else _running(result)


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


def _refuse_jar(options: PipelineOptions) -> None:
    """Other runners ignore the option, and run the job."""
    runner = str(options.view_as(StandardOptions).runner).rpartition(".")[2]
    if runner not in _MAKE_JARS or options.view_as(FlinkRunnerOptions).flink_submit_uber_jar:
        problem = (
            "only a job server makes a jar, --runner PortableRunner or FlinkRunner without --flink_submit_uber_jar"
        )
        raise UsageError([f"--output_executable_path: {problem}"])


def _running(result: Any) -> Submitted:
    state = _state_after(result, _UNDERWAY)
    if state != PipelineState.RUNNING:
        raise JobRefused(f"the job is {str(state).lower()}: see the cluster's log")
    return Submitted(job_id=str(getattr(result, "_job_id", "") or getattr(result, "job_id", lambda: "")()))


def _written(result: Any, jar: str) -> Submitted:
    """A job server says that the job runs while it writes the jar, and that it is done when the file is whole."""
    state = _state_after(result, _UNDERWAY | {PipelineState.RUNNING})
    if state != PipelineState.DONE:
        raise JobRefused(f"{jar} was not written, the job is {str(state).lower()}: see the job server's log")
    return Submitted(jar=jar)


def _state_after(result: Any, before: frozenset[str | None]) -> str | None:
    while (state := result.state) in before:
        time.sleep(_ASK_AGAIN_S)
    return str(state)
