"""`trailcanary watch` as a process: new objects are found, and it can be stopped or killed at any time."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from folders import alerts, ask, event, fill, finish, log_key, packed, rows, run, start

Starter = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def watching() -> Iterator[Starter]:
    """Starts `watch`, and kills what a test left running."""
    started: list[subprocess.Popen[str]] = []

    def begin(source: Path, lake: Path, *options: str | Path) -> subprocess.Popen[str]:
        process = start("watch", "--input", source, "--output", lake, "--every", "1s", "--workers", "1", *options)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            finish(process)


def wait_for(process: subprocess.Popen[str], there: Callable[[], object], seconds: float = 60) -> None:
    """Look a hundred times a second until something is there; a process that ends before is a failure."""
    tick = threading.Event()
    for _ in range(int(seconds * 100)):
        if there():
            return
        assert process.poll() is None, finish(process)
        tick.wait(0.01)
    pytest.fail("nothing came")


def stop_logging(number: int) -> bytes:
    """An object with an attack in it."""
    parameters = {"name": "arn:aws:cloudtrail:us-east-1:111122223333:trail/org-trail"}
    service = "cloudtrail.amazonaws.com"
    return packed(event(f"stop-{number}", eventSource=service, eventName="StopLogging", requestParameters=parameters))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_new_objects_raise_alerts_until_a_signal(tmp_path: Path, watching: Starter, number: int) -> None:
    """Objects that appear are archived and judged; a signal ends it with exit code 0, and frees the lake."""
    source, lake = fill(tmp_path / "in", {log_key("a"): packed(event("a"))}), tmp_path / "lake"
    process = watching(source, lake)
    wait_for(process, lambda: list(lake.glob("runs/*.json")))
    fill(source, {log_key("b"): stop_logging(1)})
    wait_for(process, lambda: list(lake.glob("alerts/*.jsonl")))
    process.send_signal(number)
    done = finish(process)
    assert (done.code, done.out) == (0, "")
    assert [alert["kind"] for alert in alerts(lake).values()] == ["trail.tampered"]
    assert len(rows(lake)) == 2
    assert run(source, lake)["balance"]["objects_known"] == 2
    assert ask(lake, "SELECT * FROM audit") == []


def test_killed_and_started_again(tmp_path: Path, watching: Starter) -> None:
    """SIGKILL while bundles are written loses nothing and doubles nothing: the next watch completes the lake."""
    objects = {log_key(f"{number:03}"): stop_logging(number) for number in range(20)}
    source, lake = fill(tmp_path / "in", objects), tmp_path / "lake"
    for point in ("events/*/*.parquet", "objects/*.parquet", "alerts/*.jsonl"):
        process = watching(source, lake)
        wait_for(process, lambda point=point: list(lake.glob(point)))
        process.kill()
        assert finish(process).code == -signal.SIGKILL
    process = watching(source, lake)
    wait_for(process, lambda: f'"pid":{process.pid}' in (lake / ".lock").read_text())
    wait_for(process, lambda: len(alerts(lake)) == 20 and list(lake.glob("runs/*.json")))
    process.terminate()
    assert finish(process).code == 0
    assert len(rows(lake)) == 20
    assert ask(lake, "SELECT * FROM audit") == []
