"""The shipped rules: each against its own events, all of them against the list they are made from."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas.archive import ARCHIVE_SCHEMA, RECORD_MEMBERS, Member, members_of
from schemas.tampering import Tampering
from schemas.times import parse_iso_us
from schemas.trails import LogPath, Trail
from transforms.rules import builtin_rules
from transforms.rules.derived import derive
from transforms.sigma import RuleSet, parse_rules

CATEGORIES = ("trail", "trail-lake", "trail-bucket", "trail-key", "trail-objects")
FOLDER = Path(__file__).parents[1] / "transforms" / "rules"
EVENTS_CSV = Path("/work/shared/reference/tamper_events.csv")
RULES = {
    path.stem: path
    for category in CATEGORIES
    for path in (FOLDER / category).glob("*.yml")
    if "events" not in path.name
}
DECLARED = LogPath(trails=(Trail("org-trail", "111122223333", "us-east-1", "security-logs", "alias/logs"),))

stems = pytest.mark.parametrize("stem", sorted(RULES))


def column_value(member: Member, value: Any) -> Any:
    """A record's member as its column holds it."""
    if value is None or member.name == "event_time":
        return parse_iso_us(value) if value else None
    if member.json:
        return orjson.dumps(value).decode()
    if member.struct is None:
        return value
    inner = members_of(member.struct)
    if isinstance(value, list):
        return [{part.name: part_value(part, each) for part in inner} for each in value]
    return {part.name: part_value(part, value) for part in inner}


def part_value(part: Member, value: dict[str, Any]) -> Any:
    """A member of a struct as its column holds it."""
    return column_value(part, value.get(part.vendor_name))


def table_of(records: list[dict[str, Any]]) -> pa.Table:
    """Archive rows of records that fit the columns."""
    rows = []
    for index, record in enumerate(records):
        row = {member.name: column_value(member, record.get(member.vendor_name)) for member in RECORD_MEMBERS}
        rows.append(
            {**row, "object_key": "AWSLogs/x.json.gz", "record_index": index, "delivered_at": row["event_time"]}
        )
    return pa.Table.from_pylist(rows, schema=ARCHIVE_SCHEMA)


def events_of(stem: str) -> dict[str, Any]:
    """The events that belong to a rule."""
    loaded: dict[str, Any] = yaml.safe_load(RULES[stem].with_suffix(".events.yml").read_text())
    return loaded


def log_path_of(events: dict[str, Any]) -> LogPath:
    """The trails that the events are evaluated under."""
    return LogPath(trails=tuple(Trail(**trail) for trail in events.get("log_path", {}).get("trails", ())))


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    """All shipped rules, compiled together."""
    return parse_rules({f"{stem}.yml": source for stem, source in builtin_rules().items()})


def found_in(rules: RuleSet, events: dict[str, Any], kind: str) -> list[list[Tampering]]:
    """What all rules find in each event of a kind."""
    found = rules.evaluate(table_of(events[kind]), log_path_of(events)) if events[kind] else []
    return [[each for each in found if each.event_id == record["eventID"]] for record in events[kind]]


def test_builtin_rules_are_all_of_them() -> None:
    """Every file of the five categories ships, under a stem that no other file has."""
    files = [path for category in CATEGORIES for path in (FOLDER / category).glob("*.yml") if "events" not in path.name]
    assert len(files) == len(RULES)
    assert RULES.keys() <= builtin_rules().keys()


@stems
def test_rule_comes_with_events(stem: str) -> None:
    """A rule has events of all three kinds; only a service event cannot be refused."""
    events = events_of(stem)
    assert events["fires"]
    assert events["near_misses"]
    assert events["refused"] or events["refusable"] is False
    assert all("errorCode" in record for record in events["refused"])
    assert not any("errorCode" in record for record in events["fires"])
    ids = [record["eventID"] for kind in ("fires", "near_misses", "refused") for record in events[kind]]
    assert len(ids) == len(set(ids))


@stems
@pytest.mark.parametrize("kind", ["fires", "refused"])
def test_rule_fires(rules: RuleSet, stem: str, kind: str) -> None:
    """A rule finds its own events, refused or not, and says which they were."""
    for found in found_in(rules, events_of(stem), kind):
        mine = [each for each in found if each.rule == stem]
        assert [each.succeeded for each in mine] == [kind == "fires"]


@stems
def test_rule_spares_near_misses(rules: RuleSet, stem: str) -> None:
    """A rule does not find what is close and harmless, or another rule's."""
    for found in found_in(rules, events_of(stem), "near_misses"):
        assert stem not in [each.rule for each in found]
