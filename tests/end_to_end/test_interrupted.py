"""Runs that are killed, stopped or fail, at whatever moment: the next run makes the lake as if nothing had happened."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from folders import (
    CONFIG,
    ROOT,
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
    trailcanary,
)
from folders import start as start_command

from pipeline.local_storage import LocalStorage
from schemas.errors import StorageError
from schemas.settings import Limits

BUNDLE_BYTES = 30_000
_SMALL_BUNDLES = f"""
import functools, sys
import pipeline.commands
from pipeline.__main__ import main
from schemas.settings import Limits
pipeline.commands.Limits = functools.partial(Limits, bundle_bytes={BUNDLE_BYTES})
sys.exit(main(sys.argv[1:]))
"""

_LEDGER = "SELECT uri, etag, status, records, archived, duplicates, dead, changed FROM objects ORDER BY uri"


class World(NamedTuple):
    """A bucket with an attack, options to run over it, and what a run that nothing disturbs makes of it."""

    source: Path
    options: tuple[str, ...]
    clean: Path


@pytest.fixture(scope="module")
def small_bundles() -> Iterator[None]:
    """Runs in this process cut many bundles too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.commands.Limits", functools.partial(Limits, bundle_bytes=BUNDLE_BYTES))
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, small_bundles: None) -> World:  # noqa: ARG001 - patches
    """The bucket and its clean lake."""
    top = tmp_path_factory.mktemp("interrupted")
    source = simulated(top / "in", "drop-canary", "corrupt-objects", "attempted-stop", rate=300)
    options = ("--config", str(source / CONFIG), "--as-of", "data")
    run(source, top / "clean", *options, "--workers", "1")
    assert len(list((top / "clean" / "objects").iterdir())) > 5
    assert {alert["kind"] for alert in alerts(top / "clean").values()} == {
        "canary.missing",
        "canary.unsure",
        "ingest.unreadable",
        "trail.attempted",
    }
    return World(source, options, top / "clean")


def assert_completed(world: World, lake: Path) -> None:
    """Run again; then the lake says what the clean one says, and so does its balance."""
    run(world.source, lake, *world.options, "--workers", "1")
    assert rows(lake) == rows(world.clean)
    assert alerts(lake) == alerts(world.clean)
    assert slots(lake) == slots(world.clean)
    assert ask(lake, "SELECT * FROM audit") == []
    assert ask(lake, _LEDGER) == ask(world.clean, _LEDGER)
    assert not list(lake.rglob(".tmp-*"))


def start(world: World, lake: Path, *options: str) -> subprocess.Popen[str]:
    """Start a run with small bundles in a process of its own."""
    argv = ["run", "--input", str(world.source), "--output", str(lake), *world.options, *options]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", _SMALL_BUNDLES, *argv], cwd=ROOT, start_new_session=True, **streams)


def wait_for(process: subprocess.Popen[str], there: Callable[[], object]) -> None:
    """Look a thousand times a second until something is there or the process has ended."""
    tick = threading.Event()
    while not there() and process.poll() is None:
        tick.wait(0.001)


def wait_for_all_to_end(group: int) -> None:
    """Every process of a group must end within seconds."""
    patience = threading.Event()
    for _ in range(100):
        if not list(_alive(group)):
            return
        patience.wait(0.1)
    pytest.fail(f"left behind: {list(_alive(group))}")


def _alive(group: int) -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                yield (path.parent / "cmdline").read_text()


POINTS = {
    "first rows": "events/*/*.parquet",
    "fourth commit": "objects/*.parquet",
    "first verdicts": "canaries/verdicts-*.parquet",
    "alerts": "alerts/*.avro",
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_when_a_file_appears(world: World, tmp_path: Path, point: str) -> None:
    """SIGKILL leaves nobody behind, and the next run completes the lake."""
    lake = tmp_path / "lake"
    process = start(world, lake, "--workers", "2" if point.startswith("first") else "1")
    least = 4 if point == "fourth commit" else 1
    wait_for(process, lambda: len(list(lake.glob(POINTS[point]))) >= least)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    wait_for_all_to_end(process.pid)
    finish(process)
    assert_completed(world, lake)


@pytest.mark.parametrize("failing", ["dead_letters/", "canaries/verdicts", "runs/"])
def test_store_fails_at_some_write(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """A lake that cannot be written is one clear message and exit code 1; what was committed before stays good."""
    lake, write = tmp_path / "lake", LocalStorage.write

    def refuse(storage: LocalStorage, path: str, body: bytes) -> None:
        if path.startswith(failing):
            raise StorageError(f"{storage.root}/{path}", "No space left on device")
        write(storage, path, body)

    with monkeypatch.context() as full:
        full.setattr(LocalStorage, "write", refuse)
        done = trailcanary("run", "--input", world.source, "--output", lake, *world.options, "--workers", "1")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"trailcanary: {lake}/{failing}")
    assert done.err.endswith(": No space left on device\n")
    assert done.err.count("\n") == 1
    assert_completed(world, lake)


def test_temporary_files_of_a_killed_run(tmp_path: Path) -> None:
    """What a writer left half done is removed by the next run, and nothing else that is named alike."""
    source, lake = fill(tmp_path / "in", {log_key("a"): packed(event("a"))}), tmp_path / "lake"
    left, other = lake / "alerts" / f".tmp-{'0a' * 12}", lake / "alerts" / ".tmp-mine"
    fill(lake, {str(path.relative_to(lake)): b"half" for path in (left, other)})
    run(source, lake)
    assert (left.exists(), other.exists()) == (False, True)


def test_interrupted_from_the_keyboard(world: World, tmp_path: Path) -> None:
    """SIGINT to the whole group, as a terminal sends it: exit code 130, one line, nobody left behind."""
    lake = tmp_path / "lake"
    process = start(world, lake, "--workers", "2")
    wait_for(process, lambda: next(lake.glob("objects/*.parquet"), None))
    os.killpg(process.pid, signal.SIGINT)
    done = finish(process)
    assert (done.code, done.out) == (130, "")
    assert done.err == "trailcanary: interrupted; the next run completes the lake\n"
    wait_for_all_to_end(process.pid)
    assert_completed(world, lake)


def test_second_run_at_once_refuses(tmp_path: Path) -> None:
    """Who comes second is told who holds the lake, and changes nothing; the first goes on."""
    source, lake = fill(tmp_path / "in", {log_key("a"): packed(event("a"))}), tmp_path / "lake"
    first = start_command("run", "--input", source, "--output", lake)
    lock = lake / ".lock"
    wait_for(first, lambda: lock.exists() and lock.stat().st_size)
    first.send_signal(signal.SIGSTOP)
    second = trailcanary("run", "--input", source, "--output", lake)
    first.send_signal(signal.SIGCONT)
    assert second.code == 1
    assert f"{lake} is held by run " in second.err
    assert f"pid {first.pid})" in second.err
    assert second.err.count("\n") == 1
    assert finish(first).code == 0
    assert len(rows(lake)) == 1
    assert len(list(lake.glob("runs/*.json"))) == 1
