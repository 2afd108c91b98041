"""A watch heeds a calibration that is made while it runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from folders import ACCOUNT, REGION, event, log_key, packed
from watch_worlds import Watched

from pipeline.calibration_file import add_calibration
from pipeline.known_canaries import with_known
from pipeline.local_storage import LocalStorage
from schemas.calibration import Calibration, Measured, conditions_of
from schemas.canaries import Canary, Match
from schemas.errors import StorageError
from schemas.receipts import Outcome
from schemas.settings import Config
from schemas.times import MINUTE_US, format_us, parse_iso_us

START_US = parse_iso_us("2026-11-01T00:00:00Z")
HOURLY = Canary(
    "c", (ACCOUNT,), (REGION,), 60 * MINUTE_US, 15 * MINUTE_US, START_US, (Match("event_name", ("RunInstances",)),)
)
FLAG = "(not calibrated: no test call was found in the log)"


def calibrate(lake: Path) -> None:
    """A test call of the canary was heard."""
    heard = Measured("c", ACCOUNT, REGION, conditions_of(HOURLY), "ec2:RunInstances", "", Outcome.REFUSED, heard=True)
    add_calibration(str(lake), Calibration((heard,)))


def deliver(watched: Watched, minute: int, name: str) -> None:
    """One event, a minute old."""
    us = START_US + minute * MINUTE_US
    at = format_us(us - MINUTE_US)
    path = watched.source / log_key(f"m{minute}", format_us(us)[:16].replace("-", "").replace(":", "") + "Z")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed(event(f"e{minute}", at=at, eventName=name, errorCode="Client.UnauthorizedOperation")))
    os.utime(path, ns=(us * 1000, us * 1000))


def told(watched: Watched, minute: int) -> list[tuple[str, bool]]:
    """The canary's alerts of a cycle: how each incident stands, and whether it says that there is no calibration."""
    done = watched.cycle(START_US + minute * MINUTE_US)
    alerts = () if done is None else done.alerts
    return [(each.status.value, FLAG in each.title) for each in alerts if each.canary == "c"]


def test_a_watch_heeds_a_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next cycle that does something says it no more, nor does the one after; taken away, all say it again."""
    lake = tmp_path / "lake"
    watched = Watched(tmp_path, with_known(Config((HOURLY,)), None, str(lake)))
    deliver(watched, 1, "DescribeInstances")
    assert told(watched, 2) == []
    deliver(watched, 70, "DescribeInstances")
    assert told(watched, 76) == [("opened", True)]
    calibrate(lake)
    deliver(watched, 100, "RunInstances")
    assert told(watched, 136) == [("resolved", False)]
    deliver(watched, 190, "DescribeInstances")
    reads = []
    read = LocalStorage.read
    monkeypatch.setattr(LocalStorage, "read", lambda storage, path: reads.append(path) or read(storage, path))
    assert told(watched, 196) == [("opened", False)]
    assert "calibration.json" not in reads  # it has not changed
    (lake / "calibration.json").unlink()
    deliver(watched, 220, "RunInstances")
    assert told(watched, 256) == [("resolved", True)]


def test_a_calibration_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the cycle before anything is written; the next one does what there is to do."""
    watched = Watched(tmp_path, with_known(Config((HOURLY,)), None, str(tmp_path / "lake")))
    assert told(watched, 1) == []
    deliver(watched, 2, "DescribeInstances")

    def fails(_storage: LocalStorage, path: str) -> None:
        raise StorageError(path, "no disk")

    with monkeypatch.context() as failing:
        failing.setattr(LocalStorage, "stat", fails)
        with pytest.raises(StorageError, match="no disk"):
            told(watched, 3)
    assert not list((tmp_path / "lake").rglob("*.parquet"))
    deliver(watched, 70, "DescribeInstances")
    assert told(watched, 76) == [("opened", True)]
