"""Beam's own options: checked, because Beam itself ignores what it does not know."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners import create_runner

from schemas.errors import UsageError

_IN_PROCESS = "FnApiRunner"
"""What `DirectRunner` means here: Beam's own would first try to download another runner."""


_FLINK = (
    "allow_non_restored_state",
    "auto_watermark_interval",
    "checkpoint_timeout_millis",
    "checkpointing_interval",
    "checkpointing_mode",
    "execution_retry_delay",
    "externalized_checkpoints_enabled",
    "finish_bundle_before_checkpointing",
    "max_bundle_size",
    "max_bundle_time_mills",
    "max_parallelism",
    "min_pause_between_checkpoints",
    "number_of_execution_retries",
    "object_reuse",
    "parallelism",
    "retain_externalized_checkpoints_on_cancellation",
    "savepoint_path",
    "shutdown_sources_after_idle_ms",
    "state_backend",
    "state_backend_storage_path",
    "tolerable_checkpoint_failure_number",
    "unaligned_checkpoint_enabled",
)
"""Options of Beam's Flink runner (FlinkPipelineOptions) that its Python half learns from the job server only."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError([message])


def beam_arguments(rest: Sequence[str]) -> tuple[list[str], bool]:
    """Options for Beam, and whether its steps run in this process, so that a pool of our own makes sense.

    Raises:
        UsageError: an option that neither trailcanary nor Beam knows, or a bad value.
    """
    _refuse_unknown("trailcanary run", rest)
    options = PipelineOptions(list(rest))
    runner = options.view_as(StandardOptions).runner
    if runner not in (None, "DirectRunner", _IN_PROCESS):
        _check_runner(runner)
        return list(rest), False
    in_memory = options.view_as(DirectOptions).direct_running_mode == "in_memory"
    return [*rest, f"--runner={_IN_PROCESS}"], in_memory


def cluster_arguments(rest: Sequence[str]) -> list[str]:
    """Options for a job without an end.

    Raises:
        UsageError: as above, or a runner without a cluster behind it: none of Beam's local ones runs such a job.
    """
    flinks = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in _FLINK:
        flinks.add_argument(f"--{name}", nargs="?")  # some are flags
    _, beams = flinks.parse_known_args(list(rest))
    _refuse_unknown("trailcanary stream", beams)
    runner = PipelineOptions(beams).view_as(StandardOptions).runner
    if runner in (None, "DirectRunner", _IN_PROCESS, "BundleBasedDirectRunner"):
        problem = "a stream needs a cluster, --runner FlinkRunner for one; on one machine use watch"
        raise UsageError([f"--runner {runner or 'DirectRunner'}: {problem}"])
    _check_runner(runner)
    return list(rest)


def _refuse_unknown(command: str, rest: Sequence[str]) -> None:
    strict = _Parser(command, add_help=False, allow_abbrev=False)
    for group in _option_groups(PipelineOptions):
        strict_group: Any = group
        try:
            strict_group._add_argparse_args(strict)
        except argparse.ArgumentError:  # two groups of Beam's declare some options alike
            continue
    strict.parse_args(list(rest))


def _check_runner(name: str) -> None:
    try:
        create_runner(name)
    except (
        ValueError,
        ImportError,
        AttributeError,
    ) as error:  # no such name, no such module, nothing of that name in it
        raise UsageError([f"--runner {name}: {error}"]) from error


def _option_groups(kind: type[Any]) -> list[type[Any]]:
    return [each for child in kind.__subclasses__() for each in (child, *_option_groups(child))]
