"""A watch in simulated time: it says what one bounded run says, and knows what reading the lake again would say."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from folders import ask, rows, simulated, slots
from watch_worlds import Watched, config_of, deliver, deliveries, same

from pipeline.alerts import read_alerts
from pipeline.run import Outcome, run
from schemas.alerts import Alert
from schemas.settings import Clock, Settings
from schemas.times import MINUTE_US


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours with much going wrong."""
    attacks = ("drop-canary", "corrupt-objects", "stop-logging", "attempted-stop")
    return simulated(tmp_path_factory.mktemp("watched") / "bucket", *attacks, rate=100)


@pytest.fixture(scope="module")
def until_us(bucket: Path) -> int:
    """When the last canary of the bucket was due."""
    return deliveries(bucket)[-1][0] + 40 * MINUTE_US


@pytest.fixture(scope="module")
def at_once(bucket: Path, until_us: int, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """What a bounded run makes of the bucket."""
    lake = tmp_path_factory.mktemp("at-once") / "lake"
    settings = Settings("run", (str(bucket),), str(lake), Clock(until_us, until_us), config_of(bucket))
    return lake, run(settings)


def told(alerts: list[Alert]) -> list[tuple[object, ...]]:
    """What alerts say, but for what depends on which copy of an event, or which of many objects, came first."""
    said = ((each.alert_id, each.incident_id, each.kind, each.severity, each.window_start_us) for each in alerts)
    return sorted(each[:4] if each[2] == "ingest.unreadable" else each for each in said)


@pytest.mark.parametrize("seed", [1, 2])
def test_watch_says_what_a_run_says(
    bucket: Path, until_us: int, at_once: tuple[Path, Outcome], tmp_path: Path, seed: int
) -> None:
    """However the deliveries fall into cycles, whenever it is started anew, and after each cycle it knows the lake."""
    watched, chance = Watched(tmp_path, config_of(bucket)), random.Random(seed)  # noqa: S311 - no secret
    left = deliveries(bucket)
    now_us = left[0][0]
    while now_us < until_us:
        now_us = min(until_us, now_us + chance.randrange(1, 15 * 60) * 1_000_000)
        while left and left[0][0] <= now_us:
            deliver(left.pop(0)[1], bucket, watched.source)
        watched.cycle(now_us)
        assert watched.watcher.state is not None
        assert same(watched.watcher.state, watched.read_again())
        if chance.random() < 0.1:
            watched.start()
    assert watched.cycle(now_us + 1) is None
    lake, outcome = Path(watched.lake.root), at_once[1]
    assert len(outcome.alerts) > 5
    assert told(read_alerts(watched.lake)) == told(list(outcome.alerts))
    assert slots(lake) == slots(at_once[0])
    assert {row["event_id"] for row in rows(lake)} == {row["event_id"] for row in rows(at_once[0])}
    assert ask(lake, "SELECT * FROM audit") == []
