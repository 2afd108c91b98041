"""Three hours of two accounts, delivered in any order, and three ways through them that may be killed anywhere.

A process dies at a change that it makes to its lake: that one and all that it would make afterwards fail, and what it
had in memory is gone. The next life begins with the lake.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import msgspec
import pytest
from apache_beam.coders import PickleCoder
from apache_beam.testing import test_stream
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from direct_runner import direct_runner
from folders import REGION, event, log_key, packed
from watch_worlds import NoHold

from pipeline import intake as intake_module
from pipeline.graph import Plan
from pipeline.intake import LakeIntake
from pipeline.lake import read_lake
from pipeline.local_storage import LocalStorage
from pipeline.run import Opened, load_rules, run_held
from pipeline.stream_graph import StreamPlan, build_stream
from pipeline.watcher import Watcher
from schemas.canaries import Canary, Match
from schemas.intake import Offered
from schemas.keys import parse_key
from schemas.settings import Clock, Config, Settings
from schemas.storage import Fetched, Stat
from schemas.times import MINUTE_US, format_us, parse_iso_us
from schemas.trails import LogPath, Trail
from transforms.intake import TICKS, tick_of

START_US = parse_iso_us("2026-11-01T00:00:00Z")
END_US = START_US + 215 * MINUTE_US
A, B = "111122223333", "444455556666"
SONG = Canary(
    "song", (A, B), (REGION,), 30 * MINUTE_US, 20 * MINUTE_US, START_US, (Match("event_name", ("RunInstances",)),)
)
DRUM = Canary("drum", (B,), (REGION,), 60 * MINUTE_US, 30 * MINUTE_US, None, (Match("event_name", ("GetKey*",)),))
CONFIG = Config((SONG, DRUM), LogPath((Trail("org-trail", A, REGION, "logs"),)))


def at_us(minutes: float) -> int:
    """Minutes after the start."""
    return START_US + int(minutes * MINUTE_US)


def _call(account: str, name: str, minute: int, **members: Any) -> dict[str, Any]:
    return event(
        f"{account[:4]}-{name}-{minute}",
        format_us(at_us(minute)),
        eventName=name,
        recipientAccountId=account,
        **members,
    )


def _song(account: str, minute: int) -> dict[str, Any]:
    return _call(account, "RunInstances", minute, errorCode="Client.UnauthorizedOperation")


def _drum(minute: int) -> dict[str, Any]:
    return _call(B, "GetKeyPolicy", minute, errorCode="AccessDenied")


def _trail(account: str, name: str, minute: int, **members: Any) -> dict[str, Any]:
    source = {"eventSource": "cloudtrail.amazonaws.com", "requestParameters": {"name": "org-trail"}, "readOnly": False}
    return _call(account, name, minute, **source, **members)


_HEARD = {
    (A, 17): [_song(A, 5)],
    (A, 32): [{key: value for key, value in _call(A, "ListKeys", 20).items() if key != "eventID"}],
    (A, 62): [_song(A, 35)],
    (A, 77): [_song(A, 65)],
    (A, 107): [_song(A, 95), _trail(A, "StopLogging", 100)],
    (B, 24): [_song(B, 10)],
    (B, 39): [_drum(30)],
    (B, 54): [7],
    (B, 69): [_trail(B, "StopLogging", minute, errorCode="AccessDenied") for minute in (55, 57)],
    (B, 84): [_song(B, 70), _trail(B, "StopLogging", 82, errorCode="AccessDenied")],
    (B, 114): [_song(B, 100), _drum(110)],
    (B, 159): [_song(B, 130), _drum(150)],
    (B, 174): [_song(B, 160)],
}
"""What matters of what is delivered, by account and minute: A is silenced, and one record of B is none."""

_CUT = (B, 114)
_COPIES = {(A, 107): 109, (B, 84): 99, (B, 159): 161}
_HELD = {(B, 85): [_song(B, 40)]}


def _objects() -> Iterator[tuple[str, bytes]]:
    for account, first, last in ((A, 2, 107), (B, 9, 204)):
        for minute in range(first, last + 1, 15):
            records = [_call(account, "DescribeInstances", minute - 5), *_HEARD.get((account, minute), ())]
            body = packed(*records)
            yield _key(account, minute, "a"), body[:-9] if (account, minute) == _CUT else body
            if (account, minute) in _COPIES:
                yield _key(account, _COPIES[account, minute], "copy"), body
    for (account, minute), records in _HELD.items():
        yield _key(account, minute, "held"), packed(*records)
    yield "README.md", b"no log"


def _key(account: str, minute: int, unique: str) -> str:
    stamp = format_us(at_us(minute))[:16].replace("-", "").replace(":", "") + "Z"
    return log_key(unique, stamp, account)


OBJECTS = len(list(_objects()))
COPIED_KEYS = frozenset(
    _key(account, minute, unique)
    for (account, first), second in _COPIES.items()
    for minute, unique in ((first, "a"), (second, "copy"))
)


class Parcel(NamedTuple):
    """An object, when it is delivered, and until when at the latest it is visible if nobody is to notice."""

    path: str
    delivered_us: int
    latest_us: int
    may_straggle: bool


def fill_bucket(folder: Path) -> list[Parcel]:
    """Write all objects; return them by delivery."""
    parcels = []
    for path, body in _objects():
        delivered_us = parse_key(path).delivered_us or at_us(20)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
        os.utime(target, ns=(delivered_us * 1000, delivered_us * 1000))
        parcels.append(Parcel(path, delivered_us, _next_deadline_us(delivered_us), _may_straggle(path)))
    return sorted(parcels, key=lambda parcel: parcel.delivered_us)


def _next_deadline_us(us: int) -> int:
    """Who sees an object by then has judged no slot without it."""
    slots = (range(each.last_slot_due(us), each.last_slot_due(us) + 3) for each in CONFIG.canaries)
    deadlines = zip(CONFIG.canaries, slots, strict=True)
    found = [each.deadline_us(slot) for each, some in deadlines for slot in some if each.deadline_us(slot) >= us]
    return min(END_US, *found)


def _may_straggle(path: str) -> bool:
    """A first delivery begins a canary without a `since`, and what cannot be read casts doubt: for once and all."""
    return path.endswith(".gz") and path not in {_key(A, 2, "a"), _key(*_CUT, "a")}


class _Time:
    """What time it is, for all of a process."""

    now_us = START_US


def now_us() -> int:
    """The time of the simulation."""
    return _Time.now_us


class Arriving(msgspec.Struct, frozen=True):
    """A full folder of which nothing is visible before its time."""

    root: str
    visible_us: Mapping[str, int]
    remote: bool = False

    def list(self, prefix: str = "", after: str = "") -> Iterator[Stat]:
        """What is visible by now."""
        listed = LocalStorage(self.root).list(prefix, after)
        return (stat for stat in listed if self.visible_us[stat.path] <= now_us())

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Folders that hold something visible."""
        below = (stat.path.removeprefix(prefix) for stat in self.list(prefix))
        return iter(sorted({rest.partition("/")[0] for rest in below if "/" in rest}))

    def read(self, path: str) -> Fetched:
        """As the folder has it."""
        return LocalStorage(self.root).read(path)


class Death(NamedTuple):
    """A life ends at its `change`-th change of the lake, counted from 1; the next begins so much later."""

    change: int
    pause_us: int


class Killed(Exception):
    """The process is no more."""


class _Life:
    changes = 0
    is_over = False


@contextlib.contextmanager
def mortal(lake: LocalStorage, death: Death | None) -> Iterator[_Life]:
    """A life, which an exception ends; that one alone is swallowed."""
    life, write, delete = _Life(), LocalStorage.write, LocalStorage.delete

    def count(storage: LocalStorage) -> None:
        if storage.root == lake.root:
            life.changes += 1
            life.is_over = life.is_over or (death is not None and life.changes >= death.change)
        if life.is_over:
            raise Killed

    def counted_write(storage: LocalStorage, path: str, body: bytes | memoryview) -> None:
        count(storage)
        write(storage, path, body)

    def counted_delete(storage: LocalStorage, path: str) -> None:
        count(storage)
        delete(storage, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalStorage, "write", counted_write)
        patch.setattr(LocalStorage, "delete", counted_delete)
        try:
            yield life
        except (Killed, RuntimeError):  # Beam makes a RuntimeError of everything
            if not life.is_over:
                raise


class Story(NamedTuple):
    """When what is visible, when somebody looks, and who dies when."""

    visible_us: Mapping[str, int]
    looks_us: Sequence[int]
    deaths: Sequence[Death]


class Way:
    """One way through the story, and the lake that it makes."""

    def __init__(self, bucket: Path, lake: Path, story: Story) -> None:
        self.source = Arriving(str(bucket), story.visible_us)
        self.lake = LocalStorage(str(lake))
        self.looks_us = story.looks_us
        self.deaths = story.deaths
        self.opened = Opened((self.source,), load_rules(()), self.lake)
        _Time.now_us = START_US

    def settings(self, name: str) -> Settings:
        """What every way is told."""
        return Settings(name, (self.source.root,), self.lake.root, Clock(now_us(), now_us()), CONFIG)

    def live(self) -> None:
        """Life after life, until one is not killed."""
        lake_root = Path(self.lake.root)
        lake_root.mkdir()
        for number, death in enumerate([*self.deaths, None]):
            with mortal(self.lake, death) as life:
                self.one_life(number)
            if not life.is_over:
                return
            pause_us = 0 if death is None else death.pause_us
            _Time.now_us = max(now_us(), min(now_us() + pause_us, END_US))

    def left_us(self) -> list[int]:
        """Looks to come: the first at once, the last at the end."""
        return [now_us(), *(at for at in self.looks_us if now_us() < at < END_US), max(now_us(), END_US)]

    def one_life(self, number: int) -> None:
        """All that is left to do."""
        raise NotImplementedError


class Bounded(Way):
    """One run at the end."""

    def one_life(self, number: int) -> None:
        """A run."""
        _Time.now_us = END_US + number
        run_held(self.settings(f"run-{number}"), self.opened, ("--runner=FnApiRunner",))


class Watching(Way):
    """A watch that looks now and then."""

    def one_life(self, number: int) -> None:
        """Cycles until the end, and until there is nothing left to do then."""
        watcher = Watcher(self.settings(f"watch-{number}"), self.opened, NoHold(), lambda *_: None)
        for _Time.now_us in self.left_us():
            watcher.cycle(now_us())
        while watcher.cycle(now_us()) is not None:
            pass


class Pace(NamedTuple):
    """How a stream takes things in (`LakeIntake`)."""

    every_us: int
    flush_us: int
    bundle_bytes: int


class _Look(NamedTuple):
    number: int
    at_us: int
    before_us: int | None
    complete_us: int


class Streaming(Way):
    """A stream whose source looks when the runner's clock says so. After a death it is submitted anew."""

    def __init__(self, bucket: Path, lake: Path, story: Story, pace: Pace) -> None:
        super().__init__(bucket, lake, story)
        self.pace = pace

    def one_life(self, number: int) -> None:
        """A submission."""
        stream_id = f"stream-{number}"
        try:
            plan = Plan(
                self.settings(stream_id), (self.source,), self.lake, self.opened.rules, read_lake(self.lake, CONFIG)
            )
            looks = self._rehearsed(stream_id)
            with direct_runner() as options, beam.Pipeline(options=options) as pipeline:
                build_stream(pipeline, StreamPlan(plan, _Played(self._intake(self.lake, stream_id), looks)))
        finally:
            _forget_lookers()

    def _intake(self, lake: LocalStorage, stream_id: str) -> LakeIntake:
        every_us, flush_us, bundle_bytes = self.pace
        return LakeIntake((self.source,), lake, stream_id, bundle_bytes, every_us, flush_us, None, now_us)

    def _rehearsed(self, stream_id: str) -> list[_Look]:
        """How the clock will go: a test stream must know before it begins. Done with a copy of the lake."""
        copy = LocalStorage(f"{self.lake.root}-{stream_id}")
        shutil.copytree(self.lake.root, copy.root)
        intake, began_us, looks = self._intake(copy, stream_id), now_us(), list[_Look]()
        times = iter([*self.left_us(), max(now_us(), END_US) + max(self.pace[:2])])
        number, before_us = 0, None
        _Time.now_us = next(times)
        while True:
            taken = intake.look(number)
            complete_us = max(taken.complete_us, before_us or 0)
            looks.append(_Look(number, now_us(), before_us, complete_us))
            number, before_us = taken.number + 1, complete_us or None
            if not taken.again:
                later_us = next(times, None)
                if later_us is None:
                    break
                _Time.now_us = later_us
        _forget_lookers()
        _Time.now_us = began_us
        return looks


def _forget_lookers() -> None:
    """What the death of the process that looks leaves: nothing."""
    for looker in intake_module._LOOKERS.values():
        with contextlib.suppress(Killed):
            looker.close()
    intake_module._LOOKERS.clear()


class _Played(beam.PTransform):
    """Looks in the place of `TakeIn`, whose pace is the wall clock's."""

    def __init__(self, intake: LakeIntake, looks: Sequence[_Look]) -> None:
        super().__init__()
        self._intake = intake
        self._looks = looks

    def expand(self, root: beam.pvalue.PBegin) -> Any:
        stream = test_stream.TestStream(coder=PickleCoder())
        for look in self._looks:
            stream = stream.add_elements([TimestampedValue(look, Timestamp(micros=look.before_us or 0))])
            if look.complete_us > (look.before_us or 0):
                stream = stream.advance_watermark_to(Timestamp(micros=look.complete_us))
        looks = root | stream.advance_watermark_to_infinity()
        return looks | beam.ParDo(_LookNow(self._intake)).with_outputs(TICKS, main="bundles")


class _LookNow(beam.DoFn):
    def __init__(self, intake: LakeIntake) -> None:
        self._intake = intake

    def process(self, look: _Look) -> Iterator[Any]:
        _Time.now_us = look.at_us
        taken = self._intake.look(look.number)
        assert max(taken.complete_us, look.before_us or 0) == look.complete_us
        if look.complete_us:
            tick = TimestampedValue(tick_of(taken, look.before_us), Timestamp(micros=look.complete_us))
            yield beam.pvalue.TaggedOutput(TICKS, tick)
        if taken.entry is not None:
            taken_at = Timestamp(micros=taken.entry.taken_us)
            yield from (TimestampedValue(Offered(bundle, taken.again), taken_at) for bundle in taken.entry.bundles())
