"""Time as integer microseconds since the epoch, UTC; ISO 8601 at the edges.

A timestamp is called `*_us`; a length of time `*_us` or `*_s`. Nothing here reads a clock.
"""

from __future__ import annotations

import datetime as dt
import re

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST_US = -62_135_596_800_000_000
_LAST_US = 253_402_300_799_999_999
_DURATION = re.compile(r"([0-9]+)(s|m|h|d)")
_UNIT_US = {"s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US}


def parse_iso_us(text: str) -> int:
    """Read an ISO 8601 time; one without an offset is UTC.

    Raises:
        ValueError: `text` is not ISO 8601, or its year lies outside 1 to 9999 in UTC.
    """
    moment = dt.datetime.fromisoformat(text)
    us = datetime_us(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))
    if not _FIRST_US <= us <= _LAST_US:  # an offset can lead out of what a datetime holds
        raise ValueError(f"outside the years 1 to 9999 in UTC: {text!r}")
    return us


def datetime_us(moment: dt.datetime) -> int:
    """Microseconds of an aware datetime, exactly (no float on the way)."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def format_us(us: int) -> str:
    """ISO 8601 with `Z`; whole seconds as CloudTrail writes them, fractions only where there are any."""
    text = (_EPOCH + dt.timedelta(microseconds=us)).isoformat()
    return text.removesuffix("+00:00") + "Z"


def parse_duration_us(text: str) -> int:
    """Read `90s`, `5m`, `1h`, `7d` or a sum such as `1h30m`.

    Raises:
        ValueError: `text` is not such a length, or is not positive.
    """
    parts = _DURATION.findall(text)
    length_us = sum(int(number) * _UNIT_US[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or length_us <= 0:
        raise ValueError(f"not a positive duration such as 90s, 5m or 1h30m: {text!r}")
    return length_us


def format_duration_us(us: int) -> str:
    """The two largest units of a length of time, for people: `2d 3h`, `15m`, `4m 30s`, `0s`."""
    parts = []
    for unit in ("d", "h", "m", "s"):
        number, us = divmod(us, _UNIT_US[unit])
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2]) or "0s"
