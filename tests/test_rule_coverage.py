"""The list of tampering events against the shipped rules: which rows no rule names."""

from __future__ import annotations

import csv
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from transforms.rules import builtin_rules

EVENTS_CSV = Path(__file__).resolve().parents[2] / "shared" / "reference" / "tamper_events.csv"
SCOPES = {"log_path": "trail", "watcher": "watcher", "recovery": "recovery"}
NO_ONE_RECORD = (
    "record whose eventTime falls in an hour whose digest did not list its object",  # digests tell
    "management events of the same eventName stop",  # absence is in no record
    "the canary call SUCCEEDS",  # the check of canaries' calls tells, and knows what was expected
    "the canary call fails with another error",
    "canary record present but caller",
)
"""Conditions of rows that no rule on one record can say."""

ANY_CALL = {"requestParameters.omitted=true": "request_padded", "addendum.reason present": "record_late_or_corrected"}
"""Rows for any call, and their rules."""

Key = tuple[str, str, str, str, str]


def names_of(value: str | list[str]) -> list[str]:
    """What a rule selects."""
    return [value] if isinstance(value, str) else value


@cache
def shipped() -> dict[str, Any]:
    """The rules by stem."""
    return {stem: yaml.safe_load(source) for stem, source in builtin_rules().items()}


def named() -> Counter[Key]:
    """How many rules name a call, by scope, category and severity."""
    found: Counter[Key] = Counter()
    for rule in shipped().values():
        place, call = rule["trailcanary"], rule["detection"].get("call", {"eventSource": [], "eventName": []})
        level = rule["level"].replace("informational", "info")
        for source in names_of(call["eventSource"]):
            found.update(
                (place["scope"], place["category"], source, name, level) for name in names_of(call["eventName"])
            )
    return found


def rows() -> list[dict[str, str]]:
    """The rows that one record can show."""
    if not EVENTS_CSV.exists():
        pytest.skip("the list of tampering events is not beside the checkout")
    with EVENTS_CSV.open(newline="") as file:
        listed = list(csv.DictReader(file))
    return [row for row in listed if not row["condition"].startswith(NO_ONE_RECORD)]


def key_of(row: dict[str, str]) -> Key:
    """What the rules of a row have in common."""
    return SCOPES[row["scope"]], row["category"], row["eventSource"], row["eventName"], row["severity"]


@pytest.mark.data
def test_every_row_has_a_rule() -> None:
    """As many rules name a call, at the row's severity, as the list has rows of it."""
    wanted = Counter(key_of(row) for row in rows() if row["eventName"] != "*")
    assert sorted(wanted - named()) == []


@pytest.mark.data
def test_every_row_for_any_call_has_a_rule() -> None:
    """Rows that are for no call in particular have the rules that say so here."""
    for row in (row for row in rows() if row["eventName"] == "*"):
        stem = next(stem for start, stem in ANY_CALL.items() if row["condition"].startswith(start))
        assert shipped()[stem]["level"].replace("informational", "info") == row["severity"]


@pytest.mark.data
def test_every_technique_is_tagged() -> None:
    """Some rule for the call has the techniques that the list names for it."""
    tagged: dict[tuple[str, str], set[str]] = {}
    for rule in shipped().values():
        call = rule["detection"].get("call", {"eventSource": [], "eventName": []})
        for source in names_of(call["eventSource"]):
            for name in names_of(call["eventName"]):
                tagged.setdefault((source, name), set()).update(rule["tags"])
    for row in rows():
        techniques = {part.split(" ")[0].lower() for part in row["mitre"].split("; ") if part != "-"}
        if row["eventName"] != "*":
            assert {f"attack.{each}" for each in techniques} <= tagged[row["eventSource"], row["eventName"]], row
