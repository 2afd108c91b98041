"""A watch in simulated time: it says what one bounded run says, and knows what reading the lake again would say."""

from __future__ import annotations

import gc
import json
import random
import threading
from pathlib import Path

import pytest
from folders import ACCOUNT, REGION, ask, event, fill, log_key, packed, rows, simulated, slots
from watch_worlds import Forgetful, Watched, config_of, deliver, deliveries, same

from pipeline.alerts import read_alerts
from pipeline.heartbeat import Heartbeat
from pipeline.local_storage import LocalStorage
from pipeline.run import Opened, Outcome, run
from schemas.alerts import Alert
from schemas.canaries import Canary, Match
from schemas.errors import StorageError
from schemas.settings import Clock, Config, Settings
from schemas.times import DAY_US, MINUTE_US, format_us, parse_iso_us


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours with much going wrong."""
    attacks = ("drop-canary", "corrupt-objects", "stop-logging", "attempted-stop", "cancel-key-deletion", "lifecycle")
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


@pytest.mark.parametrize("failing", ["events/", "objects/", "alerts/", "canaries/verdicts", "runs/"])
def test_lake_that_fails_in_a_cycle(
    bucket: Path, until_us: int, at_once: tuple[Path, Outcome], tmp_path: Path, failing: str
) -> None:
    """Whatever write fails, the next cycles complete the lake, without anything twice."""
    watched, left, write = Watched(tmp_path, config_of(bucket)), deliveries(bucket), LocalStorage.write

    def refuse(storage: LocalStorage, path: str, body: bytes) -> None:
        if path.startswith(failing):
            raise StorageError(f"{storage.root}/{path}", "No space left on device")
        write(storage, path, body)

    early = len(left) * 3 // 4  # with the attacks, without their end
    for _, path in left[:early]:
        deliver(path, bucket, watched.source)
    with pytest.MonkeyPatch.context() as full:
        full.setattr(LocalStorage, "write", refuse)
        with pytest.raises(StorageError):
            watched.cycle(left[early][0])
    assert watched.watcher.state is None
    while watched.cycle(left[early][0]) is not None:
        assert watched.watcher.state is None or same(watched.watcher.state, watched.read_again())
    for _, path in left[early:]:
        deliver(path, bucket, watched.source)
    watched.cycle(until_us)
    lake = Path(watched.lake.root)
    assert told(read_alerts(watched.lake)) == told(list(at_once[1].alerts))
    assert slots(lake) == slots(at_once[0])
    assert ask(lake, "SELECT * FROM audit") == []
    sheets = [json.loads(path.read_bytes()) for path in lake.glob("runs/*.json")]
    assert all(not sheet.get("faults") for sheet in sheets)


def test_backlog_is_a_bounded_run(
    bucket: Path, until_us: int, at_once: tuple[Path, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is much goes through the graph; the next cycle knows what it did."""
    monkeypatch.setattr("pipeline.watcher.CATCH_UP_BYTES", 10_000)
    watched = Watched(tmp_path, config_of(bucket))
    for _, path in deliveries(bucket):
        deliver(path, bucket, watched.source)
    done = watched.cycle(until_us)
    assert done is not None
    assert (done.report.balance.objects_listed, done.bundles) == (len(deliveries(bucket)), ())
    assert watched.cycle(until_us + 1) is None
    assert told(list(done.alerts)) == told(list(at_once[1].alerts))


def test_lake_is_read_while_nobody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alert of the heartbeat is two files: between them a lake that is read would take the first for litter."""
    watched = Watched(tmp_path, Config(()))
    fill(watched.source, {log_key("a"): packed(event("a"))})
    write, finished = LocalStorage.write, threading.Event()

    def cycle() -> None:
        watched.cycle(START_US)
        finished.set()

    cycling = threading.Thread(target=cycle)

    def write_slowly(storage: LocalStorage, path: str, body: bytes) -> None:
        write(storage, path, body)
        if path.startswith("alerts/") and path.endswith(".avro"):
            cycling.start()
            assert not finished.wait(0.5)

    def nothing(*_: object) -> None:
        pass

    heart = Heartbeat(
        watched.lake, "watch", limit_us=0, clock=lambda: START_US, raised=nothing, failed=nothing,
        lock=watched.watcher.quiet,
    )  # fmt: skip
    with monkeypatch.context() as slow:
        slow.setattr(LocalStorage, "write", write_slowly)
        heart.check()
        cycling.join()
    assert heart.is_stalled
    assert sorted(path.suffix for path in (tmp_path / "lake" / "alerts").iterdir()) == [".avro", ".jsonl"]


def test_clock_that_is_set_back(bucket: Path, tmp_path: Path) -> None:
    """Verdicts are never judged as of a time before the last."""
    watched, left = Watched(tmp_path, config_of(bucket)), deliveries(bucket)
    for _, path in left[:20]:
        deliver(path, bucket, watched.source)
    first = watched.cycle(left[20][0])
    deliver(left[20][1], bucket, watched.source)
    second = watched.cycle(left[0][0])
    assert first is not None
    assert second is not None
    assert first.report.as_of is not None
    assert second.report.as_of is not None
    assert parse_iso_us(second.report.as_of) > parse_iso_us(first.report.as_of)


START_US = parse_iso_us("2026-11-01T00:00:00Z")
HOURLY = Canary(
    "dry-run", (ACCOUNT,), (REGION,), 60 * MINUTE_US, 15 * MINUTE_US, None, (Match("event_name", ("RunInstances",)),)
)


def sing(source: Forgetful, now_us: int) -> None:
    """Deliver a canary's call; what is older than three days is expired from the bucket."""
    at = format_us(now_us - 4 * MINUTE_US)
    stamp = format_us(now_us)[:16].replace("-", "").replace(":", "") + "Z"
    call = event(f"c-{at}", at=at, eventName="RunInstances", errorCode="Client.UnauthorizedOperation")
    source.files[log_key("a", stamp)] = packed(call, event(f"x-{at}", at=at))
    if len(source.files) > 3 * 24:
        del source.files[next(iter(source.files))]


def resident_bytes() -> int:
    """What this process has of the machine's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_a_week(tmp_path: Path) -> None:
    """Memory stays flat, an idle look writes nothing, and no cycle reads or lists the lake again."""
    source, lake = Forgetful("mem://in", files={}), Forgetful("mem://lake", kept=("no such",), files={})
    watched = Watched(tmp_path, Config((HOURLY,)), lake=lake)
    watched.opened = Opened((source,), watched.opened.rules, lake)
    watched.start()
    sizes = []
    for hour in range(1, 7 * 24 + 1):
        now_us = START_US + hour * 60 * MINUTE_US
        sing(source, now_us)
        assert watched.cycle(now_us) is not None
        due = [watched.cycle(now_us + minutes * MINUTE_US) is not None for minutes in range(5, 60, 5)]
        assert due == [hour > 1 and minutes == 15 for minutes in range(5, 60, 5)]
        written = lake.written
        assert watched.cycle(now_us + 59 * MINUTE_US) is None
        assert lake.written == written
        if hour == 2:  # by then there are files of each kind
            asked = lake.asked
        if hour % 24 == 0:
            watched.bundles.clear()
            gc.collect()
            sizes.append((resident_bytes(), len(gc.get_objects())))
    assert lake.asked == asked
    assert sizes[-1][0] - sizes[2][0] < 4_000_000
    assert sizes[-1][1] - sizes[2][1] < 2_000
    assert watched.watcher.state is not None
    assert len(watched.watcher.state.objects) == 7 * 24
    judged, heard = watched.watcher.state.slots.snapshot()
    assert (len(judged), len(heard.sightings), len(heard.pulses)) == (1, 0, 1)
    assert lake.files == {}
    assert now_us == START_US + 7 * DAY_US
