"""A simulated day at speed, from S3 and SQS over sockets, on a real cluster: what a bounded run says, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from fake_aws import BUCKET, FakeAws
from fast_day import FastClock
from flink_cluster import FlinkCluster, code_folder
from streams import Stream, rows_of, trailcanary

from deploy.flink.cluster import ROOT
from deploy.flink.processes import wait_for
from schemas.keys import parse_key
from schemas.times import MINUTE_US, SECOND_US, format_us, parse_iso_us

pytestmark = pytest.mark.flink

HOURS = float(os.environ.get("TRAILCANARY_TEST_HOURS", "3"))
SPEED = 120
START_US = parse_iso_us("2026-11-01T00:00:00Z")
END_US = START_US + int(HOURS * 60) * MINUTE_US
ATTACKS = ("stop-logging", "narrow-selectors", "bucket-policy", "lifecycle", "drop-canary", "attempted-stop")
MAIN = "import sys, fast_day; fast_day.main(sys.argv[1:])"  # not as __main__: the workers know its classes by name
AWAY = 0.4, 0.5
"""Between these parts of the objects there is no queue."""


@pytest.fixture
def served(aws: FakeAws) -> Iterator[FakeAws]:
    """Both services run."""
    aws.start("s3")
    aws.start("sqs")
    yield aws
    aws.stop()


def submit(flink: FlinkCluster, stream: Stream, queue: str) -> tuple[str, FastClock]:
    """Hand the job to the cluster; its id once all of it runs, and its clock, which is started then."""
    clock = FastClock(START_US, SPEED, str(stream.lake.with_name("clock")))
    day = [str(clock.start_us), str(clock.speed), clock.file]
    arguments = [f"s3://{BUCKET}", str(stream.lake), str(stream.config), queue, *day]
    command = [sys.executable, "-c", MAIN, *arguments, *flink.submit_arguments(2)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{code_folder()}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    job = flink.await_job("day")
    clock.start()
    return job, clock


def deliver(aws: FakeAws, stream: Stream, clock: FastClock) -> int:
    """Every object when its time has come; SQS's server is killed on the way, and comes back empty. Notices lost."""
    objects = sorted((parse_key(name).delivered_us or START_US, name) for name in names(stream))
    away = [int(len(objects) * part) for part in AWAY]
    lost = 0
    for number, (due_us, name) in enumerate(objects):
        time.sleep(max(0, due_us - clock()) / SECOND_US / SPEED)
        if number == away[0]:
            aws.kill("sqs")
        if number == away[1]:
            aws.start("sqs")
        lost += not aws.deliver(name, (stream.source / name).read_bytes())
    return lost


def names(stream: Stream) -> list[str]:
    """The keys of what was simulated."""
    return [path.relative_to(stream.source).as_posix() for path in stream.source.rglob("*.json.gz")]


def alerts(lake: Path) -> dict[str, dict[str, Any]]:
    """What was detected by the end of the day, by id."""
    lines = (line for path in lake.glob("alerts/*.jsonl") for line in path.read_bytes().splitlines())
    due = [alert for alert in map(orjson.loads, lines) if parse_iso_us(alert["detected_at"]) <= END_US]
    kept = ("incident_id", "kind", "severity", "status", "title", "detected_at", "resource", "canary", "account_id")
    assert len({alert["alert_id"] for alert in due}) == len(due)
    return {alert["alert_id"]: {name: alert[name] for name in kept} for alert in due}


def slots(lake: Path) -> list[tuple[Any, ...]]:
    """The last word on each slot that was due by the end of the day."""
    columns = "canary, account_id, region, slot_start, verdict"
    with duckdb.connect() as connection:
        connection.execute((lake / "views.sql").read_text("utf-8"))
        due = f"SELECT {columns} FROM canary_slots WHERE deadline <= $1 ORDER BY ALL"  # noqa: S608 - ours
        return connection.execute(due, [format_us(END_US)]).fetchall()


def test_a_simulated_day_gives_what_a_bounded_run_gives(served: FakeAws, stream: Stream) -> None:
    """Attacks, canaries, and a queue that is lost on the way: the same rows, alerts and slots, and no message left."""
    options = [option for attack in ATTACKS for option in ("--attack", attack)]
    stream.simulate("--hours", str(HOURS), "--accounts", "2", "--rate", "300", "--start", format_us(START_US), *options)
    stream.config.write_text((stream.source / "trailcanary.toml").read_text("utf-8"))
    job, clock = submit(stream.flink, stream, served.queue)
    lost = deliver(served, stream, clock)
    assert lost > 0
    stream.await_committed(len(names(stream)))
    wait_for(lambda: clock() > END_US + 5 * MINUTE_US, "the end of the day", 120)
    once = stream.lake.with_name("once")
    run = ("--input", stream.source, "--output", once, "--config", stream.config, "--as-of", format_us(END_US))
    trailcanary("run", *run)
    (stream.lake / "views.sql").write_text((once / "views.sql").read_text("utf-8").replace(str(once), str(stream.lake)))
    wait_for(lambda: alerts(stream.lake).keys() >= alerts(once).keys(), "the alerts", 60)
    wait_for(lambda: len(slots(stream.lake)) >= len(slots(once)), "the slots", 60)
    wait_for(lambda: served.messages() == 0, "the messages to be acknowledged", 60)

    assert alerts(stream.lake) == alerts(once)
    assert slots(stream.lake) == slots(once) != []
    assert {"trail.tampered", "trail.attempted", "canary.missing"} <= {each["kind"] for each in alerts(once).values()}
    assert {row[0] for row in rows_of(stream.lake)} == {row[0] for row in rows_of(once)}
    assert set(rows_of(stream.lake).values()) == {1}
    assert stream.committed() == len(names(stream))
    rows = rows_of(stream.lake).total()
    wait_for(lambda: stream.flink.counted(job, "records_archived") == rows, f"the counter to say {rows}")
