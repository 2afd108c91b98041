"""Times and lengths of time: exact both ways, and nothing that is not one."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    datetime_us,
    format_duration_us,
    format_us,
    parse_duration_us,
    parse_iso_us,
)

FIRST_US = datetime_us(dt.datetime.min.replace(tzinfo=dt.UTC))
LAST_US = datetime_us(dt.datetime.max.replace(tzinfo=dt.UTC))


@given(st.integers(FIRST_US, LAST_US))
def test_a_time_survives_being_written(us: int) -> None:
    """Every microsecond of the years 1 to 9999, without a float on the way."""
    assert parse_iso_us(format_us(us)) == us


@given(st.datetimes(timezones=st.timezones()))
def test_a_moment_is_the_same_in_every_zone(moment: dt.datetime) -> None:
    """An offset changes how a time is written, not when it is; out of range in UTC it is refused."""
    us = datetime_us(moment)
    if FIRST_US <= us <= LAST_US and not moment.utcoffset() % dt.timedelta(minutes=1):
        assert parse_iso_us(moment.isoformat()) == us


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01", SECOND_US),  # no offset is UTC
        ("1970-01-01", 0),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2026-11-24T06:05:34Z", 1_795_500_334 * SECOND_US),
    ],
)
def test_ways_to_write_a_time(text: str, us: int) -> None:
    """As CloudTrail writes it, and as people do."""
    assert parse_iso_us(text) == us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-13-01T00:00:00Z",
        "2026-11-31",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",  # the year 0 in UTC
        "9999-12-31T23:59:59-14:00",
        "1700000000",
        "2026-11-24T06:05:34Z ",
        "２０２６-11-24",
    ],
)
def test_what_is_no_time(text: str) -> None:
    """One kind of error for all of it, and no time that could not be written again."""
    with pytest.raises(ValueError, match=r"isoformat|month|day|range|outside"):
        parse_iso_us(text)


@pytest.mark.parametrize(
    ("us", "text"), [(0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00.000001Z"), (-DAY_US, "1969-12-31T00:00:00Z")]
)
def test_how_a_time_is_written(us: int, text: str) -> None:
    """With Z; with a fraction only where there is one."""
    assert format_us(us) == text


@given(*(st.integers(0, 999) for _ in "dhms"))
def test_a_duration_is_the_sum_of_its_parts(days: int, hours: int, minutes: int, seconds: int) -> None:
    """In any mixture, as long as it is positive."""
    parts = zip((days, hours, minutes, seconds), "dhms", strict=True)
    text = "".join(f"{number}{unit}" for number, unit in parts if number)
    length_us = days * DAY_US + hours * HOUR_US + minutes * MINUTE_US + seconds * SECOND_US
    if length_us:
        assert parse_duration_us(text) == length_us


@given(st.integers(1, 10**9))
def test_a_short_form_is_the_largest_two_units(seconds: int) -> None:
    """What is shown to people reads back as the length, rounded down by less than the smaller unit shown."""
    text = format_duration_us(seconds * SECOND_US)
    shown_us = parse_duration_us(text.replace(" ", ""))
    unit_us = {"d": DAY_US, "h": HOUR_US, "m": MINUTE_US, "s": SECOND_US}[text[-1]]
    assert text.count(" ") <= 1
    assert 0 <= seconds * SECOND_US - shown_us < unit_us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0s",
        "0d0h",
        "5",
        "m",
        "-5m",
        "+5m",
        "5 m",
        "5m ",
        "1.5h",
        "5M",
        "500ms",
        "1w",
        "٥m",
        "5m,",
        "9" * 5000 + "s",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    """Zero is none either: a canary that sings all the time cannot be missed."""
    with pytest.raises(ValueError, match=r"not a positive duration|limit"):
        parse_duration_us(text)


@pytest.mark.parametrize(
    ("us", "text"),
    [(0, "0s"), (SECOND_US - 1, "0s"), (90 * SECOND_US, "1m 30s"), (51 * HOUR_US + 1, "2d 3h"), (DAY_US, "1d")],
)
def test_how_a_duration_is_shown(us: int, text: str) -> None:
    """For people: two units are enough."""
    assert format_duration_us(us) == text
