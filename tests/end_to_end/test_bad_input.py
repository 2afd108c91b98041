"""Hostile and odd objects among good ones: nothing good is lost, nothing bad is silent, and what is mended is read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folders import ACCOUNT, REGION, alerts, ask, event, fill, finish, letters, log_key, packed, rows, run, start

from schemas.dead_letters import Reason
from schemas.errors import UnreadableContent

GOOD = packed(event("good"))
_BOMB = gzip.compress(b'{"Records":[' + b" " * 2_000_000 + b"]}", mtime=0)
_WRONG_TRAILER = GOOD[:-8] + bytes(4) + GOOD[-4:]
BAD_OBJECTS = {
    "truncated": (GOOD[:-20], "truncated_gzip"),
    "no-trailer": (GOOD[:-8], "truncated_gzip"),
    "trailer": (_WRONG_TRAILER, "wrong_gzip_trailer"),
    "trailing": (GOOD + b"more", "trailing_bytes"),
    "member": (GOOD + GOOD, "second_gzip_member"),
    "bomb": (_BOMB, "too_large"),
    "plain": (b'{"Records":[]}', "not_gzip"),
    "empty": (b"", "not_gzip"),
    "not-json": (gzip.compress(b'{"Records":[', mtime=0), "not_json"),
    "no-records": (gzip.compress(b'{"records":[]}', mtime=0), "no_records"),
    "lookup-events": (gzip.compress(b'{"Events":[{"EventId":"x"}]}', mtime=0), "no_records"),
}
_BAD_RECORDS: dict[str, tuple[Any, str]] = {
    "number": (7, "record_not_object"),
    "list": ([], "record_not_object"),
    "timeless": ({"eventID": "timeless"}, "no_event_time"),
    "year-10000": (event("far", "10000-01-01T00:00:00Z"), "no_event_time"),
    "lookup": ({"EventId": "x", "EventTime": 1.5, "CloudTrailEvent": "{}"}, "no_event_time"),
}
_ODD = {
    "no id": event(None),
    "no type": event("no type", userIdentity={"invokedBy": "ec2.amazonaws.com"}),
    "no identity": {"eventTime": "2026-11-01T12:00:00Z", "eventID": "no identity"},
    "read only text": event("read only text", readOnly="true"),
    "1970": event("1970", "1970-01-01T00:00:00Z"),
    "2070": event("2070", "2070-12-31T23:59:59Z"),
    "offset": event("offset", "2026-11-01T14:00:00.5+02:00"),
    "half": event("half", userAgent="\ud83d"),
}
_KEYS = ["AWSLogs/space in it", "AWSLogs/a+b%2Fc", "AWSLogs/schlüssel/日本", "AWSLogs/single'quote=x"]


def _objects() -> dict[str, bytes]:
    objects = {log_key(f"{name}"): body for name, (body, _) in BAD_OBJECTS.items()}
    objects |= {log_key(name): packed(event(f"before {name}"), bad) for name, (bad, _) in _BAD_RECORDS.items()}
    odd = json.dumps({"Records": list(_ODD.values())}).encode()
    objects[log_key("odd")] = gzip.compress(odd, mtime=0)
    objects[log_key("bare")] = gzip.compress(json.dumps([event("bare")]).encode(), mtime=0)
    objects |= {f"{key}/{log_key('named')}": packed(event(key)) for key in _KEYS}
    objects[f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/2026/11/01/x.json.gz"] = b"a digest"
    objects[f"AWSLogs/{ACCOUNT}/Config/{REGION}/2026/11/1/ConfigHistory/c_20261101T000000Z_1.json.gz"] = b"config"
    return objects | {"junk.bin": b"\x00\xff", ".hidden/notes": b"", "a.log": b"text"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str, Any]:
    """The input, the lake, standard error and the summary of one run in a process of its own."""
    top = tmp_path_factory.mktemp("bad")
    source, lake = fill(top / "in", _objects()), top / "lake"
    done = finish(start("run", "--input", source, "--output", lake, "--max-object-mb", "1", "--json"))
    assert done.code == 0, done.err
    return source, lake, done.err, json.loads(done.out)


def test_bad_input_is_no_failure(world: tuple[Path, Path, str, Any]) -> None:
    """The run says nothing on standard error, and every object and record is on its sheet."""
    _, _, errors, summary = world
    assert errors == ""
    assert summary["faults"] == []
    sheet = summary["balance"]
    assert (sheet["objects_listed"], sheet["objects_dead"], sheet["objects_not_logs"]) == (27, len(BAD_OBJECTS), 5)
    assert (sheet["records_archived"], sheet["records_dead"]) == (18, len(_BAD_RECORDS))


def test_each_bad_thing_is_a_letter_with_its_reason(world: tuple[Path, Path, str, Any]) -> None:
    """Objects and records alike; the letters hold the bytes."""
    _, lake, _, _ = world
    found = {each["path"]: (each["record_index"], each["reason"]) for each in letters(lake)}
    expected = {log_key(name): (None, reason) for name, (_, reason) in BAD_OBJECTS.items()}
    assert found == expected | {log_key(name): (1, reason) for name, (_, reason) in _BAD_RECORDS.items()}
    bodies = {each["path"]: each["body"] for each in letters(lake)}
    assert bodies[log_key("trailer")] == _WRONG_TRAILER
    assert bodies[log_key("number")] == b"7"


def test_good_and_odd_rows_are_all_there(world: tuple[Path, Path, str, Any]) -> None:
    """Neighbours of bad records, odd records and oddly named objects lose nothing."""
    source, lake, _, _ = world
    found = {row["event_id"]: row for row in rows(lake)}
    ids = {record.get("eventID") for record in _ODD.values()}
    assert set(found) == {*(f"before {name}" for name in _BAD_RECORDS), *ids, "bare", *_KEYS}
    assert found["read only text"]["read_only"] is True
    assert [found[year]["event_time"].year for year in ("1970", "2070")] == [1970, 2070]
    assert found["offset"]["event_time"].isoformat() == "2026-11-01T12:00:00.500000+00:00"
    assert found["half"]["user_agent"] == "?"
    assert {found[key]["object_key"] for key in _KEYS} == {f"{source}/{key}/{log_key('named')}" for key in _KEYS}
    assert ask(lake, "SELECT * FROM audit") == []


def test_unreadable_objects_are_one_alert(world: tuple[Path, Path, str, Any]) -> None:
    """Eleven of one account, region and day are one incident, not eleven pages."""
    assert [alert["kind"] for alert in alerts(world[1]).values()] == ["ingest.unreadable"]


def _mended(path: Path) -> None:
    path.write_bytes(packed(event(path.name)))


def _touched(path: Path) -> None:
    """Leave the object as it is: the cap was the fault."""


@pytest.mark.parametrize(("bad", "mend"), [("truncated", _mended), ("bomb", _touched)])
def test_replay_archives_what_can_be_read_now(tmp_path: Path, bad: str, mend: Callable[[Path], None]) -> None:
    """Once mended, or allowed, an object's records are rows, its letter is gone, and no other letter is."""
    source = fill(tmp_path / "in", {log_key(bad): BAD_OBJECTS[bad][0], log_key("plain"): b"{}", log_key("good"): GOOD})
    lake = tmp_path / "lake"
    run(source, lake, "--max-object-mb", "1")
    known = dict(alerts(lake))
    assert {each["reason"] for each in letters(lake)} == {BAD_OBJECTS[bad][1], "not_gzip"}
    mend(source / log_key(bad))
    summary = run(source, lake, "--replay-dead-letters")
    assert (summary["balance"]["objects_read"], summary["balance"]["objects_dead"]) == (1, 1)
    assert [each["path"] for each in letters(lake)] == [log_key("plain")]
    assert len(rows(lake)) == (2 if bad == "truncated" else 1)
    assert alerts(lake) == known
    before = rows(lake), letters(lake)[0] | {"run_id": ""}
    again = run(source, lake, "--replay-dead-letters")
    assert (again["balance"]["objects_read"], again["balance"]["records_read"]) == (0, 0)
    assert (rows(lake), letters(lake)[0] | {"run_id": ""}) == before
    assert ask(lake, "SELECT * FROM audit") == []


def test_replay_that_died_before_it_removed_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead records become rows once this version can read them, and only once, whatever became of the letters."""
    odd = [event(name, someday=1) for name in ("a", "b", "c")]
    source, lake = fill(tmp_path / "in", {log_key("odd"): packed(*odd, {"eventID": "timeless"})}), tmp_path / "lake"
    with monkeypatch.context() as older:
        older.setattr("transforms.parse._event_time", _nothing_is_a_time)
        run(source, lake)
    (path,) = lake.glob("dead_letters/*")
    before = path.read_bytes()
    assert len(letters(lake)) == 4
    summary = run(source, lake, "--replay-dead-letters")
    assert summary["balance"]["records_archived"] == 3
    archived = rows(lake)
    assert [row["event_id"] for row in archived] == ["a", "b", "c"]
    path.write_bytes(before)
    run(source, lake, "--replay-dead-letters")
    assert rows(lake) == archived
    assert [each["record_index"] for each in letters(lake)] == [3]
    assert ask(lake, "SELECT records, archived, duplicates, dead FROM objects") == [(4, 3, 0, 1)]
    assert ask(lake, "SELECT * FROM audit") == []


def _nothing_is_a_time(value: bytes) -> str:
    raise UnreadableContent(Reason.NO_EVENT_TIME, value.decode())
