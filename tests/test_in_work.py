"""Which bundles of a stream are in work, and what it costs to know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.committed import part_path
from pipeline.in_work import MERGED_AFTER_US, InWork
from schemas.errors import ObjectVanished
from schemas.intake import Entry
from schemas.keys import Kind
from schemas.objects import ObjectRef
from schemas.storage import Fetched, Stat

TAKEN_US = 10**15


class Lake:
    """Parts of a ledger, and what is asked of them."""

    root = "s3://lake"
    remote = False

    def __init__(self) -> None:
        self.parts: set[str] = set()
        self.asked: list[str] = []

    def stat(self, path: str) -> Stat:
        """One part."""
        self.asked.append(path)
        if path not in self.parts:
            raise ObjectVanished(path, "404")
        return Stat(path, 1, "e", 0)

    def read(self, path: str) -> Fetched:
        """None is there that is read."""
        self.asked.append(f"read {path}")
        raise ObjectVanished(path, "404")

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Nothing was merged."""
        self.asked.append(prefix)
        return iter(())


def entry_of(number: int, *names: str, bundle_bytes: int = 1) -> Entry:
    """Objects, each a bundle of its own."""
    refs = tuple(ObjectRef("s3://logs", name, 1, f"{number}", 0, Kind.LOG, None, None, 0) for name in names)
    return Entry(number, TAKEN_US, bundle_bytes, refs)


def test_a_bundle_is_asked_for_once_a_look_and_no_more_once_it_is_committed() -> None:
    """With one request, as long as it cannot have been merged."""
    lake: Any = Lake()
    work, entry = InWork(lake), entry_of(1, "a", "b", "c", bundle_bytes=2)
    work.add(entry)
    first, second = entry.bundles()
    assert [len(bundle.refs) for bundle in (first, second)] == [2, 1]
    done = work.is_done(TAKEN_US)
    assert [done(f"s3://logs/{name}") for name in "aabcx"] == [False, False, False, False, True]
    assert lake.asked == [part_path(first), part_path(second)]
    lake.parts.add(part_path(first))
    lake.asked.clear()
    for _ in range(2):
        done = work.is_done(TAKEN_US)
        assert [done(f"s3://logs/{name}") for name in "abc"] == [True, True, False]
    assert lake.asked == [part_path(first), part_path(second), part_path(second)]
    assert ("s3://logs/a" in work, "s3://logs/c" in work) == (False, True)


def test_an_old_bundle_may_have_been_merged() -> None:
    """That takes more requests."""
    lake: Any = Lake()
    work, entry = InWork(lake), entry_of(1, "a")
    work.add(entry)
    assert not work.is_done(TAKEN_US + MERGED_AFTER_US)("s3://logs/a")
    path = part_path(entry.bundles()[0])
    assert lake.asked[:3] == [path, f"read {path}", "compactions/"]


def test_an_entry_is_finished_with_all_of_its_bundles() -> None:
    """A newer version of an object is in work for itself."""
    lake: Any = Lake()
    work, entry, newer = InWork(lake), entry_of(1, "a", "b"), entry_of(2, "a")
    work.add(entry)
    lake.parts.add(part_path(entry.bundles()[0]))
    assert not work.finish(entry)
    lake.parts.add(part_path(entry.bundles()[1]))
    work.add(newer)
    assert work.finish(entry)
    assert ("s3://logs/a" in work, "s3://logs/b" in work) == (True, False)
