"""Maintenance windows: whom they excuse, and until when."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

import msgspec

from schemas.alerts import Alert, Severity
from schemas.canaries import Canary, Place
from schemas.maintenance import Maintenance

_FINDINGS = ("trail.tampered", "trail.attempted", "watcher.", "rule.", "canary.allowed")


def with_maintenance(canaries: Iterable[Canary], windows: Sequence[Maintenance]) -> tuple[Canary, ...]:
    """Canaries, each with the windows that may concern it."""
    named = [(canary, tuple(each for each in windows if _any(each.canaries, canary.name))) for canary in canaries]
    return tuple(msgspec.structs.replace(canary, maintenance=some) for canary, some in named)


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
    """A finding's alert, suppressed by the first window of its account and region that holds all of its own window.

    That is the call; of what ends an incident, all that it was. What is critical pages, and so does what is no
    finding; what is suppressed already stays as it is.
    """
    if not alert.kind.startswith(_FINDINGS) or alert.severity is Severity.CRITICAL or alert.suppressed_by is not None:
        return alert
    for window in windows:
        if window.start_us <= alert.window_start_us <= alert.window_end_us < window.end_us and _concerns(window, alert):
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
