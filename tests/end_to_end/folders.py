"""Input folders and lakes of the end-to-end tests: how they are filled, run over and read."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.__main__ import main
from pipeline.lake_connection import connect
from pipeline.storages import open_storage

ROOT = Path(__file__).parents[2]
ACCOUNT, REGION = "111122223333", "us-east-1"
CONFIG = "trailcanary.toml"
_STAMP = re.compile(r"\d{8}T\d{4}Z")


class Finished(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


def trailcanary(*argv: str | Path) -> Finished:
    """Carry out a command in this process."""
    raw, errors = io.BytesIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGINT)
    with io.TextIOWrapper(raw, "utf-8") as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            code = main([str(argument) for argument in argv])
        except SystemExit as exit_:  # argparse's own refusals
            code = int(exit_.code or 0)
        finally:
            signal.signal(signal.SIGINT, handler)
        out.flush()
        return Finished(code, raw.getvalue().decode(), errors.getvalue())


def start(*argv: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own, which leads its own group."""
    command = [sys.executable, "-m", "pipeline", *map(str, argv)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        command, cwd=cwd, env={**os.environ, **environment}, text=True, start_new_session=True, **streams
    )


def finish(process: subprocess.Popen[str]) -> Finished:
    """Wait for a started command."""
    out, err = process.communicate(timeout=120)
    return Finished(process.returncode, out, err)


def run(source: str | Path, lake: str | Path, *options: str | Path) -> Mapping[str, Any]:
    """Run in this process, which must go well and say nothing on standard error; the summary as JSON."""
    done = trailcanary("run", "--input", source, "--output", lake, "--json", *options)
    assert (done.code, done.err) == (0, ""), done
    summary: Mapping[str, Any] = json.loads(done.out)
    return summary


def simulated(folder: Path, *attacks: str, hours: float = 2, accounts: int = 2, rate: int = 200) -> Path:
    """A simulated bucket of one region with attacks; its configuration lies in it."""
    named = [part for attack in attacks for part in ("--attack", attack)]
    sizes = ["--hours", str(hours), "--accounts", str(accounts), "--regions", REGION, "--rate", str(rate)]
    done = trailcanary("simulate", "--output", folder, *sizes, *named)
    assert done.code == 0, done.err
    return folder


def event(event_id: str | None, at: str = "2026-11-01T12:00:00Z", **members: Any) -> dict[str, Any]:
    """A record as AWS writes it, with whatever else a test says; without an id where that is None."""
    record = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/alice", "accountId": ACCOUNT},
        "eventTime": at,
        "eventSource": "ec2.amazonaws.com",
        "eventName": "DescribeInstances",
        "awsRegion": REGION,
        "sourceIPAddress": "192.0.2.7",
        "requestParameters": {"filterSet": {}},
        "responseElements": None,
        "readOnly": True,
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
        **members,
    }
    return record if event_id is None else {**record, "eventID": event_id}


def packed(*records: Any) -> bytes:
    """A log object's bytes."""
    return gzip.compress(orjson.dumps({"Records": records}), mtime=0)


def log_key(unique: str, at: str = "20261101T1205Z", account: str = ACCOUNT) -> str:
    """The key of a log object."""
    day = f"{at[:4]}/{at[4:6]}/{at[6:8]}"
    return f"AWSLogs/{account}/CloudTrail/{REGION}/{day}/{account}_CloudTrail_{REGION}_{at}_{unique}.json.gz"


def fill(folder: Path, objects: Mapping[str, bytes]) -> Path:
    """Write objects by key."""
    for key, body in objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return folder


def delivered(path: Path) -> str:
    """When a file's key says that it was delivered; empty for what is no object of CloudTrail's."""
    found = _STAMP.search(path.name)
    return found[0] if found else ""


def rows(lake: Path) -> list[dict[str, Any]]:
    """The whole archive, every column, in an order of its own."""
    tables = [pq.read_table(pa.BufferReader(path.read_bytes())) for path in sorted(lake.rglob("events/*/*.parquet"))]
    found: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist() if tables else []
    return sorted(found, key=lambda row: (row["event_time"], row["object_key"], row["record_index"]))


def alerts(lake: Path) -> dict[str, dict[str, Any]]:
    """Alerts by id; none may be there twice."""
    lines = [line for path in sorted(lake.glob("alerts/*.jsonl")) for line in path.read_bytes().splitlines()]
    found = {alert["alert_id"]: alert for alert in map(json.loads, lines)}
    assert len(found) == len(lines)
    return found


def letters(lake: Path) -> list[dict[str, Any]]:
    """Dead letters by path and index."""
    found: list[Any] = []
    for path in lake.glob("dead_letters/*.avro"):
        found += fastavro.reader(io.BytesIO(path.read_bytes()))
    return sorted(found, key=lambda letter: (letter["path"], letter["record_index"] or -1))


def ask(lake: str | Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query over the lake's views."""
    with connect(open_storage(str(lake))) as connection:
        return connection.execute(sql).fetchall()


def slots(lake: Path) -> list[tuple[Any, ...]]:
    """The verdict of every slot."""
    return ask(lake, "SELECT canary, account_id, region, slot, verdict FROM canary_slots ORDER BY ALL")


def kinds(found: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """What alerts say in short, sorted."""
    return sorted((each["kind"], each["account_id"], each["severity"], each["status"]) for each in found)
