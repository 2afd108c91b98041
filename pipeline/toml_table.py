"""A table of a TOML file, read strictly."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections import Counter
from typing import Any

import msgspec

from schemas.times import DAY_US, datetime_us, parse_duration_us

LONGEST_DURATION_US = 366 * DAY_US

_TYPES = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a float"),
    (str, "a string"),
    (list, "an array"),
    (dict, "a table"),
    (dt.datetime, "a date and time"),
    (dt.date, "a date"),
    (dt.time, "a time"),
)


class Form(msgspec.Struct, frozen=True):
    """What a string must look like, and what such a string is called."""

    name: str
    pattern: re.Pattern[str]


_LENGTH = Form("a length of time such as 7d or 12h", re.compile(r"([0-9]{1,9}[smhd])+"))


class Table:
    """One table and where it stands. What is wrong with it goes to `problems`, and an empty value comes back."""

    def __init__(self, place: str, entries: dict[str, Any], problems: list[str]) -> None:
        self._place, self._entries, self._problems = place, entries, problems

    def note(self, problem: str) -> None:
        """Add a problem of this table."""
        self._problems.append(f"{self._place}: {problem}")

    def refuse_unknown(self, known: tuple[str, ...]) -> None:
        """Note each key that is not `known`, with the one that may be meant."""
        for key in [key for key in self._entries if key not in known]:
            meant = difflib.get_close_matches(key, known, n=1)
            self.note(f"unknown key {quoted(key)}" + (f" (did you mean {quoted(meant[0])}?)" if meant else ""))

    def has(self, key: str) -> bool:
        """True where the key is given; whatever its value."""
        return key in self._entries

    def string(self, key: str, form: Form) -> str:
        """A string of that form, which must be given."""
        value = self._entries.get(key)
        if value is None:
            self.note(f"{key} is missing")
        elif problem := _form_problem(value, form):
            self.note(f"{key}: {problem}")
        else:
            return str(value)
        return ""

    def strings(self, key: str, form: Form) -> tuple[str, ...]:
        """An array of strings of that form, at least one and each once, which must be given."""
        values = self._entries.get(key)
        if values is None:
            self.note(f"{key} is missing")
        elif not isinstance(values, list):
            self.note(f"{key} must be an array such as [{quoted('…')}], not {type_name(values)}")
        elif not values:
            self.note(f"{key} is empty: name at least one")
        else:
            return self._elements(key, values, form)
        return ()

    def one_or_more(self, key: str, form: Form) -> tuple[str, ...]:
        """A string of that form, or an array of such, which must be given."""
        value = self._entries.get(key)
        return self.strings(key, form) if isinstance(value, list) else (self.string(key, form),)

    def duration_us(self, key: str) -> int:
        """A length of time such as `"5m"`, at least 1 s, in microseconds; it must be given."""
        value = self._entries.get(key)
        if value is None:
            self.note(f"{key} is missing")
        elif not isinstance(value, str):
            self.note(f'{key} must be a string such as "90s", "5m" or "1h30m", not {type_name(value)}')
        else:
            return self._duration_us(key, value)
        return 0

    def durations_us(self, key: str) -> tuple[int, ...]:
        """An array of lengths of time such as `["7d", "1d"]`, at least one and each once; it must be given."""
        lengths = tuple(self._duration_us(key, text) for text in self.strings(key, _LENGTH))
        if len(set(lengths)) < len(lengths):
            self.note(f"{key} has one length of time twice")
        return lengths

    def moment_us(self, key: str) -> int:
        """A date and time with its offset, or a date (its midnight in UTC), in microseconds; it must be given."""
        value = self._entries[key]
        if isinstance(value, dt.datetime):
            if value.tzinfo is None:
                self.note(f"{key} says no time zone: write {value.isoformat()}Z")
                return 0
            return datetime_us(value)
        if isinstance(value, dt.date):
            return datetime_us(dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC))
        hint = ", without quotes" if isinstance(value, str) else ""
        self.note(f"{key} must be a date and time such as 2026-11-01T00:00:00Z{hint}, not {type_name(value)}")
        return 0

    def flag(self, key: str) -> bool:
        """A boolean; false where it is not given."""
        value = self._entries.get(key, False)
        if not isinstance(value, bool):
            self.note(f"{key} must be true or false, not {type_name(value)}")
        return value is True

    def tables(self, key: str) -> list[dict[str, Any]]:
        """An array of tables, `[[key]]`; none where it is not given."""
        value = self._entries.get(key, [])
        if isinstance(value, list) and all(isinstance(element, dict) for element in value):
            return value
        self.note(f"{key} must be an array of tables: begin each with [[{key}]]")
        return []

    def table(self, key: str) -> dict[str, Any]:
        """A table with at least one key, which must be given."""
        value = self._entries.get(key)
        if value is None:
            self.note(f"{key} is missing")
        elif not isinstance(value, dict):
            self.note(f"{key} must be a table, not {type_name(value)}")
        elif not value:
            self.note(f"{key} is empty: name at least one condition")
        else:
            return value
        return {}

    def inner(self, key: str) -> Table:
        """A table in this one, which must be given and may be empty."""
        value = self._entries.get(key)
        if isinstance(value, dict):
            return Table(f"{self._place}: {key}", value, self._problems)
        self.note(f"{key} must be a table, not {type_name(value)}")
        return Table(key, {}, [])  # whatever else is wrong with it is wrong for that reason

    def _elements(self, key: str, values: list[Any], form: Form) -> tuple[str, ...]:
        wrong = [problem for value in values if (problem := _form_problem(value, form))]
        for problem in wrong:
            self.note(f"{key}: {problem}")
        if wrong:
            return ()
        for value, times in Counter(values).items():
            if times > 1:
                self.note(f"{key}: {quoted(value)} stands there {times} times")
        return tuple(values)

    def _duration_us(self, key: str, text: str) -> int:
        try:
            length_us = parse_duration_us(text)
        except ValueError:
            self.note(f"{key}: {quoted(text)} is not a length of time of 1 s or more, such as 90s, 5m or 1h30m")
            return 0
        if length_us > LONGEST_DURATION_US:
            self.note(f"{key}: {quoted(text)} is longer than a year")
        return length_us


def type_name(value: object) -> str:
    """What TOML calls a value's type, with its article."""
    return next(name for kind, name in _TYPES if isinstance(value, kind))


def quoted(value: str) -> str:
    """A string as an error message shows it: printable, in quotes, not too long."""
    text = value if len(value) <= 80 else f"{value[:79]}…"
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text) + '"'


def _form_problem(value: object, form: Form) -> str | None:
    if isinstance(value, str):
        return None if form.pattern.fullmatch(value) else f"{quoted(value)} is not {form.name}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value} is a number: put it in quotes, with its leading zeros"
    return f"must be {form.name}, a string, not {type_name(value)}"
