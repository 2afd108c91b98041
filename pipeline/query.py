"""`trailcanary query`: SQL over a lake, and an overview for who does not ask."""

from __future__ import annotations

import re
from typing import TextIO

import duckdb

from pipeline.lake_connection import connect, dead_letters
from pipeline.query_result import FORMATS, Result, result_of, write_block, write_result, write_table
from schemas.errors import LakeDamaged, UsageError
from schemas.storage import Storage

_OVERVIEW = """
SELECT * FROM
    (SELECT count(*) AS objects FROM objects),
    (SELECT
        count(*) AS events,
        min(event_time) AS first_event,
        max(event_time) AS last_event,
        count(DISTINCT recipient_account_id) AS accounts,
        count(DISTINCT aws_region) AS regions
    FROM events),
    (SELECT count(*) FILTER (is_open) AS open_incidents FROM incidents),
    (SELECT max(max_s) AS worst_delivery_lag_s FROM delivery_lag),
    (SELECT
        count(*) FILTER (verdict = 'seen') AS slots_seen,
        count(*) FILTER (verdict = 'late') AS slots_late,
        count(*) FILTER (verdict = 'missing') AS slots_missing,
        count(*) FILTER (verdict = 'unsure') AS slots_unsure
    FROM canary_slots),
    (SELECT
        round(100 * sum(epoch(duration)) FILTER (sight = 'proved') / sum(epoch(duration)), 1) AS percent_proved,
        count(*) FILTER (sight = 'lost') AS intervals_lost
    FROM blind WHERE NOT backfill),
    (SELECT CAST(count(*) FILTER (status = 'dead') + coalesce(sum(dead), 0) AS BIGINT) AS dead_letters FROM objects),
    (SELECT count(*) AS objects_off_balance FROM audit),
    (SELECT max(finished_at) AS last_run FROM runs)
"""
_INCIDENT_COLUMNS = ("severity", "since", "account_id", "region", "kind", "title")
_OPEN_INCIDENTS = """
SELECT severity, window_start, account_id, region, kind, title
FROM incidents
WHERE is_open AND severity NOT IN ('low', 'info')
ORDER BY list_position(['critical', 'high', 'medium', 'low', 'info'], severity), window_start, incident_id
LIMIT 20
"""


def run_query(storage: Storage, sql: str | None, fmt: str, out: TextIO) -> None:
    """Answer `sql` over the lake's views on `out`, as `table`, `csv` or `json`; without `sql` an overview.

    SQL that names `dead_letters` has them too, as a table: they are Avro, and no view.

    Raises:
        UsageError: an unknown format, no lake, or SQL that DuckDB refuses, with DuckDB's words.
        LakeDamaged: a file of the lake cannot be read.
        StorageError: the lake cannot be listed or read.
    """
    if fmt not in FORMATS:
        raise UsageError([f"unknown format {fmt!r}; there are {', '.join(FORMATS)}"])
    with connect(storage) as connection:
        if sql is None:
            try:
                _write_overview(connection, fmt, out)
            except duckdb.Error as error:
                raise LakeDamaged(f"{storage.root}: {error}") from error
            return
        if re.search(r"\bdead_letters\b", sql, re.IGNORECASE):
            connection.register("dead_letters", dead_letters(storage))
        try:
            connection.execute(sql)
            write_result(result_of(connection), fmt, out)
        except duckdb.Error as error:
            raise UsageError([str(error)]) from error


def _write_overview(connection: duckdb.DuckDBPyConnection, fmt: str, out: TextIO) -> None:
    connection.execute(_OVERVIEW)
    if fmt != "table":
        write_result(result_of(connection), fmt, out)
        return
    write_block(result_of(connection), out)
    incidents = connection.execute(_OPEN_INCIDENTS).fetchall()
    if incidents:
        out.write("\nOpen incidents, worst first; low and info left out\n")
        write_table(Result(_INCIDENT_COLUMNS, iter(incidents)), out)
