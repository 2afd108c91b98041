"""Small lakes, written by hand: rows with defaults for all that a test does not name."""

from __future__ import annotations

import io
from collections import defaultdict
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.alerts import write_alerts
from schemas.alerts import Alert, Severity, Status
from schemas.archive import ARCHIVE_SCHEMA
from schemas.canaries import SIGHTING_SCHEMA, VERDICT_SCHEMA
from schemas.digest_proofs import Sight, SightSpan
from schemas.digests import BrokenDigest, Chain, DigestFault
from schemas.objects import LEDGER_SCHEMA
from schemas.sight import Settlement, sight_path
from schemas.storage import Storage
from schemas.times import HOUR_US, MINUTE_US, format_us, parse_iso_us
from transforms.digest_tables import digests_table
from transforms.sight_file import encode_sight
from transforms.small_parquet import parquet_bytes

NOON_US = parse_iso_us("2026-11-24T12:00:00Z")
PERIOD_US = 5 * MINUTE_US
ACCOUNT, REGION = "111122223333", "us-east-1"
PLACE = {"canary": "dry-run", "account_id": ACCOUNT, "region": REGION}


def event(at_us: int = NOON_US, **columns: Any) -> dict[str, Any]:
    """An archive row, delivered five minutes after it happened."""
    defaults = {
        "event_id": f"event-{at_us}",
        "event_name": "RunInstances",
        "event_source": "ec2.amazonaws.com",
        "aws_region": REGION,
        "recipient_account_id": ACCOUNT,
        "object_key": "in/a.json.gz",
        "record_index": 0,
        "delivered_at": at_us + 5 * MINUTE_US,
    }
    return {"event_time": at_us, **defaults, **columns}


def ledger_row(**columns: Any) -> dict[str, Any]:
    """A ledger row of an object with one record."""
    defaults = {
        "uri": "in/a.json.gz",
        "etag": "e1",
        "size": 10,
        "kind": "log",
        "status": "read",
        "account_id": ACCOUNT,
        "region": REGION,
        "delivered_at": NOON_US,
        "modified_at": NOON_US,
        "records": 1,
        "archived": 1,
        "duplicates": 0,
        "dead": 0,
        "changed": False,
        "run_id": "run-1",
        "handled_at": NOON_US,
    }
    return {**defaults, **columns}


def verdict_row(first: int, last: int, verdict: str, **columns: Any) -> dict[str, Any]:
    """A verdict over slots `first` to `last` of five minutes, with a quarter of an hour of grace."""
    grace_us = 3 * PERIOD_US
    defaults = {
        **PLACE,
        "first_start": first * PERIOD_US,
        "last_deadline": (last + 1) * PERIOD_US + grace_us,
        "period_us": PERIOD_US,
        "grace_us": grace_us,
        "run_id": "run-1",
        "judged_at": NOON_US,
    }
    return {"first_slot": first, "last_slot": last, "verdict": verdict, **defaults, **columns}


def alert(alert_id: str, status: Status = Status.OPENED, **fields: Any) -> Alert:
    """An alert about a silent canary."""
    defaults = {
        "incident_id": "incident-1",
        "kind": "canary.missing",
        "severity": Severity.HIGH,
        "title": "canary dry-run is missing",
        "account_id": ACCOUNT,
        "region": REGION,
        "window_start_us": NOON_US,
        "window_end_us": NOON_US + PERIOD_US,
        "detected_us": NOON_US + 4 * PERIOD_US,
        "confidence": "provisional",
    }
    return Alert(alert_id=alert_id, status=status, **{**defaults, **fields})


def write_events(storage: Storage, *rows: dict[str, Any], name: str = "bundle") -> None:
    """Write archive rows, one file a day, each sorted by time."""
    days = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["event_time"]):
        days[format_us(row["event_time"])[:10]].append(row)
    for day, some in days.items():
        _write(storage, f"events/event_date={day}/{name}.parquet", some, ARCHIVE_SCHEMA)


def write_ledger(storage: Storage, *rows: dict[str, Any], name: str = "bundle") -> None:
    """Write ledger rows."""
    _write(storage, f"objects/{name}.parquet", rows, LEDGER_SCHEMA)


def write_verdicts(storage: Storage, *rows: dict[str, Any], name: str = "run-1") -> None:
    """Write verdict rows."""
    _write(storage, f"canaries/verdicts-{name}.parquet", rows, VERDICT_SCHEMA)


def write_sighting(storage: Storage) -> None:
    """Write one sighting."""
    row = {**PLACE, "slot": 1, "event_time": NOON_US, "delivered_at": NOON_US, "object_key": "in/a.json.gz"}
    _write(storage, "canaries/sightings-bundle.parquet", [row], SIGHTING_SCHEMA)


def write_sight(storage: Storage) -> None:
    """Write what is known of two hours of a trail, a digest that tells it, and nothing of anybody else."""
    chain = Chain("in", "AWSLogs/", ACCOUNT, REGION, "audit", REGION, backfill=False)
    proved = SightSpan(chain, NOON_US, NOON_US + HOUR_US, Sight.PROVED, None, final=True)
    more = SightSpan(chain, NOON_US + HOUR_US, NOON_US + 2 * HOUR_US, Sight.PROVED, None, final=False)
    lost = SightSpan(chain, more.end_us, NOON_US + 3 * HOUR_US, Sight.LOST, DigestFault.LOG_MISSING, final=False)
    body = encode_sight(chain.tree, (proved, more, lost), Settlement(), NOON_US + 3 * HOUR_US)
    storage.write(sight_path(chain.tree), body)
    broken = BrokenDigest("in/d.json.gz", chain, NOON_US, DigestFault.MALFORMED, "no gzip", NOON_US, None)
    storage.write("digests/bundle.parquet", parquet_bytes(digests_table([broken])))


def write_run(storage: Storage, run_id: str = "run-1", **balance: int) -> None:
    """Write a run's summary."""
    run = {
        "run_id": run_id,
        "started_at": format_us(NOON_US),
        "finished_at": format_us(NOON_US + MINUTE_US),
        "as_of": format_us(NOON_US),
        "inputs": ["in"],
        "balance": balance,
        "alerts": 1,
        "something_else": {"that": "no view reads"},
    }
    storage.write(f"runs/{run_id}.json", orjson.dumps(run, option=orjson.OPT_INDENT_2))


def write_whole_lake(storage: Storage) -> None:
    """Write a lake that has a file of every kind."""
    write_events(
        storage, event(user_identity={"arn": "arn:aws:iam::111122223333:user/alice"}, error_code="AccessDenied")
    )
    write_ledger(storage, ledger_row())
    write_verdicts(storage, verdict_row(10, 12, "seen"), verdict_row(13, 13, "missing"))
    write_sighting(storage)
    write_sight(storage)
    write_alerts(storage, "run-1", [alert("a1")])
    write_run(storage, objects_listed=1, objects_read=1, records_read=1, records_archived=1, rows_written=1)


def _write(storage: Storage, path: str, rows: Any, schema: pa.Schema) -> None:
    body = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), body, compression="zstd")
    storage.write(path, body.getvalue())
