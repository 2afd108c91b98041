"""Maintenance windows: whom they excuse, and until when."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

import msgspec

from schemas.alerts import Alert, Severity
from schemas.canaries import Canary, Place
from schemas.maintenance import Maintenance

_FINDINGS = frozenset(
    {
        "trail.tampered",
        "trail.attempted",
        "watcher.tampered",
        "watcher.attempted",
        "rule.matched",
        "rule.attempted",
        "canary.allowed",
    }
)


def excuse(canary: Canary, place: Place, slot: int) -> str | None:
    """What suppresses an alert about a slot's absence (`suppressed_by`); None where it pages.

    A slot is excused by a window that holds any of the time from its start to its deadline: the call may not have been
    made for it, or not been delivered.
    """
    window = _window_of(_windows_at(canary, place), canary, slot)
    return None if window is None else window.suppressed_by


def first_unexcused(canary: Canary, place: Place, first: int, last: int) -> int | None:
    """The first of slots `first` to `last` that no window excuses; looks once at each window that does."""
    windows, slot = _windows_at(canary, place), first
    while slot <= last:
        window = _window_of(windows, canary, slot)
        if window is None:
            return slot
        slot = max(slot + 1, -(-window.end_us // canary.period_us))
    return None


def maintained(alert: Alert, windows: Iterable[Maintenance]) -> Alert:
    """A finding's alert, suppressed by the first window of its account and region that holds the call.

    What is critical pages, and so does what is no finding; what is suppressed already stays as it is. All alerts of
    an incident begin with the same call if they are about one, so that what ends it is as quiet as what opened it.
    """
    if alert.kind not in _FINDINGS or alert.severity is Severity.CRITICAL or alert.suppressed_by is not None:
        return alert
    for window in windows:
        if window.start_us <= alert.window_start_us < window.end_us and _concerns(window, alert):
            return msgspec.structs.replace(alert, suppressed_by=window.suppressed_by)
    return alert


def _concerns(window: Maintenance, alert: Alert) -> bool:
    places = _any(window.accounts, alert.account_id) and _any(window.regions, alert.region)
    return places and _any(window.canaries, alert.canary)


def _windows_at(canary: Canary, place: Place) -> list[Maintenance]:
    return [
        window
        for window in canary.maintenance
        if _any(window.accounts, place.account_id)
        and _any(window.regions, place.region)
        and _any(window.canaries, place.canary)
    ]


def _window_of(windows: Sequence[Maintenance], canary: Canary, slot: int) -> Maintenance | None:
    start_us, deadline_us = canary.slot_start_us(slot), canary.deadline_us(slot)
    return next((each for each in windows if start_us < each.end_us and each.start_us <= deadline_us), None)


def _any(globs: Sequence[str], name: str | None) -> bool:
    return not globs or (name is not None and any(fnmatch.fnmatchcase(name, glob) for glob in globs))
