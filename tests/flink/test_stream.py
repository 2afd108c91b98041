"""`trailcanary stream` on a real cluster: nothing is lost, nothing comes twice, whatever dies."""

from __future__ import annotations

from pathlib import Path

import duckdb
import orjson
import pytest
from streams import Stream, batch

from deploy.flink.processes import wait_for
from schemas.times import format_us

pytestmark = pytest.mark.flink

SILENT_CANARY = """
[[canary]]
name = "never"
accounts = ["111122223333"]
regions = ["us-east-1"]
period = "5s"
grace = "5s"
since = {since}
[canary.match]
event_name = "NobodyCallsThis"
"""


def prepare(stream: Stream) -> None:
    """Some hundred objects of a past day with attacks in it."""
    stream.simulate("--hours", "6", "--rate", "300", "--attack", "stop-logging", "--attack", "narrow-selectors")


def events(lake: Path) -> list[tuple[object, ...]]:
    """Each event once: what a copy in another bundle adds is for `compact` to remove."""
    query = f"SELECT DISTINCT event_id FROM read_parquet('{lake}/events/*/*.parquet') ORDER BY ALL"  # noqa: S608
    return duckdb.sql(query).fetchall()


def alert_ids(lake: Path) -> list[str]:
    """Every line of every file: an alert that is written twice shows twice."""
    lines = (line for path in lake.glob("alerts/*.jsonl") for line in path.read_bytes().splitlines())
    return sorted(orjson.loads(line)["alert_id"] for line in lines)


def check(stream: Stream, objects: int) -> None:
    """All objects once, all events, no row twice, and the alerts of one bounded run, each once."""
    stream.await_committed(objects)
    once = batch(stream)
    wait_for(lambda: len(alert_ids(stream.lake)) >= len(alert_ids(once)), "the alerts")
    assert stream.committed() == objects
    assert events(stream.lake) == events(once)
    assert set(stream.rows().values()) == {1}
    assert alert_ids(stream.lake) == alert_ids(once)


def test_killed_taskmanager_worker_pool_and_worker(stream: Stream) -> None:
    """Kill -9 of the TaskManager that the job runs in, of the pool of Python workers, and of the workers it left."""
    prepare(stream)
    objects = stream.objects()
    quarter = len(objects) // 4
    stream.deliver(objects[:quarter])
    job = stream.submit()
    stream.await_committed(quarter)
    stream.flink.await_checkpoint(job)
    stream.deliver(objects[quarter : 2 * quarter])
    killed = stream.flink.kill_taskmanager(job)
    stream.deliver(objects[2 * quarter : 3 * quarter])
    stream.await_committed(3 * quarter)
    assert stream.flink.jobmanager.restored_from(job)
    assert stream.flink.taskmanager_in_use(job) != killed
    pool, workers = stream.flink.pool_pid(), stream.flink.worker_pids()
    stream.flink.kill_pid(pool)
    wait_for(lambda: stream.flink.pool_pid() not in (0, pool), "another pool")
    for worker in workers:
        stream.flink.kill_pid(worker)
    stream.deliver(objects[3 * quarter :])
    check(stream, len(objects))
    assert not set(workers) & set(stream.flink.worker_pids())


def test_stopped_with_a_savepoint_and_resumed(stream: Stream) -> None:
    """The job goes on without its job server; a new submission goes on from the savepoint."""
    prepare(stream)
    objects = stream.objects()
    third = len(objects) // 3
    stream.deliver(objects[:third])
    job = stream.submit()
    stream.await_committed(third)
    stream.flink.processes.kill("job-server")
    stream.deliver(objects[third : 2 * third])
    stream.await_committed(2 * third)
    assert stream.flink.jobmanager.restored_from(job) == ""
    savepoint = stream.flink.stop(job)
    stream.deliver(objects[2 * third :])
    stream.flink.start_missing()
    assert stream.flink.jobmanager.restored_from(stream.submit(savepoint)) == savepoint
    check(stream, len(objects))


def test_killed_jobmanager(stream: Stream) -> None:
    """Without high availability the job dies with its JobManager; it goes on from its newest checkpoint."""
    prepare(stream)
    objects = stream.objects()
    half = len(objects) // 2
    stream.deliver(objects[:half])
    job = stream.submit()
    stream.await_committed(half)
    checkpoint = stream.flink.await_checkpoint(job)
    stream.flink.processes.kill("jobmanager")
    stream.deliver(objects[half:])
    stream.flink.start_missing()
    assert stream.flink.jobs() == []
    assert stream.flink.jobmanager.restored_from(stream.submit(checkpoint.path)) == checkpoint.path
    check(stream, len(objects))


def test_silence_is_judged_while_nothing_arrives(stream: Stream) -> None:
    """The clock goes on without objects: a canary that is never heard alerts, and checkpoints do not grow."""
    stream.simulate("--hours", "0.5", "--rate", "100", "--accounts", "1")
    first, *others = stream.objects()[:3]
    stream.deliver([first, *others])
    since_us = (stream.bucket / first.relative_to(stream.source)).stat().st_mtime_ns // 1000
    stream.config.write_text(SILENT_CANARY.format(since=format_us(since_us)))
    job = stream.submit(parallelism=2)
    alert = stream.await_alert("canary.unsure")
    assert alert["status"] == "opened"
    first = stream.flink.await_checkpoint(job)
    stream.flink.await_checkpoint(job)
    assert stream.flink.await_checkpoint(job).size_bytes < 1.5 * first.size_bytes
