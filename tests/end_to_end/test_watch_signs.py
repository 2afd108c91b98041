"""What a watch shows of itself: log lines, metrics over a socket, pings, and an alert when an input is gone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from folders import ACCOUNT, REGION, ROOT, alerts, event, fill, finish, log_key, packed, start
from watch_processes import Watching

SECRET = "0a1b2c3d-secret"


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watching]]:
    """Starts a watch of `in` that makes `lake`."""
    started: list[Watching] = []

    def begin(*options: str) -> Watching:
        started.append(Watching(tmp_path / "in", tmp_path / "lake", *options))
        return started[-1]

    yield begin
    for watching in started:
        if watching.process.poll() is None:
            watching.end()


class _Switch(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()
        self.server.asked.append(self.path)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def switch() -> Iterator[ThreadingHTTPServer]:
    """A dead man's switch on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Switch)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def scraped(address: str) -> dict[str, float]:
    """Every sample that a watch serves."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    samples = re.findall(r"^(trailcanary_[^ ]+) ([^ ]+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in samples}


def test_log_metrics_and_pings(tmp_path: Path, watch: Callable[..., Watching], switch: ThreadingHTTPServer) -> None:
    """A line for each bundle and cycle without contents, metrics that agree with them, a ping for each cycle."""
    parameters = {"name": "arn:aws:cloudtrail:us-east-1:111122223333:trail/org-trail"}
    service = "cloudtrail.amazonaws.com"
    attack = event("a", eventSource=service, eventName="StopLogging", requestParameters=parameters)
    fill(tmp_path / "in", {log_key("a"): packed(attack, event("b")), log_key("c"): b"not gzip", "readme.txt": b"x"})
    url = f"http://127.0.0.1:{switch.server_port}/{SECRET}"
    watching = watch("--metrics-port", "0", "--ping", url, "--every", "1s")
    cycle = watching.event("cycle")
    bundle = watching.event("bundle")
    alert = watching.wait_for(lambda line: line.get("kind") == "trail.tampered")
    assert (bundle["objects"], bundle["records_archived"], bundle["findings"]) == (3, 2, 1)
    assert (cycle["objects_listed"], cycle["objects_dead"]) == (3, 1)
    assert cycle["alerts"] == {"trail.tampered": 1, "ingest.unreadable": 1}
    assert alert["runbook"] == "docs/runbooks/trail-tampered.md"
    address = watching.event("metrics")["address"]
    assert address.startswith("127.0.0.1:")
    seen = scraped(address)
    assert seen["trailcanary_objects_listed_total"] == 3
    assert seen["trailcanary_objects_not_logs_total"] == 1
    assert seen["trailcanary_records_archived_total"] == seen["trailcanary_rows_written_total"] == 2
    assert seen["trailcanary_known_objects"] == 3
    assert seen['trailcanary_dead_letters_total{reason="not_gzip"}'] == 1
    assert seen['trailcanary_alerts_total{kind="trail.tampered",severity="critical",status="opened"}'] == 1
    assert seen[f'trailcanary_delivery_lag_seconds{{account_id="{ACCOUNT}",region="{REGION}"}}'] == 300
    assert seen["trailcanary_stalled"] == seen["trailcanary_oldest_unjudged_slot_age_seconds"] == 0
    assert watching.end() == 0
    assert set(switch.asked) == {f"/{SECRET}"}  # type: ignore[attr-defined]
    text = "".join(watching.said)
    assert [word for word in (SECRET, "org-trail", "StopLogging", "alice") if word in text] == []


def test_input_that_is_gone_stalls(tmp_path: Path, watch: Callable[..., Watching]) -> None:
    """Cycles fail, the heartbeat raises its alert, and the first cycle that is completed resolves it."""
    source = fill(tmp_path / "in", {log_key("a"): packed(event("a"))})
    watching = watch("--every", "1s", "--stalled-after", "2s")
    watching.event("cycle")
    source.rename(tmp_path / "away")
    failed = watching.event("failed")
    assert failed["error"] == f"{source}: No such file or directory"
    opened = watching.wait_for(lambda line: line.get("kind") == "ingest.stalled")
    assert (opened["status"], opened["severity"]) == ("opened", "high")
    shutil.move(tmp_path / "away", source)
    watching.wait_for(lambda line: line.get("kind") == "ingest.stalled" and line["status"] == "resolved")
    assert watching.end() == 0
    found = sorted((alert["kind"], alert["status"]) for alert in alerts(tmp_path / "lake").values())
    assert found == [("ingest.stalled", "opened"), ("ingest.stalled", "resolved")]


_HANGING = """
import sys, threading
from pipeline.__main__ import main
from pipeline.local_storage import LocalStorage
listed = LocalStorage.list
def hang(storage, prefix="", after=""):
    if storage.root.endswith("/in"):
        threading.Event().wait()
    return listed(storage, prefix, after)
LocalStorage.list = hang
sys.exit(main(sys.argv[1:]))
"""


def test_cycle_that_hangs_stalls(tmp_path: Path) -> None:
    """The alert comes from a thread that does not hang; a second signal ends even this, with exit code 0."""
    fill(tmp_path / "in", {log_key("a"): packed(event("a"))})
    argv = ["watch", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "lake"), "--stalled-after", "1s"]
    process = subprocess.Popen(
        [sys.executable, "-c", _HANGING, *argv], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines = [json.loads(process.stderr.readline()) for _ in range(2)]
    assert [line.get("kind") for line in lines] == [None, "ingest.stalled"]
    tick = threading.Event()
    while process.poll() is None:  # two that come at once are one
        process.terminate()
        tick.wait(0.1)
    done = finish(process)
    assert (done.code, done.err.count("stopped in the middle of a cycle")) == (0, 1)
    assert [alert["kind"] for alert in alerts(tmp_path / "lake").values()] == ["ingest.stalled"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--ping", f"ftp://example.com/{SECRET}"), "trailcanary: --ping: not an http:// or https:// URL\n"),
        (("--every", "soon"), "trailcanary: --every soon: not a length of time such as 30s or 5m\n"),
        (("--stalled-after", "0s"), "trailcanary: --stalled-after 0s: not a length of time such as 30s or 5m\n"),
    ],
)
def test_options_that_cannot_be_used(tmp_path: Path, options: tuple[str, str], problem: str) -> None:
    """One line, exit code 2."""
    (tmp_path / "in").mkdir()
    process: subprocess.Popen[str] = start("watch", "--input", tmp_path / "in", "--output", tmp_path / "lake", *options)
    done = finish(process)
    assert (done.code, done.err) == (2, problem)


def test_port_that_is_taken(tmp_path: Path, switch: ThreadingHTTPServer) -> None:
    """Said, with exit code 2."""
    (tmp_path / "in").mkdir()
    port = str(switch.server_port)
    done = finish(start("watch", "--input", tmp_path / "in", "--output", tmp_path / "lake", "--metrics-port", port))
    assert done.code == 2
    assert done.err.startswith(f"trailcanary: --metrics-port {port}: ")
