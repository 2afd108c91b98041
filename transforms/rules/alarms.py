"""CloudWatch alarms and EventBridge: alarms that can no longer speak, and buses that outsiders may send to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.trails import LogPath
from transforms.rules.members import elements, member, number, parameters, text, truth
from transforms.rules.ownership import inside_accounts
from transforms.rules.policies import statements

SLOWEST_ALARM_S = 86_400
"""An alarm that looks at more than a day before it speaks is no alarm."""
HIGHEST_THRESHOLD = 10_000
"""More of a security event than anyone waits for: the alarms of the CIS benchmark fire at one."""
_SILENT_GAPS = ("ignore",)
_ANYONE = "*"


def describe_alarm(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """PutMetricAlarm: without actions, blind to gaps in the data, slower than a day, or out of reach."""
    sent = parameters(event)
    return {"derived.alarm_silenced": _is_mute(sent) or _is_slow(sent) or _is_out_of_reach(sent)}


def describe_composite_alarm(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """PutCompositeAlarm: another alarm holds its actions back, or it has none."""
    sent = parameters(event)
    return {"derived.alarm_silenced": bool(text(member(sent, "actionsSuppressor"))) or _is_mute(sent)}


def describe_permission(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """PutPermission: whether anyone, or an account outside, may send; a condition confines to an organization."""
    inside = inside_accounts(event, log_path)
    principal = text(parameters(event, "principal"))
    named = principal is not None and principal not in inside
    confined = principal == _ANYONE and parameters(event, "condition") is not None
    found = statements(parameters(event, "policy"))
    allowed = any(each.allows and each.outside_of(inside) for each in found)
    return {"derived.policy_outside_principal": (named and not confined) or allowed}


def _is_mute(sent: Any) -> bool:
    """No action when it goes off; treating missing data as good is usual, as `ignore` keeps the last state."""
    off = truth(member(sent, "actionsEnabled")) is False
    return off or not elements(member(sent, "alarmActions")) or member(sent, "treatMissingData") in _SILENT_GAPS


def _is_slow(sent: Any) -> bool:
    period_s = number(member(sent, "period")) or 0
    return period_s * (number(member(sent, "evaluationPeriods")) or 1) > SLOWEST_ALARM_S


def _is_out_of_reach(sent: Any) -> bool:
    """A count that is too high to reach, or lower than none."""
    threshold = number(member(sent, "threshold"))
    if threshold is None:
        return False
    if (text(member(sent, "comparisonOperator")) or "").startswith("LessThan"):
        return threshold < 0
    return threshold > HIGHEST_THRESHOLD
