"""`trailcanary query`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from small_lakes import ACCOUNT, NOON_US, alert, event, ledger_row, write_events, write_ledger, write_whole_lake

from pipeline.alerts import write_alerts
from pipeline.local_storage import LocalStorage
from pipeline.query import run_query
from pipeline.s3_storage import S3Storage
from schemas.alerts import Severity
from schemas.dead_letters import DEAD_LETTER_AVRO
from schemas.errors import LakeDamaged, UsageError
from schemas.storage import Storage


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def lake(tmp_path: Path) -> LocalStorage:
    """A lake that has a file of every kind."""
    lake = LocalStorage(str(tmp_path))
    write_whole_lake(lake)
    return lake


def answer(lake: Storage, sql: str | None, fmt: str = "json") -> str:
    """What `run_query` writes into a pipe."""
    out = io.StringIO()
    run_query(lake, sql, fmt, out)
    return out.getvalue()


def write_dead_letter(lake: Storage, **fields: Any) -> None:
    """Write a file with one dead letter."""
    letter = {"root": "in", "path": "a.json.gz", "etag": "e", "size": 3, "modified_us": NOON_US, "record_index": None}
    letter |= {
        "reason": "not_gzip",
        "detail": "",
        "body": b"\x00\xff",
        "body_size": 2,
        "body_sha256": "",
        "run_id": "r",
    }
    body = io.BytesIO()
    fastavro.writer(body, DEAD_LETTER_AVRO, [letter | fields])
    lake.write("dead_letters/bundle.avro", body.getvalue())


def test_overview_as_json(lake: LocalStorage) -> None:
    """Without SQL the answer is one row of counts, times in ISO 8601."""
    write_ledger(lake, ledger_row(uri="in/dead.gz", status="dead", archived=0, records=0), name="dead")
    [overview] = json.loads(answer(lake, None))
    counts = {"objects": 2, "events": 1, "accounts": 1, "regions": 1, "open_incidents": 1, "dead_letters": 1}
    times = {"first_event": "2026-11-24T12:00:00Z", "last_event": "2026-11-24T12:00:00Z"}
    health = {"last_run": "2026-11-24T12:01:00Z", "worst_delivery_lag_s": 300.0, "objects_off_balance": 0}
    slots = {"slots_seen": 3, "slots_late": 0, "slots_missing": 1, "slots_unsure": 0}
    proof = {"percent_proved": 66.7, "intervals_lost": 1}
    assert overview == counts | times | health | slots | proof


def test_overview_for_people_lists_open_incidents(lake: LocalStorage) -> None:
    """The readable overview adds the open incidents that matter, worst first, and marks thousands."""
    critical = alert("b1", incident_id="incident-2", title="the worst", severity=Severity.CRITICAL)
    info = alert("c1", incident_id="incident-3", title="mere noise", severity=Severity.INFO)
    write_alerts(lake, "run-2", [critical, info])
    write_ledger(lake, *(ledger_row(uri=f"in/{n}", archived=0) for n in range(1200)), name="many")
    text = answer(lake, None, "table")
    assert "mere noise" not in text
    assert "1,201" in text
    assert "open_incidents" in text
    assert text.index("Open incidents") < text.index("the worst") < text.index("canary dry-run is missing")


def test_overview_of_a_lake_with_one_file(tmp_path: Path) -> None:
    """A lake that has only a ledger has an overview too, with nulls where nothing is known."""
    lake = LocalStorage(str(tmp_path))
    write_ledger(lake, ledger_row(archived=0))
    [overview] = json.loads(answer(lake, None))
    assert (overview["objects"], overview["events"], overview["last_event"]) == (1, 0, None)
    assert "Open incidents" not in answer(lake, None, "table")


def test_csv_has_a_header_and_json_in_cells(lake: LocalStorage) -> None:
    """CSV has names first, nulls empty, and structs and lists as JSON."""
    sql = "SELECT event_id, error_message, [1, 2] AS some, true AS yes, 'a\nb,c' AS text FROM events"
    assert list(csv.reader(io.StringIO(answer(lake, sql, "csv")))) == [
        ["event_id", "error_message", "some", "yes", "text"],
        [f"event-{NOON_US}", "", "[1, 2]", "true", "a\nb,c"],
    ]


def test_json_values(lake: LocalStorage) -> None:
    """JSON keeps huge integers and nested values, and writes times, lengths, bytes and odd numbers as JSON can."""
    sql = """SELECT 170141183460469231731687303715884105727::HUGEINT AS huge, 1.5::DECIMAL(9, 2) AS price,
        'nan'::DOUBLE AS nan, '\\x00\\xFF'::BLOB AS bytes, INTERVAL 90 MINUTES AS length, DATE '2026-11-24' AS day,
        {'at': TIMESTAMPTZ '2026-11-24 12:00:00.5Z', 'list': ['ü', NULL]} AS nested, TIMESTAMP '2026-11-24' AS local"""
    [row] = json.loads(answer(lake, sql))
    numbers = {"huge": 2**127 - 1, "price": 1.5, "nan": None}
    times = {"length": "1:30:00", "day": "2026-11-24", "local": "2026-11-24T00:00:00"}
    nested = {"at": "2026-11-24T12:00:00.500000Z", "list": ["ü", None]}
    assert row == numbers | times | {"bytes": "AP8=", "nested": nested}


def test_many_and_no_rows(lake: LocalStorage) -> None:
    """JSON and CSV hold every row, the table a thousand and the hint; no rows are an empty array or a header."""
    thousand, more = ("SELECT unnest(range(1000)) AS n", "SELECT unnest(range(2001)) AS n")
    assert json.loads(answer(lake, more)) == [{"n": n} for n in range(2001)]
    assert len(answer(lake, more, "csv").splitlines()) == 2002
    assert "more than 1,000 rows" in answer(lake, more, "table")
    assert "more than 1,000 rows" in answer(lake, "SELECT unnest(range(1001)) AS n", "table")
    assert "more than 1,000 rows" not in answer(lake, thousand, "table")
    assert json.loads(answer(lake, "SELECT 1 AS n WHERE false")) == []
    assert answer(lake, "SELECT 1 AS n WHERE false", "csv") == "n\n"


@pytest.mark.parametrize("sql", ["", "-- nothing", "SET threads = 1", "CREATE TABLE t (n INTEGER)"])
@pytest.mark.parametrize("fmt", ["table", "csv", "json"])
def test_statements_that_answer_nothing(lake: LocalStorage, sql: str, fmt: str) -> None:
    """SQL without a result is no error, and what is written stays well-formed."""
    text = answer(lake, sql, fmt)
    assert "Error" not in text
    assert fmt != "json" or json.loads(text) == []


def test_piped_table_is_whole_and_safe(lake: LocalStorage) -> None:
    """A table in a pipe is cut nowhere, and text from events cannot steer a terminal."""
    write_events(lake, event(user_agent="\x1b[31m" + "x" * 200), name="other")
    text = answer(lake, "SELECT * FROM events WHERE user_agent IS NOT NULL", "table")
    assert "\\x1b[31m" + "x" * 200 in text
    assert "\x1b" not in text
    assert len(text.splitlines()) == 3


def test_wide_rows_become_blocks_on_a_terminal(lake: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal too narrow for the columns each row is a block of name and value."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    run_query(lake, "SELECT * FROM events", "table", out)
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["recipient_account_id", ACCOUNT] in lines
    assert len(lines) >= 38


def test_wrong_sql_is_a_usage_error(lake: LocalStorage) -> None:
    """SQL that cannot be parsed, bound or run fails with DuckDB's message."""
    for sql, message in (
        ("SELEC 1", "syntax error"),
        ("SELECT nonsense FROM events", "nonsense"),
        ("SELECT event_id::INTEGER FROM events", "Could not convert"),
        ("FROM read_csv('/nowhere/*.csv')", "No files found"),
    ):
        with pytest.raises(UsageError, match=message):
            answer(lake, sql)


def test_no_lake_and_no_format(tmp_path: Path, lake: LocalStorage) -> None:
    """A folder without a lake, one that does not exist, and an unknown format are usage errors."""
    for folder in (tmp_path / "nowhere", tmp_path / "alerts"):
        with pytest.raises(UsageError, match="no lake there"):
            answer(LocalStorage(str(folder)), None)
    with pytest.raises(UsageError, match="unknown format 'xml'"):
        answer(lake, None, "xml")


@pytest.mark.parametrize("path", ["objects/bad.parquet", "events/event_date=2026-11-25/z.parquet", "alerts/bad.jsonl"])
def test_damaged_files_are_lake_damage(lake: LocalStorage, path: str) -> None:
    """A file that is not what its name says is the lake's fault, not the user's, and is named."""
    lake.write(path, b"PAR1 not really")
    with pytest.raises(LakeDamaged, match=path.replace(".", r"\.")):
        answer(lake, None)


def test_dead_letters_are_a_table(lake: LocalStorage) -> None:
    """SQL that names `dead_letters` has them, bytes included; without any the table is empty."""
    sql = "SELECT path, record_index, reason, body FROM Dead_Letters"
    assert json.loads(answer(lake, sql)) == []
    write_dead_letter(lake, record_index=7)
    assert json.loads(answer(lake, sql)) == [
        {"path": "a.json.gz", "record_index": 7, "reason": "not_gzip", "body": "AP8="}
    ]


@pytest.mark.parametrize("body", [b"", b"Obj\x01", b"Obj\x01\x02\x16avro.schema\x04{}\x00" + b"\0" * 16, b"\xff" * 64])
def test_damaged_dead_letters_are_lake_damage(lake: LocalStorage, body: bytes) -> None:
    """A dead-letter file that is no Avro is named."""
    lake.write("dead_letters/bad.avro", body)
    with pytest.raises(LakeDamaged, match=r"dead_letters/bad\.avro"):
        answer(lake, "FROM dead_letters")


def test_bucket_is_copied_and_queried(s3_bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A lake in a bucket answers as one in a folder does, and says that it is copied."""
    lake = S3Storage(s3_bucket, "the/lake")
    write_whole_lake(lake)
    write_dead_letter(lake)
    assert json.loads(answer(lake, "SELECT count(*) AS n FROM events")) == [{"n": 1}]
    assert json.loads(answer(lake, "SELECT reason FROM dead_letters")) == [{"reason": "not_gzip"}]
    assert f"copying 8 files of s3://{s3_bucket}/the/lake" in capsys.readouterr().err
