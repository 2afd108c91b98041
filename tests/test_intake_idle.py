"""A process that is no longer asked to look frees the lake: a runner may give a stream's source to another process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline import intake as intake_module
from pipeline.intake import LakeIntake
from pipeline.local_storage import LocalStorage
from pipeline.lock import hold_lake
from schemas.errors import LakeLocked
from schemas.intake import Taken
from schemas.settings import MIB
from schemas.times import SECOND_US, parse_iso_us

START_US = parse_iso_us("2026-11-01T12:00:00Z")
LONG_S = 30


def now_us() -> int:
    """A clock that stands still."""
    return START_US


def intake_of(tmp_path: Path) -> LakeIntake:
    """Looks at an empty folder."""
    (tmp_path / "bucket").mkdir()
    bucket = LocalStorage(str(tmp_path / "bucket"))
    lake = LocalStorage(str(tmp_path / "lake"))
    return LakeIntake((bucket,), lake, "stream", 16 * MIB, SECOND_US, SECOND_US, None, now_us)


def waiters() -> list[threading.Thread]:
    """The threads that wait for nobody to ask any more."""
    return [thread for thread in threading.enumerate() if thread.name == "let go"]


def test_an_idle_process_frees_the_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process gets it; when that one is gone, the first may look again and goes on from the lake."""
    monkeypatch.setattr(intake_module, "IDLE_S", 0.01)
    before = set(waiters())
    intake = intake_of(tmp_path)
    assert intake.look(0) == Taken(0, None, START_US, None)
    for thread in set(waiters()) - before:
        thread.join(LONG_S)
    assert set(waiters()) <= before
    with hold_lake(intake.lake, "another", now_us), pytest.raises(LakeLocked):
        intake.look(1)
    assert intake.look(1) == Taken(1, None, START_US, None)


def test_a_process_that_is_asked_keeps_the_lake(tmp_path: Path) -> None:
    """Between looks nobody else gets it."""
    intake = intake_of(tmp_path)
    intake.look(0)
    with pytest.raises(LakeLocked, match="held by run stream"), hold_lake(intake.lake, "another", now_us):
        pass
    intake_module._LOOKERS.pop((intake.lake.root, "stream")).close()


def test_a_lake_that_is_lost_meanwhile(tmp_path: Path) -> None:
    """Who finds the lake taken over has nothing to free, and says nothing."""
    intake = intake_of(tmp_path)
    intake.look(0)
    Path(intake.lake.root, ".lock").unlink()
    intake_module._LOOKERS.pop((intake.lake.root, "stream")).close()
    with hold_lake(intake.lake, "another", now_us):
        assert Path(intake.lake.root, ".lock").exists()


class Looker:
    """One that a look keeps busy for longer than idleness may take, twice; then nobody asks."""

    def __init__(self) -> None:
        self.asked = self
        self.looks, self.closed = 2, 0

    def wait(self, _idle_s: float) -> bool:
        """Nobody has asked since."""
        return False

    def is_set(self) -> bool:
        """Whether a look has ended while the lock was waited for."""
        self.looks -= 1
        return self.looks >= 0

    def close(self) -> None:
        """Count."""
        self.closed += 1


def test_a_look_that_takes_long_is_no_idleness() -> None:
    """The lake is freed once, after the looks."""
    looker: Any = Looker()
    intake_module._LOOKERS["lake", "stream"] = looker
    intake_module._let_go(("lake", "stream"), looker)
    assert (looker.looks, looker.closed) == (-1, 1)
    assert ("lake", "stream") not in intake_module._LOOKERS


def test_another_life_is_let_be() -> None:
    """Who is no longer the one that looks frees nothing of its successor's."""
    looker: Any = Looker()
    successor: Any = Looker()
    intake_module._LOOKERS["lake", "stream"] = successor
    intake_module._let_go(("lake", "stream"), looker)
    assert intake_module._LOOKERS.pop(("lake", "stream")) is successor
    assert (looker.closed, successor.closed) == (0, 0)
