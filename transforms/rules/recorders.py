"""AWS Config: recorders that see less, and results that are kept for less long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.trails import LogPath
from transforms.rules.members import elements, member, number, parameters, truth

KEPT_DAYS = 2557
"""What AWS Config keeps where nobody shortened it, and the most that it can keep."""
_ALL_TYPES = "ALL_SUPPORTED_RESOURCE_TYPES"
_CONTINUOUS = "CONTINUOUS"


def describe_recorder(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """PutConfigurationRecorder: some resource types are not recorded, or some not at once.

    A recording group that is not sent records all types: not narrowed.
    """
    recorder = parameters(event, "configurationRecorder")
    return {"derived.recorder_narrowed": _leaves_out(recorder) or _is_delayed(recorder)}


def describe_kept(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """PutRetentionConfiguration: shorter than what AWS Config keeps by itself."""
    days = number(parameters(event, "retentionPeriodInDays"))
    return {"derived.retention_short": days is None or days < KEPT_DAYS}


def _leaves_out(recorder: Any) -> bool:
    group = member(recorder, "recordingGroup")
    strategy = member(group, "recordingStrategy", "useOnly")
    return group is not None and strategy != _ALL_TYPES and truth(member(group, "allSupported")) is not True


def _is_delayed(recorder: Any) -> bool:
    mode = member(recorder, "recordingMode")
    overrides = elements(member(mode, "recordingModeOverrides"))
    frequencies = [member(each, "recordingFrequency") for each in (mode, *overrides)]
    return any(frequency not in (None, _CONTINUOUS) for frequency in frequencies)
