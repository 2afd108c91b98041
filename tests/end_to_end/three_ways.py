"""Three ways through a story of deliveries, looks and deaths: a run at the end, a watch, and a stream.

A process dies at a change that it makes to its lake: that one and all that it would make afterwards fail, and what it
had in memory is gone. The next life begins with the lake.
"""

from __future__ import annotations

import contextlib
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
from three_hours import CONFIG, END_US, START_US
from watch_worlds import NoHold

from pipeline import intake as intake_module
from pipeline.graph import Plan
from pipeline.intake import LakeIntake
from pipeline.lake import read_lake
from pipeline.local_storage import LocalStorage
from pipeline.run import Opened, load_rules, run_held
from pipeline.stream_graph import StreamPlan, build_stream
from pipeline.watcher import Watcher
from schemas.settings import Clock, Settings
from schemas.storage import Fetched, Stat
from transforms.intake import TICKS, offered_of, tick_of


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
            yield from offered_of(taken.entry, look.before_us, again=taken.again)
