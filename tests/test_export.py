"""`trailcanary export`, and the records that it rebuilds."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_lakes import NOON_US, event, write_events, write_whole_lake

from pipeline.export import export_records
from pipeline.local_storage import LocalStorage
from pipeline.s3_storage import S3Storage
from schemas.archive import ARCHIVE_SCHEMA, JSON_COLUMNS, RECORD_MEMBERS
from schemas.dead_letters import DeadLetter, Reason
from schemas.errors import LakeDamaged, UsageError
from schemas.storage import Storage
from schemas.times import DAY_US, HOUR_US
from transforms.dead_letter_file import encode_dead_letters
from transforms.rebuild import load_json, record_lines, records_of

VENDOR_NAMES = {member.name: member.vendor_name for member in RECORD_MEMBERS}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def lake(tmp_path: Path) -> LocalStorage:
    """An empty lake."""
    return LocalStorage(str(tmp_path))


def table(*rows: dict[str, Any]) -> pa.Table:
    """Archive rows as Arrow."""
    return pa.Table.from_pylist(list(rows), schema=ARCHIVE_SCHEMA)


def line(**columns: Any) -> bytes:
    """The line of one row."""
    [only] = record_lines(table(event(**columns)))
    assert isinstance(only, bytes)
    return only


def exported(lake: Storage, where: str | None = None) -> list[Any]:
    """The exported records; their number is what `export_records` says."""
    out = io.BytesIO()
    count = export_records(lake, where, out)
    lines = out.getvalue().splitlines()
    assert len(lines) == count
    return [json.loads(text) for text in lines]


def test_record_is_as_cloudtrail_wrote_it() -> None:
    """Names are the vendor's, structs and lists are nested, nulls and provenance are left out."""
    columns = {
        "event_id": None,
        "read_only": False,
        "user_identity": {"type": "AssumedRole", "session_context": {"web_id_federation_data": "{}"}},
        "resources": [{"arn": "arn:aws:s3:::b", "account_id": "111122223333"}, None, {}],
        "addendum": {"original_event_id": "e", "original_request_id": "r"},
        "request_parameters": '{"clientToken":"tc-1"}',
        "source_ip_address": "192.0.2.1",
    }
    assert json.loads(line(**columns)) == {
        "eventTime": "2026-11-24T12:00:00Z",
        "eventName": "RunInstances",
        "eventSource": "ec2.amazonaws.com",
        "awsRegion": "us-east-1",
        "recipientAccountId": "111122223333",
        "readOnly": False,
        "userIdentity": {"type": "AssumedRole", "sessionContext": {"webIdFederationData": {}}},
        "resources": [{"ARN": "arn:aws:s3:::b", "accountId": "111122223333"}, None, {}],
        "addendum": {"originalEventID": "e", "originalRequestID": "r"},
        "requestParameters": {"clientToken": "tc-1"},
        "sourceIPAddress": "192.0.2.1",
    }


@pytest.mark.parametrize(
    "text",
    [
        "123456789012345678901234567890",
        "-9223372036854775809",
        "9" * 5000,
        "1.0",
        "1e400",
        "0.1000000000000000000000000000000001",
        '"\\ud800 \\u0000"',
        '{"a":1,"a":2}',
        "[" * 200 + "]" * 200,
    ],
)
@pytest.mark.parametrize("column", ["request_parameters", "unmapped"])
def test_json_text_is_kept_to_the_letter(text: str, column: str) -> None:
    """Numbers of any size and precision, repeated names and lone surrogates leave as they came."""
    value = text if column != "unmapped" else f'{{"newMember":{text},"eventTime":{text}}}'
    assert text.encode() in line(**{column: value})


def test_halves_of_surrogate_pairs_spoil_no_neighbour() -> None:
    """An `unmapped` with lone surrogates, which the fast parser refuses, is still spliced member by member."""
    unmapped = '{ "new" : {"a": "\\ud800, \\"{"} ,"userIdentity":\n{"type": [1e999], "x": {}}, "y":"\\udc00" }'
    written = line(user_identity={"arn": "a"}, unmapped=unmapped)
    assert b'"new":{"a": "\\ud800, \\"{"}' in written
    assert b'"userIdentity":{"arn":"a","type":[1e999],"x":{}}' in written
    assert b'"y":"\\udc00"' in written


def test_line_ends_between_tokens_become_spaces() -> None:
    """Pretty-printed JSON is still one line, with the same values."""
    text = '{\r\n  "a": "x\\ny",\n  "b": [1,\r2]\n}'
    for columns in ({"request_parameters": text}, {"unmapped": f'{{\n"requestParameters": {text}}}'}):
        written = line(**columns)
        assert len(written.splitlines()) == 1
        assert json.loads(written)["requestParameters"] == {"a": "x\ny", "b": [1, 2]}


def test_unmapped_is_laid_over_the_rest() -> None:
    """Unknown members join their objects, and members of odd types come back with them."""
    record = json.loads(
        line(
            user_identity={"type": "IAMUser", "session_context": {"source_identity": "x"}},
            read_only=True,
            unmapped='{"userIdentity":{"sessionContext":{"new":[1]},"arn":7},"readOnly":"true","resources":"odd"}',
        )
    )
    assert record["userIdentity"] == {
        "type": "IAMUser",
        "sessionContext": {"sourceIdentity": "x", "new": [1]},
        "arn": 7,
    }
    assert (record["readOnly"], record["resources"]) == ("true", "odd")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*JSON_COLUMNS, "newMember", "eventTime"], json_values)))
def test_lines_are_the_records(values: dict[str, Any]) -> None:
    """For any JSON in any free-form column or in `unmapped`, line and record say the same, and it is what went in."""
    texts = {name: json.dumps(values[name]) for name in JSON_COLUMNS if values.get(name) is not None}
    unmapped = {name: value for name, value in values.items() if name not in JSON_COLUMNS}
    rows = table(event(**texts, unmapped=json.dumps(unmapped) if unmapped else None))
    [written], [record] = record_lines(rows), records_of(rows)
    assert json.loads(written) == record
    for name, value in (unmapped | {VENDOR_NAMES[name]: values[name] for name in texts}).items():
        assert record[name] == value


@given(json_values)
def test_json_is_parsed_exactly(value: Any) -> None:
    """`load_json` agrees with the standard library on every value that Python can hold."""
    assert load_json(json.dumps(value)) == value


def test_numbers_beyond_python_come_as_text() -> None:
    """A number past a double's range, or of thousands of digits, is its text; JSON that is none is a ValueError."""
    assert load_json('[1e400, -1e400, "\\ud800"]') == ["1e400", "-1e400", "\ud800"]
    assert load_json("9" * 5000) == "9" * 5000
    assert load_json("9" * 4000) == int("9" * 4000)
    with pytest.raises(ValueError, match="Expecting"):
        load_json("{oops")


def test_export_gives_every_record_in_order(lake: LocalStorage) -> None:
    """All files, day by day, each by event time; more rows than a batch; `where` None and `true` agree."""
    days = [event(NOON_US + n * DAY_US + k, record_index=k) for n in range(2) for k in range(2500)]
    write_events(lake, *days)
    write_events(lake, event(NOON_US - HOUR_US, event_id="first"), name="another")
    records = exported(lake)
    assert [record["eventID"] for record in records] == ["first"] + [row["event_id"] for row in days]
    assert exported(lake, "true") == records


def test_where_filters(lake: LocalStorage) -> None:
    """A condition is SQL over `events`, may end in a comment, and may ask other views."""
    write_whole_lake(lake)
    write_events(lake, event(error_code=None, event_id="fine"), name="another")
    assert [record["eventID"] for record in exported(lake, "error_code IS NULL -- the good ones")] == ["fine"]
    known = "object_key IN (SELECT uri FROM objects) AND event_date = DATE '2026-11-24' AND error_code LIKE 'Access%'"
    assert [record["errorCode"] for record in exported(lake, known)] == ["AccessDenied"]
    assert exported(lake, "false") == []


def test_where_keeps_json_to_the_letter(lake: LocalStorage) -> None:
    """What passes through DuckDB is as exact as what does not."""
    exact = '{"n":123456789012345678901234567890,"d":0.10000000000000000000000001,"s":"\\ud800"}'
    write_events(lake, event(request_parameters=exact, user_identity={"arn": "ü"}, resources=[{"arn": "x"}]))
    out = io.BytesIO()
    export_records(lake, "try(request_parameters->>'s') IS DISTINCT FROM 'x'", out)
    assert exact.encode() in out.getvalue()
    number = json.loads(out.getvalue(), parse_float=Decimal)["requestParameters"]["d"]
    assert number == Decimal("0.10000000000000000000000001")
    assert exported(lake, "true") == exported(lake)


@pytest.mark.parametrize(
    "where",
    ["", "nonsense = 1", "true) UNION (SELECT 1", "true); DROP VIEW events; SELECT (1", "event_id::INTEGER = 1"],
)
def test_wrong_conditions_are_usage_errors(lake: LocalStorage, where: str) -> None:
    """What is no condition is refused with DuckDB's message, also when it shows only while reading."""
    write_events(lake, event())
    with pytest.raises(UsageError, match="--where"):
        exported(lake, where)


def test_no_lake_and_no_events(lake: LocalStorage) -> None:
    """Without a lake there is nothing to export, which is an error; a lake without events exports nothing."""
    for where in (None, "true"):
        with pytest.raises(UsageError, match="no lake there"):
            exported(lake, where)
    lake.write("runs/run-1.json", b"{}")
    assert exported(lake) == exported(lake, "true") == []


def test_damaged_files_are_named(lake: LocalStorage) -> None:
    """An archive file that is no Parquet is the lake's damage."""
    lake.write("events/event_date=2026-11-24/bad.parquet", b"PAR1 not really")
    with pytest.raises(LakeDamaged, match=r"event_date=2026-11-24/bad\.parquet"):
        exported(lake)


def test_bucket_exports_too(s3_bucket: str) -> None:
    """A lake in a bucket gives the same records."""
    lake = S3Storage(s3_bucket, "the/lake")
    write_events(lake, event())
    assert [record["eventName"] for record in exported(lake)] == ["RunInstances"]
    assert exported(lake, "event_name = 'RunInstances'") == exported(lake)


def test_any_subset_of_columns_is_rebuilt() -> None:
    """Rows without some columns, or with none that are not null, still give records."""
    rows = table(event(), event(event_name=None))
    assert list(records_of(rows.select(["event_name"]))) == [{"eventName": "RunInstances"}, {}]
    assert list(record_lines(rows.select(["object_key"]))) == [b"{}", b"{}"]
    assert msgspec.json.decode(next(record_lines(rows.to_batches()[0])))["eventTime"] == "2026-11-24T12:00:00Z"


def test_a_record_without_a_time_is_exported_too(lake: LocalStorage) -> None:
    """Nothing but a time is missing from it: it is a dead letter, and comes last."""
    write_events(lake, event())
    body = b'{"eventName":\n"Timeless"}'
    facts = ("/b", "k", "e", 1, 0, 3, Reason.NO_EVENT_TIME, "eventTime is null", body, len(body), "00", "run")
    cut = ("/b", "k", "e", 1, 0, 4, Reason.NO_EVENT_TIME, "eventTime is null", body[:5], len(body), "00", "run")
    lake.write("dead_letters/0.avro", encode_dead_letters([DeadLetter(*facts), DeadLetter(*cut)]))
    out = io.BytesIO()
    assert export_records(lake, None, out) == 2
    assert out.getvalue().splitlines()[1] == b'{"eventName": "Timeless"}'
