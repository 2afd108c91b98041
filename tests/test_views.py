"""The DuckDB views of a lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from small_lakes import (
    ACCOUNT,
    NOON_US,
    PERIOD_US,
    REGION,
    alert,
    event,
    ledger_row,
    verdict_row,
    write_events,
    write_ledger,
    write_run,
    write_sight,
    write_verdicts,
    write_whole_lake,
)

from pipeline.alerts import write_alerts
from pipeline.local_storage import LocalStorage
from pipeline.views import PATTERNS, kinds_present, views_sql, write_views
from schemas.alerts import Severity, Status
from schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from transforms.alert_encoding import alert_json

VIEWS = {
    *("events", "objects", "sightings", "canary_slots", "canary_spans", "alerts", "incidents", "delivery_lag"),
    *("top_callers", "errors", "audit", "runs", "compactions", "digests", "blind"),
}


@pytest.fixture
def lake(tmp_path: Path) -> LocalStorage:
    """An empty lake."""
    return LocalStorage(str(tmp_path))


def loaded(lake: LocalStorage) -> duckdb.DuckDBPyConnection:
    """A connection that has run the `views.sql` which lies in the lake, as `duckdb -init` does."""
    write_views(lake)
    connection = duckdb.connect()
    connection.execute(lake.read("views.sql").body.decode())
    return connection


def rows(lake: LocalStorage, sql: str) -> list[tuple[Any, ...]]:
    """What `sql` answers over the lake's views."""
    return loaded(lake).execute(sql).fetchall()


def columns(lake: LocalStorage, view: str) -> list[tuple[Any, ...]]:
    """Names and types of a view's columns."""
    return [row[:2] for row in rows(lake, f"DESCRIBE {view}")]


def test_every_view_exists_in_an_empty_lake(lake: LocalStorage) -> None:
    """A lake without a single file has every view, described and empty."""
    described = dict(rows(lake, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"))
    assert set(described) == VIEWS
    assert all(described.values())
    assert [view for view in VIEWS if rows(lake, f"FROM {view}")] == []


def test_empty_and_full_lakes_have_the_same_columns(tmp_path: Path) -> None:
    """A view's columns do not depend on its files being there; a whole lake has rows in all but two views."""
    empty, full = LocalStorage(str(tmp_path / "empty")), LocalStorage(str(tmp_path / "full"))
    (tmp_path / "empty").mkdir()
    write_whole_lake(full)
    assert kinds_present(full) == set(PATTERNS)
    for view in VIEWS:
        assert columns(full, view) == columns(empty, view)
    assert {view for view in VIEWS if rows(full, f"FROM {view}")} == VIEWS - {"audit", "compactions"}


@pytest.mark.parametrize(
    "name", ["it's a lake", "a[b]c", "a*b", "a?b", 'quo"te', "${events}", "aws_region=mars", "ünï; --"]
)
def test_any_folder_name_works(tmp_path: Path, name: str) -> None:
    """Quotes, patterns, placeholders and `name=value` in the lake's path are just its path."""
    lake = LocalStorage(str(tmp_path / name))
    write_whole_lake(lake)
    decoy = LocalStorage(str(tmp_path / "aXb"))  # what the patterns would find, were they patterns
    write_events(decoy, event(event_id="decoy"))
    [(region, day, event_id)] = rows(lake, "SELECT aws_region, event_date::VARCHAR, event_id FROM events")
    assert (region, day, event_id) == (REGION, "2026-11-24", f"event-{NOON_US}")
    assert rows(lake, "SELECT alert_id FROM alerts") == [("a1",)]


def test_bucket_lakes_load_the_s3_extension() -> None:
    """For a bucket the script first sets DuckDB up, with the lake's quoted URI as the secret's scope."""
    script = views_sql("s3://bucket/it's", frozenset(PATTERNS))
    assert script.index("LOAD httpfs;") < script.index("SCOPE 's3://bucket/it''s'") < script.index("VIEW events")
    assert "read_parquet('s3://bucket/it''s/events/event_date=*/*.parquet'" in script


def test_events_know_their_day(lake: LocalStorage) -> None:
    """`event_date` is a date taken from the folder, and a filter on it needs no other folder."""
    write_events(lake, event(), event(NOON_US + DAY_US))
    assert rows(lake, "SELECT count(*) FROM events WHERE event_date = DATE '2026-11-25'") == [(1,)]
    plan = rows(lake, "EXPLAIN ANALYZE SELECT event_id FROM events WHERE event_date = DATE '2026-11-25'")
    assert "Scanning Files: 1/2" in plan[0][1]


def test_newest_ledger_row_holds(lake: LocalStorage) -> None:
    """Of an object handled twice under one etag and size the newest row shows; any other is a row of its own."""
    write_ledger(lake, ledger_row(), ledger_row(handled_at=NOON_US + 1, status="dead", archived=0))
    write_ledger(lake, ledger_row(etag="e2"), ledger_row(size=11), name="later")
    got = rows(lake, "SELECT etag, size, status FROM objects ORDER BY etag, size")
    assert got == [("e1", 10, "dead"), ("e1", 11, "read"), ("e2", 10, "read")]


def test_newest_verdict_of_a_slot_holds(lake: LocalStorage) -> None:
    """Spans become one row a slot with its own start, end and deadline; a later run's verdict replaces an earlier."""
    write_verdicts(lake, verdict_row(10, 12, "missing"))
    late = {"delivered_at": NOON_US, "prior": "missing", "judged_at": NOON_US + 1, "run_id": "run-2"}
    write_verdicts(lake, verdict_row(11, 11, "late", **late), name="run-2")
    got = rows(
        lake,
        """SELECT slot, verdict, epoch_us(slot_start), epoch_us(slot_end), epoch_us(deadline)
           FROM canary_slots ORDER BY slot""",
    )
    assert got == [
        (slot, verdict, slot * PERIOD_US, (slot + 1) * PERIOD_US, (slot + 4) * PERIOD_US)
        for slot, verdict in ((10, "missing"), (11, "late"), (12, "missing"))
    ]
    assert rows(lake, "SELECT sum(slots) FROM canary_spans") == [(4,)]


def test_incidents_are_what_their_newest_alert_says(lake: LocalStorage) -> None:
    """An incident has its newest status, the time that all its alerts span, and when it was opened and resolved."""
    later_us = NOON_US + 20 * PERIOD_US
    moment = {"detected_us": NOON_US, "window_end_us": NOON_US, "incident_id": "incident-2"}
    write_alerts(
        lake,
        "run-1",
        [
            alert("a3", Status.RESOLVED, detected_us=later_us, window_end_us=later_us, severity=Severity.INFO),
            alert("a1"),
            alert("a2", Status.UPDATED, detected_us=later_us, region=None),
            alert("b2", Status.RETRACTED, **moment),
            alert("b1", Status.OPENED, **moment),
            alert("c1", incident_id="incident-3"),
        ],
    )
    got = rows(
        lake,
        """SELECT status, is_open, severity, region, epoch_us(opened_at), epoch_us(resolved_at), epoch(duration), alerts
           FROM incidents ORDER BY incident_id""",
    )
    assert got == [
        ("resolved", False, "info", REGION, NOON_US + 4 * PERIOD_US, later_us, 6000.0, 3),
        ("retracted", False, "high", REGION, NOON_US, NOON_US, 0.0, 2),
        ("opened", True, "high", REGION, NOON_US + 4 * PERIOD_US, None, None, 1),
    ]


def test_suppressed_alerts_are_told_apart(lake: LocalStorage) -> None:
    """Alerts say what made them quiet, those of older lakes nothing; an incident is quiet if all its alerts are."""
    quiet = {"suppressed_by": "maintenance:move"}
    half = {"incident_id": "incident-2", "detected_us": NOON_US}
    some = [alert("a1", **quiet), alert("a2", Status.RESOLVED, detected_us=NOON_US + DAY_US, suppressed_by="i9")]
    write_alerts(lake, "run-1", [*some, alert("b1", **half), alert("b2", Status.RESOLVED, **half | quiet)])
    old = alert_json(alert("c1", incident_id="incident-3")).replace(b',"suppressed_by":null', b"")
    lake.write("alerts/old.jsonl", old + b"\n")
    got = rows(lake, "SELECT alert_id, suppressed_by FROM alerts ORDER BY ALL")
    assert got == [("a1", "maintenance:move"), ("a2", "i9"), ("b1", None), ("b2", "maintenance:move"), ("c1", None)]
    got = rows(lake, "SELECT incident_id, suppressed_by FROM incidents ORDER BY ALL")
    assert got == [("incident-1", "i9"), ("incident-2", None), ("incident-3", None)]


def test_delivery_lag_by_account_and_region(lake: LocalStorage) -> None:
    """Lags are in seconds, per account and region, over events; objects are counted once."""
    slow = [event(NOON_US + n * SECOND_US, delivered_at=NOON_US + 100 * SECOND_US) for n in range(100)]
    write_events(lake, *slow, event(aws_region="eu-west-1", object_key="in/b.json.gz"))
    assert rows(lake, "FROM delivery_lag ORDER BY region") == [
        (ACCOUNT, "eu-west-1", 1, 1, 300.0, 300.0, 300.0, 300.0),
        (ACCOUNT, REGION, 1, 100, 50.0, 95.0, 99.0, 100.0),
    ]


def test_callers_and_errors(lake: LocalStorage) -> None:
    """Callers are named by the best name that they have; errors are grouped by call."""
    alice = {"user_identity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"}}
    service = {"user_identity": {"invoked_by": "ec2.amazonaws.com"}}
    write_events(lake, event(**alice), event(error_code="AccessDenied", **alice), event(**service), event())
    assert rows(lake, "SELECT caller, events, errors FROM top_callers") == [
        ("arn:aws:iam::111122223333:user/alice", 2, 1),
        ("ec2.amazonaws.com", 1, 0),
        ("unknown", 1, 0),
    ]
    assert rows(lake, "SELECT error_code, event_name, events FROM errors") == [("AccessDenied", "RunInstances", 1)]


def test_audit_shows_only_differences(lake: LocalStorage) -> None:
    """Rows that no ledger row accounts for, and rows that the ledger promises and the archive lacks, both show."""
    write_events(lake, event(), event(object_key="in/litter.json.gz"), event(object_key="in/litter.json.gz"))
    write_ledger(lake, ledger_row(), ledger_row(uri="in/lost.json.gz", archived=7), ledger_row(uri="in/d", archived=0))
    assert rows(lake, "FROM audit") == [("in/litter.json.gz", 2, 0), ("in/lost.json.gz", 0, 7)]


def test_runs_have_their_balance_sheet(lake: LocalStorage) -> None:
    """A run is one row, with times as times and the balance sheet's counts as columns; other JSON there is no run."""
    write_run(lake, objects_listed=3, rows_written=2)
    lake.write("runs/lock.json", b'{"holder": "somebody"}')
    got = rows(
        lake, "SELECT run_id, epoch_us(finished_at) - epoch_us(started_at), objects_listed, rows_written FROM runs"
    )
    assert got == [("run-1", MINUTE_US, 3, 2)]


def test_blind_joins_what_touches_and_says_so_where_nothing_is_signed(lake: LocalStorage) -> None:
    """Of a trail one row for each interval; a place without digests is unproved for as long as it has logs."""
    write_sight(lake)
    write_ledger(lake, ledger_row(), ledger_row(uri="in/b.json.gz", account_id="444455556666"))
    found = rows(lake, "SELECT account_id, trail, epoch_us(starts_at), epoch_us(ends_at), sight, cause FROM blind")
    assert found == [
        (ACCOUNT, "audit", NOON_US, NOON_US + 2 * HOUR_US, "proved", None),
        (ACCOUNT, "audit", NOON_US + 2 * HOUR_US, NOON_US + 3 * HOUR_US, "lost", "log_missing"),
        ("444455556666", None, found[2][2], found[2][3], "unproved", "no_digests"),
    ]


def test_a_missing_slot_is_as_sure_as_digests_make_it(lake: LocalStorage) -> None:
    """Proved from its start to its deadline it is confirmed; in an hour with a log that is gone the log may have it."""
    write_sight(lake)
    first = NOON_US // PERIOD_US
    write_verdicts(
        lake,
        verdict_row(first, first, "seen"),
        verdict_row(first + 1, first + 1, "missing"),
        verdict_row(first + 30, first + 30, "missing"),
        verdict_row(first + 50, first + 50, "missing"),
    )
    found = rows(lake, "SELECT slot, confidence FROM canary_slots ORDER BY slot")
    assert found == [(first, None), (first + 1, "confirmed"), (first + 30, "removed"), (first + 50, "provisional")]
