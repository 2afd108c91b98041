"""Bodies of every shape that is met, and what becomes of a bad record among good ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_worlds import EVENT_TIME, body_of, minimal, parse, rebuilt, records, rows_of

from schemas.dead_letters import Reason
from schemas.errors import UnreadableContent
from schemas.times import parse_iso_us
from transforms import raw_records
from transforms.parse import parse_fast, parse_tolerant

GOOD = json.dumps(minimal(eventID="good")).encode()


def among_good_ones(record: bytes) -> bytes:
    """A body whose second record of three is the given text."""
    return b'{"Records":[' + b",".join([GOOD, record, GOOD]) + b"]}"


def reason(body: bytes) -> Reason:
    """Why a body as a whole is refused."""
    with pytest.raises(UnreadableContent) as caught:
        parse(body)
    return caught.value.reason


def only_row(record: dict[str, Any]) -> dict[str, Any]:
    """The single row of a single record."""
    [row] = rows_of(body_of([record])).to_pylist()
    return row


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records(strict=True), max_size=4))
def test_both_paths_say_the_same(written: list[dict[str, Any]]) -> None:
    """Where the fast path is possible, the tolerant one gives the same rows."""
    fast = rows_of(body_of(written), lambda body: parse_fast(body) or pytest.fail("refused"))
    assert fast.equals(rows_of(body_of(written), parse_tolerant))


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b"1", Reason.RECORD_NOT_OBJECT),
        (b"null", Reason.RECORD_NOT_OBJECT),
        (b"[]", Reason.RECORD_NOT_OBJECT),
        (b'"\\ud800"', Reason.RECORD_NOT_OBJECT),
        (b"{}", Reason.NO_EVENT_TIME),
        (b'{"eventTime":null}', Reason.NO_EVENT_TIME),
        (b'{"eventTime":1793491200}', Reason.NO_EVENT_TIME),
        (b'{"eventTime":"2026-13-01T00:00:00Z"}', Reason.NO_EVENT_TIME),
        (b'{"eventTime":"0000-01-01T00:00:00Z"}', Reason.NO_EVENT_TIME),
        (b'{"eventTime":"2026-11-01T00:00:60Z"}', Reason.NO_EVENT_TIME),
        (b'{"eventTime":"0001-01-01T00:00:00+01:00"}', Reason.NO_EVENT_TIME),
        (b'{"eventTime":"\\ud800"}', Reason.NO_EVENT_TIME),
        (b'{"eventTime":"2026-11-01T00:00:00Z","userAgent":"\xff"}', Reason.NOT_JSON),
        (b'{"eventTime":"2026-11-01T00:00:00Z","new":"\xed\xa0\x80"}', Reason.NOT_JSON),
        (b'{"eventTime":"2026-11-01T00:00:00Z","userAgent":"\\q"}', Reason.NOT_JSON),
        (b'{"eventTime":"2026-11-01T00:00:00Z","userAgent":"\x01"}', Reason.NOT_JSON),
        (b'{"eventTime":"2026-11-01T00:00:00Z","new":NaN}', Reason.NOT_JSON),
        (b'{"eventTime":"2026-11-01T00:00:00Z","requestParameters":{"a":01}}', Reason.NOT_JSON),
        (b'{"eventTime":"2026-11-01T00:00:00Z" "eventName":"a"}', Reason.NOT_JSON),
        (b"", Reason.NOT_JSON),
        (b'{"eventTime":"2026-11-01T00:00:00Z","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", Reason.NOT_JSON),
        (b'{"eventTime":"2026-11-01T00:00:00Z","requestParameters":' + b'{"a":' * 5000 + b"}" * 5001, Reason.NOT_JSON),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_bad_record_spares_its_neighbours(record: bytes, why: Reason) -> None:
    """It is a dead letter, with its reason and its own text; the others are rows that keep their index."""
    parsed = parse(among_good_ones(record))
    if why is Reason.NO_EVENT_TIME and parsed.dead == ():  # of the right length: found out in the columns
        parsed = parse_tolerant(among_good_ones(record))
    assert [(dead.index, dead.reason, dead.body) for dead in parsed.dead] == [(1, why, record)]
    assert list(parsed.indexes) == [0, 2]
    assert parsed.count == 3


@pytest.mark.parametrize(
    "record",
    [
        minimal(readOnly="true", managementEvent=0),
        minimal(eventName=5, userIdentity="root"),
        minimal(newMember={"a": [1]}),
        minimal(userAgent="\ud83d", **{"\ud800": "\udfff"}),
        minimal(apiVersion=1.3, tlsDetails={"tlsVersion": 1.3, "alpn": []}),
        minimal(eventTime="2026-11-01T00:00:00.000Z"),
    ],
    ids=repr,
)
def test_an_odd_record_is_kept_beside_others(record: dict[str, Any]) -> None:
    """Wrong types and unknown members cost the fast path, nothing else."""
    assert parse_fast(body_of([record, minimal()])) is None
    assert rebuilt(body_of([minimal(), record, minimal()])) == [minimal(), record, minimal()]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", Reason.NOT_JSON),
        (b"\xff\xfe", Reason.NOT_JSON),
        (b'{"Records":[', Reason.NOT_JSON),
        (b'{"Records":[]} x', Reason.NOT_JSON),
        (b'{"Records":["\\q"]', Reason.NOT_JSON),
        (b'{"Records":["\\q"]]}', Reason.NOT_JSON),
        (b'{"Records":["' + b'\\"' * 100_000, Reason.NOT_JSON),
        (b"[" * 100_000, Reason.NOT_JSON),
        (b"null", Reason.NO_RECORDS),
        (b'"Records"', Reason.NO_RECORDS),
        (b"{}", Reason.NO_RECORDS),
        (b'{"Records":null}', Reason.NO_RECORDS),
        (b'{"Records":{}}', Reason.NO_RECORDS),
        (b'{"records":[]}', Reason.NO_RECORDS),
        (b'{"Events":[{"CloudTrailEvent":"{}"}]}', Reason.NO_RECORDS),
        (GOOD, Reason.NO_RECORDS),
        (GOOD + b"\n" + GOOD, Reason.NOT_JSON),
        (b'{"@timestamp":"2026-11-01T00:00:00Z","message":"{}"}', Reason.NO_RECORDS),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_what_holds_no_records_is_refused_whole(body: bytes, why: Reason) -> None:
    """Truncated, no JSON, or other shapes: lines of records, LookupEvents, Logstash."""
    assert reason(body) is why


@pytest.mark.parametrize("body", [b"[%s]", b" \n[ %s ]\n", b'{"Records": [%s], "x": 1}', b'{"x":[],"Records":[%s]}'])
def test_bare_arrays_and_company_are_read(body: bytes) -> None:
    """Old and aggregated files are a bare array; a document may hold more than Records."""
    assert rebuilt(body % GOOD) == [minimal(eventID="good")]
    assert rebuilt(body % b"") == []


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59Z", -1_000_000),
        ("2070-01-01T00:00:00Z", 3_155_760_000_000_000),
        ("2026-11-01T00:00:00.25Z", parse_iso_us(EVENT_TIME) + 250_000),
        ("2026-11-01T05:30:00+05:30", parse_iso_us(EVENT_TIME)),
        ("9999-12-31T23:59:59Z", parse_iso_us("9999-12-31T23:59:59Z")),
        ("0001-01-01T00:00:00Z", parse_iso_us("0001-01-01T00:00:00Z")),
    ],
)
def test_times_are_exact(text: str, us: int) -> None:
    """Before the epoch, far ahead, with fractions and offsets: microseconds in UTC, and the text comes back."""
    rows = rows_of(body_of([minimal(eventTime=text)]))
    assert rows["event_time"].cast("int64").to_pylist() == [us]
    assert rebuilt(body_of([minimal(eventTime=text)])) == [{"eventTime": text}]


@pytest.mark.parametrize(
    ("value", "column"), [("true", True), ("FALSE", False), (1, True), (0, False), ("maybe", None), ([], None)]
)
def test_read_only_as_something_else(value: Any, column: bool | None) -> None:  # noqa: FBT001
    """The nearest truth in the column, the text itself beside it."""
    assert only_row(minimal(readOnly=value))["read_only"] is column
    assert rebuilt(body_of([minimal(readOnly=value)])) == [minimal(readOnly=value)]


def test_what_fits_lands_in_its_column() -> None:
    """An unknown member does not push its neighbours out of their columns, at no level."""
    identity = {"type": "Role", "new": 1, "sessionContext": {"new": 2, "sessionIssuer": {"arn": "a", "userName": 3}}}
    row = only_row(minimal(userIdentity=identity, resources=[{"ARN": "r", "new": 4}]))
    assert row["user_identity"]["type"] == "Role"
    assert row["user_identity"]["session_context"]["session_issuer"]["arn"] == "a"
    assert row["user_identity"]["session_context"]["session_issuer"]["user_name"] == "3"
    assert row["resources"][0]["arn"] == "r"


def test_no_event_id_and_no_identity_type() -> None:
    """Service events have neither, and are rows."""
    row = only_row(minimal(userIdentity={"invokedBy": "s3.amazonaws.com"}))
    assert (row["event_id"], row["user_identity"]["type"]) == (None, None)
    assert row["user_identity"]["invoked_by"] == "s3.amazonaws.com"


@pytest.mark.parametrize("record", [GOOD, b"{}", b"1"], ids=["good", "empty", "number"])
def test_the_number_of_records_is_bounded(record: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """On both paths: as many as the bound are read, one more is too large."""
    monkeypatch.setattr(raw_records, "MAX_RECORDS", 5)
    monkeypatch.setattr("transforms.parse.MAX_RECORDS", 5)
    bodies = [b'{"Records":[' + b",".join([record] * count) + b"]}" for count in (5, 6)]
    assert parse(bodies[0]).count == 5
    assert reason(bodies[1]) is Reason.TOO_LARGE
