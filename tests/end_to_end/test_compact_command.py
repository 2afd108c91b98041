"""`trailcanary compact`: the command, killed or not, between runs that are killed or not."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folders import (
    CONFIG,
    alerts,
    ask,
    event,
    fill,
    finish,
    log_key,
    packed,
    rows,
    run,
    simulated,
    slots,
    start,
    trailcanary,
)

from pipeline.local_storage import LocalStorage
from schemas.errors import StorageError
from schemas.settings import Limits

NOW = ("--settle", "0s", "--keep", "0s")
_LEDGER = "SELECT uri, etag, status, records, archived, duplicates, dead, changed FROM objects ORDER BY uri"


@pytest.fixture
def small_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs cut many bundles."""
    monkeypatch.setattr("pipeline.commands.Limits", functools.partial(Limits, bundle_bytes=20_000))


def compact(lake: Path, *options: str) -> dict[str, Any]:
    """Compact, which must go well; the summary as JSON."""
    done = trailcanary("compact", "--output", lake, "--json", *options)
    assert (done.code, done.err) == (0, ""), done
    found: dict[str, Any] = json.loads(done.out)
    return found


def two_trails(folder: Path, days: int = 2) -> Path:
    """Objects of two trails that deliver the same events, so that copies lie in different runs."""
    for day in range(1, days + 1):
        records = [event(f"{day}-{number}", f"2026-11-{day:02}T12:{number:02}:00Z") for number in range(20)]
        for trail in ("a", "b"):
            fill(folder / trail, {log_key(trail, f"202611{day:02}T1230Z"): packed(*records)})
    return folder


def wait_for(process: subprocess.Popen[str], there: Callable[[], object]) -> None:
    """Look a thousand times a second until something is there or the process has ended."""
    tick = threading.Event()
    while not there() and process.poll() is None:
        tick.wait(0.001)


@pytest.mark.usefixtures("small_bundles")
def test_runs_and_compactions_take_turns(tmp_path: Path) -> None:
    """After each run a compaction: verdicts, alerts and rows are those of the same runs that nobody compacted."""
    source = simulated(tmp_path / "in", "drop-canary", "corrupt-objects", "attempted-stop", rate=300)
    options = ("--config", source / CONFIG, "--as-of", "data", "--workers", "1")
    lake, part = tmp_path / "lake", tmp_path / "part"
    keys = sorted(path.relative_to(source) for path in source.rglob("AWSLogs/**/*") if path.is_file())
    for share in (keys[: len(keys) // 2], keys):
        for name in share:
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            if not (part / name).exists():
                (part / name).hardlink_to(source / name)
        run(part, tmp_path / "clean", *options)
        run(part, lake, *options)
        compact(lake, *NOW)
        compact(lake, *NOW)
        assert run(part, lake, *options)["balance"]["objects_read"] == 0
    assert len(list(lake.glob("objects/*"))) == 1
    assert len(list(lake.glob("canaries/sightings-*"))) == 1
    events = "SELECT DISTINCT event_id FROM events ORDER BY event_id"
    assert ask(lake, events) == ask(tmp_path / "clean", events)
    assert slots(lake) == slots(tmp_path / "clean")
    assert {alert["kind"] for alert in alerts(lake).values()} == {
        a["kind"] for a in alerts(tmp_path / "clean").values()
    }
    assert ask(lake, "FROM audit") == []


def test_copies_of_two_trails(tmp_path: Path) -> None:
    """What a second trail delivered to a later run is removed and counted; export and query see one of each."""
    source, lake = two_trails(tmp_path / "in"), tmp_path / "lake"
    for trail in ("a", "b"):
        run(source / trail, lake)
    assert ask(lake, "SELECT count(*), count(DISTINCT event_id) FROM events") == [(80, 40)]
    found = compact(lake, *NOW)
    assert (found["rows_read"], found["rows_written"], found["copies_removed"]) == (80, 40, 40)
    assert ask(lake, "SELECT count(*), count(DISTINCT event_id) FROM events") == [(40, 40)]
    assert ask(lake, "FROM audit") == []
    assert ask(lake, "SELECT sum(archived), sum(duplicates) FROM objects") == [(40, 40)]
    written = ask(lake, "SELECT sum(rows_written) FROM runs")[0][0]
    assert written - ask(lake, "SELECT sum(copies_removed + copies_before) FROM compactions")[0][0] == 40
    assert len(trailcanary("export", "--output", lake).out.splitlines()) == 40
    assert len(trailcanary("export", "--output", lake, "--where", "true").out.splitlines()) == 40


@pytest.mark.usefixtures("small_bundles")
def test_run_dies_then_compaction_then_run(tmp_path: Path) -> None:
    """A run that died owes its alerts also when its parts have been merged since."""
    source = simulated(tmp_path / "in", "attempted-stop", rate=300)
    options = ("--config", source / CONFIG, "--as-of", "data", "--workers", "1")
    run(source, tmp_path / "clean", *options)
    lake, write = tmp_path / "lake", LocalStorage.write

    def refuse(storage: LocalStorage, path: str, body: bytes) -> None:
        if path.startswith("alerts/"):
            raise StorageError(f"{storage.root}/{path}", "No space left on device")
        write(storage, path, body)

    with pytest.MonkeyPatch.context() as full:
        full.setattr(LocalStorage, "write", refuse)
        assert trailcanary("run", "--input", source, "--output", lake, *options).code == 1
    assert len(list(lake.glob("objects/*"))) > 2
    compact(lake, *NOW)
    compact(lake, *NOW)
    assert len(list(lake.glob("objects/*"))) == 1
    run(source, lake, *options)
    compact(tmp_path / "clean", *NOW)
    compact(tmp_path / "clean", *NOW)
    assert alerts(lake) == alerts(tmp_path / "clean")
    assert slots(lake) == slots(tmp_path / "clean")
    assert rows(lake) == rows(tmp_path / "clean")
    assert ask(lake, _LEDGER) == ask(tmp_path / "clean", _LEDGER)


@pytest.mark.parametrize("point", ["events/*/merged-*", "objects/merged-*", "compactions/*"])
def test_killed(tmp_path: Path, point: str) -> None:
    """SIGKILL at any moment: nothing is lost or there twice, and the next compaction completes it."""
    source, lake = two_trails(tmp_path / "in", days=6), tmp_path / "lake"
    for trail in ("a", "b"):
        run(source / trail, lake)
    process = start("compact", "--output", lake, "--settle", "0s")
    wait_for(process, lambda: next(lake.glob(point), None))
    process.kill()
    assert finish(process).code in (-signal.SIGKILL, 0)
    assert ask(lake, "SELECT count(*), count(DISTINCT event_id) FROM events") in ([(240, 120)], [(120, 120)])
    run(source / "a", lake)
    compact(lake, *NOW)
    compact(lake, *NOW)
    assert ask(lake, "SELECT count(*), count(DISTINCT event_id) FROM events") == [(120, 120)]
    assert len(list(lake.glob("events/*/*"))) == 6
    assert len(list(lake.glob("objects/*"))) == 1
    assert ask(lake, "FROM audit") == []
    assert not list(lake.rglob(".tmp-*"))


def test_what_it_says(tmp_path: Path) -> None:
    """A dry run names the merges and writes nothing; the summary has files, rows, copies and what waits."""
    source, lake = two_trails(tmp_path / "in"), tmp_path / "lake"
    for trail in ("a", "b"):
        run(source / trail, lake)
    before = sorted(lake.rglob("*"))
    dry = trailcanary("compact", "--output", lake, "--settle", "0s", "--dry-run")
    assert (dry.code, dry.err) == (0, "")
    assert "merge    2 parts of the ledger with 4 small archive files of 2 days: 80 rows" in dry.out
    assert json.loads(trailcanary("compact", "--output", lake, "--settle", "0s", "--dry-run", "--json").out)["merges"]
    assert "nothing to merge" in trailcanary("compact", "--output", lake, "--dry-run").out
    assert sorted(lake.rglob("*")) == before
    done = trailcanary("compact", "--output", lake, "--settle", "0s")
    assert (done.code, done.err) == (0, "")
    assert "archive  4 files" in done.out
    assert "→ 2 files" in done.out
    assert "rows     80 read = 40 written + 40 copies removed\n" in done.out
    assert "6 more are kept for 1h; the next compaction removes them\n" in done.out
    assert trailcanary("compact", "--output", lake).out.count("→ 2 files") == 1


def test_bad_usage(tmp_path: Path) -> None:
    """No lake, and lengths of time that are none, are bad usage."""
    done = trailcanary("compact", "--output", tmp_path)
    assert (done.code, done.err) == (
        2,
        f"trailcanary: {tmp_path}: no lake there; `trailcanary run --output` makes one\n",
    )
    done = trailcanary("compact", "--output", tmp_path, "--keep", "soon")
    assert (done.code, done.err) == (2, "trailcanary: --keep soon: not a length of time such as 30m or 1h\n")
