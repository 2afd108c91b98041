"""The heartbeat of a watch: raised once when no cycle is completed, resolved by the next, whatever hangs or fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.alerts import read_alerts
from pipeline.heartbeat import Heartbeat
from pipeline.local_storage import LocalStorage
from schemas.alerts import Alert, Status
from schemas.errors import StorageError
from schemas.times import MINUTE_US, SECOND_US, parse_iso_us
from transforms.tally import TALLY

START_US = parse_iso_us("2026-11-20T12:00:00Z")


class Beating:
    """A heartbeat with a clock that a test sets."""

    def __init__(self, folder: Path) -> None:
        self.now_us = START_US
        self.lake = LocalStorage(str(folder))
        self.raised: list[Alert] = []
        self.failed: list[StorageError] = []
        self.heart = self.begin()

    def begin(self) -> Heartbeat:
        """As in a process that has just begun."""
        return Heartbeat(
            self.lake,
            "watch-1",
            limit_us=MINUTE_US,
            clock=lambda: self.now_us,
            raised=self.raised.append,
            failed=self.failed.append,
        )

    def check_at(self, seconds: int) -> None:
        """Look so long after the start."""
        self.now_us = START_US + seconds * SECOND_US
        self.heart.check()

    def told(self) -> list[tuple[str, Status]]:
        """What the lake has."""
        alerts = sorted(read_alerts(self.lake), key=lambda alert: alert.status.value)
        return [(alert.kind, alert.status) for alert in alerts]


@pytest.fixture
def beating(tmp_path: Path) -> Beating:
    """A heartbeat at the start of a watch."""
    return Beating(tmp_path)


def test_raised_once_and_resolved(beating: Beating) -> None:
    """A limit without a completed cycle is one alert, however long it goes on; the next cycle resolves it."""
    beating.check_at(59)
    assert beating.told() == []
    for seconds in (60, 61, 4000):
        beating.check_at(seconds)
    assert beating.told() == [("ingest.stalled", Status.OPENED)]
    assert beating.heart.is_stalled
    (alert,) = beating.raised
    assert (alert.window_start_us, alert.detected_us) == (START_US, START_US + MINUTE_US)
    written = beating.heart.completed(beating.now_us)
    assert [each.status for each in written] == [Status.OPENED, Status.RESOLVED]
    assert written[1].title == "A cycle was completed again after 1h 6m"
    assert beating.told() == [("ingest.stalled", Status.OPENED), ("ingest.stalled", Status.RESOLVED)]
    assert not beating.heart.is_stalled
    assert beating.heart.completed(beating.now_us + 1) == []


def test_raised_again_for_another_time(beating: Beating) -> None:
    """Each time has an incident of its own, counted from the last completed cycle."""
    beating.check_at(60)
    beating.heart.completed(beating.now_us)
    beating.check_at(119)
    beating.check_at(120)
    opened = [alert for alert in beating.raised if alert.status is Status.OPENED]
    assert [alert.window_start_us for alert in opened] == [START_US, START_US + MINUTE_US]
    assert len({alert.incident_id for alert in opened}) == 2


def test_left_open_by_an_earlier_process(beating: Beating) -> None:
    """The first cycle of the next process resolves it."""
    beating.check_at(60)
    left = read_alerts(beating.lake)
    beating.heart = beating.begin()
    beating.heart.completed(beating.now_us, left)
    assert beating.told() == [("ingest.stalled", Status.OPENED), ("ingest.stalled", Status.RESOLVED)]


def test_reading_is_life(beating: Beating, monkeypatch: pytest.MonkeyPatch) -> None:
    """While objects are read, nothing is stalled, however long the cycle takes."""
    monkeypatch.setattr(type(TALLY), "counts", property(lambda _: (beating.now_us, 0, 0)))
    for seconds in (60, 600, 6000):
        beating.check_at(seconds)
    monkeypatch.setattr(type(TALLY), "counts", property(lambda _: (START_US + 6000 * SECOND_US, 0, 0)))
    beating.check_at(6059)
    assert beating.raised == []
    beating.check_at(6060)
    assert len(beating.raised) == 1


def test_lake_that_fails_is_tried_again(beating: Beating, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alert that could not be written is written later, and so is its end."""

    def refuse(_storage: LocalStorage, path: str, _body: bytes) -> None:
        raise StorageError(path, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(LocalStorage, "write", refuse)
        beating.check_at(60)
        assert (len(beating.failed), beating.raised) == (1, [])
    beating.check_at(65)
    with monkeypatch.context() as full:
        full.setattr(LocalStorage, "write", refuse)
        with pytest.raises(StorageError):
            beating.heart.completed(beating.now_us)
    beating.heart.completed(beating.now_us)
    assert beating.told() == [("ingest.stalled", Status.OPENED), ("ingest.stalled", Status.RESOLVED)]
