"""The archive's law: from its rows come back the records that went in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_worlds import body_of, minimal, parse, rebuilt, records, rows_of, without_nulls

from schemas.dead_letters import Reason
from transforms.columns import flat_batch, nest
from transforms.rebuild import record_lines

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(records(), max_size=4))
def test_any_records_come_back(written: list[dict[str, Any]]) -> None:
    """Right types, wrong types, unknown members at every level, any number and any text: equal JSON."""
    parsed = parse(body_of(written))
    assert parsed.dead == ()
    assert rebuilt(body_of(written)) == [without_nulls(each) for each in written]


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records(strict=True), max_size=4))
def test_documented_records_come_back_without_unmapped(written: list[dict[str, Any]]) -> None:
    """Where every member is of its documented type, the columns say all."""
    rows = rows_of(body_of(written))
    assert [without_nulls(json.loads(line)) for line in record_lines(rows)] == [without_nulls(one) for one in written]
    assert rows["unmapped"].null_count == len(written)


@pytest.mark.parametrize(
    "record",
    [
        minimal(userIdentity={}),
        minimal(userIdentity={"sessionContext": {}}),
        minimal(userIdentity={"sessionContext": {"sessionIssuer": {}, "webIdFederationData": {}, "attributes": {}}}),
        minimal(resources=[]),
        minimal(resources=[{}]),
        minimal(resources=[None]),
        minimal(resources={}),
        minimal(tlsDetails={}, addendum={}),
        minimal(tlsDetails=[], addendum=""),
        minimal(requestParameters={}, responseElements=[], additionalEventData=""),
        minimal(eventName="", userAgent=" "),
        minimal(**{"": None, " ": {}}),
        minimal(**{"\ud800": 1, "?": 2}),
        minimal(userIdentity={"\ud800": 1, "?": 2, "type": "\udfff"}),
        minimal(resources=[{"ARN": "a", "new": 10**40}]),
        minimal(unmapped={"eventTime": 1}),
    ],
    ids=json.dumps,
)
def test_empty_is_not_absent(record: dict[str, Any]) -> None:
    """Empty objects, lists and texts stay what they are, and so do odd names."""
    assert rebuilt(body_of([record])) == [without_nulls(record)]


@pytest.mark.parametrize("number", ["9" * 5000, "-0", "1e400", "1.000", "0.10000000000000000000000001", "1E+2"])
@pytest.mark.parametrize(
    "place", ['"new":%s', '"userAgent":%s', '"userIdentity":{"new":%s}', '"resources":[{"ARN":%s}]', '"tlsDetails":%s']
)
def test_numbers_are_kept_to_the_letter(number: str, place: str) -> None:
    """A number that Python would round, cut or refuse leaves as it came, wherever it stands."""
    member = place % number
    [line] = record_lines(rows_of(b'{"Records":[{"eventTime":"2026-11-01T00:00:00Z",%s}]}' % member.encode()))
    assert member.encode() in line


def test_rows_survive_parquet() -> None:
    """Empty structs and lists are still not null after a file."""
    written = [minimal(userIdentity={"sessionContext": {"sessionIssuer": {}}}), minimal(resources=[]), minimal()]
    sink = pa.BufferOutputStream()
    pq.write_table(rows_of(body_of(written)), sink)
    read = pq.read_table(pa.BufferReader(sink.getvalue()))
    assert [json.loads(line) for line in record_lines(read)] == written


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="the real data is not here")
def test_every_real_record_comes_back() -> None:
    """All objects that AWS or others published; a single record without a time is a dead letter."""
    paths = sorted(DATA.rglob("*.json.gz"))
    bodies = [gzip.decompress(path.read_bytes()) for path in paths]
    parts = [(number, parse(body)) for number, body in enumerate(bodies)]
    table = nest(pa.Table.from_batches([flat_batch(parts)]))
    lines = [without_nulls(json.loads(line)) for line in record_lines(table)]
    documents = [json.loads(body) for body in bodies]
    written = [document if isinstance(document, list) else document["Records"] for document in documents]
    kept = [without_nulls(written[number][index]) for number, parsed in parts for index in parsed.indexes]
    assert len(lines) == len(kept) > 1000
    assert [(line, record) for line, record in zip(lines, kept, strict=True) if line != record] == []
    assert [record.reason for _, parsed in parts for record in parsed.dead] == [Reason.NO_EVENT_TIME]
