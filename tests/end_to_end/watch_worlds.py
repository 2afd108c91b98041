"""Watches in simulated time: a bucket that fills, the lake that a watch makes of it, and the clock between them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.config import load_config
from pipeline.lake import read_lake_whole
from pipeline.local_storage import LocalStorage
from pipeline.rule_files import load_rules
from pipeline.run import Opened
from pipeline.watch_cycle import Done
from pipeline.watch_state import WatchState
from pipeline.watcher import Watcher
from schemas.errors import ObjectVanished
from schemas.keys import parse_key
from schemas.objects import Bundle
from schemas.settings import Clock, Config, Settings
from schemas.storage import Fetched, Stat, Storage
from transforms.bundle_writer import BundleReport
from transforms.recent_listing import Pace


class Forgetful(msgspec.Struct):
    """A storage in memory that keeps what it is told to, and counts what it is asked."""

    root: str
    kept: tuple[str, ...] = ("",)
    files: dict[str, bytes] = {}
    written: int = 0
    asked: int = 0
    remote: bool = False

    def list(self, prefix: str = "", after: str = "") -> Iterator[Stat]:
        """What it kept."""
        self.asked += 1
        return (
            Stat(path, len(body), "e", 0)
            for path, body in self.files.items()
            if path.startswith(prefix) and path > after
        )

    def folders(self, prefix: str = "") -> Iterator[str]:
        """What comes up to the next slash."""
        self.asked += 1
        below = {path.removeprefix(prefix) for path in self.files if path.startswith(prefix)}
        return iter(sorted({rest.partition("/")[0] for rest in below if "/" in rest}))

    def stat(self, path: str) -> Stat:
        """What it kept, as it is listed."""
        if path not in self.files:
            raise ObjectVanished(f"{self.root}/{path}", "not kept")
        return Stat(path, len(self.files[path]), "e", 0)

    def read(self, path: str) -> Fetched:
        """What it kept."""
        self.asked += 1
        if path not in self.files:
            raise ObjectVanished(f"{self.root}/{path}", "not kept")
        return Fetched(self.files[path])

    def write(self, path: str, body: bytes | memoryview) -> None:
        """Keep what is to be kept."""
        self.written += 1
        if path.startswith(self.kept):
            self.files[path] = bytes(body)

    def delete(self, path: str) -> None:
        """No longer kept."""
        self.files.pop(path, None)


class NoHold:
    """A lake that nobody else wants."""

    def check(self) -> None:
        """It is ours."""


class Watched:
    """A folder that is filled by a test, its lake, and the watcher between them."""

    def __init__(self, top: Path, config: Config, *, lake: Storage | None = None, pace: Pace | None = None) -> None:
        self.source = top / "in"
        self.source.mkdir(parents=True, exist_ok=True)
        self.lake = lake or LocalStorage(str(top / "lake"))
        self.config = config
        settings = Settings("watch", (str(self.source),), self.lake.root, Clock(0, None), config)
        self.settings = settings
        self.opened = Opened((LocalStorage(str(self.source)),), load_rules(()), self.lake)
        self.pace = pace
        self.bundles: list[tuple[Bundle, BundleReport]] = []
        self.start()

    def start(self) -> None:
        """As a process that has just begun."""
        told = self.bundles
        self.watcher = Watcher(self.settings, self.opened, NoHold(), lambda *each: told.append(each), pace=self.pace)

    def cycle(self, at_us: int) -> Done | None:
        """One cycle."""
        return self.watcher.cycle(at_us)

    def read_again(self) -> WatchState:
        """What a watch would know that began now."""
        return WatchState(*read_lake_whole(self.lake, self.config), self.config)


def config_of(bucket: Path) -> Config:
    """The configuration of a simulated bucket."""
    return load_config((bucket / "trailcanary.toml").read_text(), str(bucket / "trailcanary.toml"))


def deliveries(bucket: Path) -> list[tuple[int, Path]]:
    """A simulated bucket's objects by delivery."""
    found = [(parse_key(str(path)).delivered_us, path) for path in bucket.rglob("*.json.gz")]
    return sorted((us, path) for us, path in found if us is not None)


def deliver(path: Path, bucket: Path, to: Path) -> None:
    """Put an object where it is watched, with the times that it has."""
    target = to / path.relative_to(bucket)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def same(one: WatchState, other: WatchState) -> bool:
    """Whether two states say the same of alerts, slots and the log path, and know as many objects."""
    return (
        one.slots.snapshot() == other.slots.snapshot()
        and one.of_canaries() == other.of_canaries()
        and len(one.objects) == len(other.objects)
        and one.path.facts == other.path.facts
        and one.path.findings == other.path.findings
        and one.calls.known == other.calls.known
    )
