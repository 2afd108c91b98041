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


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError([message])


def beam_arguments(rest: Sequence[str]) -> tuple[list[str], bool]:
    """Options for Beam, and whether its steps run in this process, so that a pool of our own makes sense.

    Raises:
        UsageError: an option that neither trailcanary nor Beam knows, or a bad value.
    """
    strict = _Parser("trailcanary run", add_help=False, allow_abbrev=False)
    for group in _option_groups(PipelineOptions):
        strict_group: Any = group
        try:
            strict_group._add_argparse_args(strict)
        except argparse.ArgumentError:  # two groups of Beam's declare some options alike
            continue
    strict.parse_args(list(rest))
    options = PipelineOptions(list(rest))
    runner = options.view_as(StandardOptions).runner
    if runner not in (None, "DirectRunner", _IN_PROCESS):
        _check_runner(runner)
        return list(rest), False
    in_memory = options.view_as(DirectOptions).direct_running_mode == "in_memory"
    return [*rest, f"--runner={_IN_PROCESS}"], in_memory


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
