"""Times and lengths on the command line, and what is no argument at all; each raises UsageError that names it."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.errors import UsageError
from schemas.times import parse_duration_us, parse_iso_us


def refuse_rest(rest: Sequence[str]) -> None:
    """Arguments that nobody knows, each a problem of its own."""
    if rest:
        raise UsageError([f"unknown argument {argument}" for argument in rest])


def time_us(option: str, text: str) -> int:
    """A point in time, in ISO 8601."""
    try:
        return parse_iso_us(text)
    except ValueError:
        raise UsageError([f"{option} {text}: not a time such as 2026-11-01T12:00:00Z"]) from None


def length_us(option: str, text: str) -> int:
    """A length of time that is not nothing."""
    try:
        return parse_duration_us(text)
    except ValueError:
        raise UsageError([f"{option} {text}: not a length of time such as 30s or 5m"]) from None


def optional_length_us(option: str, text: str | None) -> int | None:
    """The same for an option that may be left out."""
    return None if text is None else length_us(option, text)


def duration_us(option: str, text: str) -> int:
    """A length of time, or `0s`."""
    try:
        return 0 if text == "0s" else parse_duration_us(text)
    except ValueError:
        raise UsageError([f"{option} {text}: not a length of time such as 30m or 1h"]) from None
