"""Lifecycle rules of a log bucket: what they expire, and when.

Expirations by lifecycle are in no log at all (facts §4), so the call that sets the rule is the only warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.times import DAY_US
from schemas.trails import LogPath
from transforms.rules.members import at, elements, moment_us, number, parameters, truth

RETENTION_FLOOR_DAYS = 365
"""Logs kept for less than this raise a retention rule: a year is what PCI DSS 10.5.1 asks for."""

ARCHIVE_FLOOR_DAYS = 90
"""Logs moved to an archive class sooner than this raise a rule: CloudTrail's own event history spans 90 days."""

_UNREADABLE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")  # GLACIER_IR is read at once


def describe_lifecycle(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """What the enabled rules of a PutBucketLifecycle call do, whatever their filters; disabled rules do nothing.

    A record that shows no rule at all counts as one that expires early.
    """
    configuration = parameters(event, "LifecycleConfiguration")
    found = [*elements(at(configuration, "Rule")), *elements(at(configuration, "Rules"))]
    enabled = [rule for rule in found if at(rule, "Status") == "Enabled"]
    return {
        "derived.lifecycle_expires_early": not found or any(_expires_early(rule, event) for rule in enabled),
        "derived.lifecycle_recovery_short": any(map(_is_recovery_short, enabled)),
        "derived.lifecycle_archives_early": any(_archives_early(rule, event) for rule in enabled),
    }


def is_early(days: Any, date: Any, event: Mapping[str, Any], floor_days: int) -> bool:
    """Whether an age in days, or a date seen from the event's time, lies below a floor; unreadable values do."""
    if days is not None:
        limit = number(days)
        return limit is None or limit < floor_days
    if date is None:
        return False
    start_us, end_us = moment_us(event.get("eventTime")), moment_us(date)
    return start_us is None or end_us is None or end_us - start_us < floor_days * DAY_US


def _expires_early(rule: Any, event: Mapping[str, Any]) -> bool:
    return any(
        is_early(at(each, "Days"), at(each, "Date"), event, RETENTION_FLOOR_DAYS)
        for each in elements(at(rule, "Expiration"))
    )


def _is_recovery_short(rule: Any) -> bool:
    if any(truth(at(each, "ExpiredObjectDeleteMarker")) for each in elements(at(rule, "Expiration"))):
        return True
    days = [at(each, "NoncurrentDays") for each in elements(at(rule, "NoncurrentVersionExpiration"))]
    return any((number(each) or 0) < RETENTION_FLOOR_DAYS for each in days)


def _archives_early(rule: Any, event: Mapping[str, Any]) -> bool:
    return any(
        at(each, "StorageClass") in _UNREADABLE_CLASSES
        and is_early(
            at(each, "Days") if at(each, "Date") is None else None, at(each, "Date"), event, ARCHIVE_FLOOR_DAYS
        )
        for each in elements(at(rule, "Transition"))
    )
