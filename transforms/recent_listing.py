"""Listing again and again what may be new, without listing years of keys each time.

CloudTrail delivers below the date: once an input has been listed as a whole, a look lists each account's and region's
last days only. What lies elsewhere, or is older, is found by the next complete listing.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from schemas.keys import DATED_FOLDERS, DatedKey, Kind, dated_key, is_account, is_region, parse_key
from schemas.objects import ObjectRef
from schemas.storage import Stat, Storage
from schemas.times import DAY_US, HOUR_US, MINUTE_US, format_us
from transforms.object_index import ObjectIndex
from transforms.objects import Listing, ref_of
from transforms.unicode_text import encodable

_AT_ONCE = 10_000
_SIDE_BY_SIDE = 16
_NAMES_KEPT = 20
_T = TypeVar("_T")


class Pace(msgspec.Struct, frozen=True):
    """How much is listed how often.

    A look covers the last `look_back_us` by the date in the key, counted from now or from the newest date there. The
    next complete listing is due so long after one that it takes a small share of the time, and of the money: a folder
    of 10,000 files after a second, a bucket of 1,000 objects (one request) after a minute, the largest after
    `longest_us`. New accounts and regions of a bucket are looked for every `discover_us`, of a folder in each look.
    """

    look_back_us: int = 2 * DAY_US
    discover_us: int = 5 * MINUTE_US
    longest_us: int = HOUR_US
    folder_object_us: int = 100
    bucket_object_us: int = 60_000


class RecentListing:
    """The inputs, and what is known of how objects lie in them. Not for two threads."""

    def __init__(self, inputs: Sequence[Storage], index: ObjectIndex, pace: Pace | None = None) -> None:
        self._index = index
        self._pace = pace or Pace()
        self._trees = [_Trees(storage) for storage in _outermost(inputs)]
        self._complete_due_us = self._discovery_due_us = 0

    def look(self, now_us: int, *, thorough: bool = False) -> tuple[Listing, list[ObjectRef]]:
        """List what may be new by now; return the objects that the index does not know, in order of delivery.

        A `thorough` look misses no log object that CloudTrail had delivered by `now_us`: silence may be judged after
        one. The listing counts what was listed this time; kinds, sizes and times are those of the new objects.

        Raises:
            StorageError: an input could not be listed; the next look lists everything.
        """
        sieve = _Sieve(self._index)
        complete = now_us >= self._complete_due_us or (thorough and any(trees.odd for trees in self._trees))
        due_us, self._complete_due_us = self._complete_due_us, 0
        if complete:
            due_us = now_us + self._list_all(sieve)
            self._discovery_due_us = now_us + self._pace.discover_us
        else:
            self._list_recent(sieve, now_us, thorough=thorough)
        self._complete_due_us = due_us
        return sieve.found()

    def sift(self, refs: Iterable[ObjectRef]) -> tuple[Listing, list[ObjectRef]]:
        """The same for objects that somebody has named."""
        sieve = _Sieve(self._index)
        for ref in refs:
            sieve.take(ref.root, [Stat(ref.path, ref.size, ref.etag, ref.modified_us)])
        return sieve.found()

    def _list_all(self, sieve: _Sieve) -> int:
        """List everything; return for how long that will do."""
        length_us = 0
        for trees in self._trees:
            before = sieve.objects
            odd = False
            for some in _batches(trees.storage.list()):
                odd = trees.learn(some) or odd
                sieve.take(trees.storage.root, some)
            trees.odd = odd
            each_us = self._pace.bucket_object_us if trees.storage.remote else self._pace.folder_object_us
            length_us += (sieve.objects - before) * each_us
        return min(length_us, self._pace.longest_us)

    def _list_recent(self, sieve: _Sieve, now_us: int, *, thorough: bool) -> None:
        discovering = thorough or now_us >= self._discovery_due_us
        for trees in self._trees:
            if discovering or not trees.storage.remote:
                trees.discover()
            for some in trees.recent(now_us, self._pace.look_back_us):
                trees.learn(some)
                sieve.take(trees.storage.root, some)
        if discovering:
            self._discovery_due_us = now_us + self._pace.discover_us


class _Trees:
    """One input's trees of dates. All names are full ones, with the input's root."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.odd = False
        """Whether there are log objects outside of all trees."""
        self._newest: dict[str, str] = {}
        self._logs: set[str] = set()
        self._memo: tuple[str, DatedKey | None] = ("", None)

    def learn(self, stats: Iterable[Stat]) -> bool:
        """Note the trees that these objects lie in; whether a log object lies in none."""
        odd = False
        for stat in stats:
            key = self._dated(stat.path)
            if key is None:
                odd = odd or parse_key(stat.path).kind.holds_records
            elif key.date > self._newest.get(key.tree, ""):
                self._newest[key.tree] = key.date
                self._logs.add(key.logs)
        return odd

    def discover(self) -> None:
        """Find trees that were not there before. Raises StorageError."""
        for logs in sorted(self._logs):
            names = list(self._folders(logs))
            self._logs.update(f"{logs}{name}/" for name in names if name.startswith("o-"))
            accounts = [f"{logs}{name}/" for name in names if is_account(name)]
            for regions in self._side_by_side(self._regions, accounts):
                for tree in regions:
                    self._newest.setdefault(tree, "")

    def recent(self, now_us: int, look_back_us: int) -> Iterator[list[Stat]]:
        """Objects of the last days of each tree; all of a tree that was not listed before. Raises StorageError."""
        oldest = format_us(now_us - look_back_us)[:10].replace("-", "/")

        def stats(tree: str) -> list[Stat]:
            after = min(_days_before(self._newest[tree], look_back_us), oldest)
            return list(self.storage.list(self._below(tree), self._below(tree + after)))

        yield from self._side_by_side(stats, list(self._newest))

    def _regions(self, account: str) -> list[str]:
        kinds = [name for name in self._folders(account) if name in DATED_FOLDERS]
        folders = [f"{account}{kind}/" for kind in kinds]
        return [f"{folder}{name}/" for folder in folders for name in self._folders(folder) if is_region(name)]

    def _folders(self, folder: str) -> Iterator[str]:
        """None for a folder above the input: what else lies in it is not ours."""
        below = self._below(folder)
        return self.storage.folders(below) if below or folder == f"{self.storage.root}/" else iter(())

    def _below(self, name: str) -> str:
        """The path below the root; empty for the root, and for what lies above it."""
        return name.removeprefix(f"{self.storage.root}/") if name.startswith(f"{self.storage.root}/") else ""

    def _dated(self, path: str) -> DatedKey | None:
        """Objects of one folder come one after the other."""
        folder = path.rpartition("/")[0]
        if folder != self._memo[0] or not folder:
            self._memo = (folder, dated_key(f"{self.storage.root}/{path}"))
        return self._memo[1]

    def _side_by_side(self, do: Callable[[str], _T], names: Sequence[str]) -> Iterator[_T]:
        if not self.storage.remote or len(names) < 2:
            yield from map(do, names)
            return
        with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="list") as threads:
            yield from threads.map(do, names)


class _Sieve:
    """Counts what is listed, and keeps what is new."""

    def __init__(self, index: ObjectIndex) -> None:
        self.objects = 0
        self._index = index
        self._known = 0
        self._new: dict[str, ObjectRef] = {}

    def take(self, root: str, stats: Sequence[Stat]) -> None:
        uris = [encodable(f"{root}/{stat.path}") for stat in stats]
        known = self._index.known((uri, stat.etag, stat.size) for uri, stat in zip(uris, stats, strict=True))
        new = {uri: stat for uri, stat, there in zip(uris, stats, known, strict=True) if not there}
        replaced = self._index.replaced(list(new))
        self.objects += len(stats)
        self._known += sum(known)
        self._new.update((uri, ref_of(root, stat, replaced.get(uri))) for uri, stat in new.items())

    def found(self) -> tuple[Listing, list[ObjectRef]]:
        refs = sorted(self._new.values(), key=lambda ref: (ref.delivered_us, ref.uri))
        foreign = sorted(encodable(ref.path) for ref in refs if ref.kind is Kind.OTHER)
        delivered = [ref.delivered_us for ref in refs if ref.kind is not Kind.OTHER]
        span = min(delivered, default=None), max(delivered, default=None)
        log_bytes = sum(ref.size for ref in refs if ref.kind.holds_records)
        listed = self._known + len(refs)
        return Listing(listed, log_bytes, self._known, len(foreign), tuple(foreign[:_NAMES_KEPT]), *span), refs


def _outermost(inputs: Sequence[Storage]) -> list[Storage]:
    """Inputs that lie in none of the others: an object under two inputs is one."""
    roots = [storage.root for storage in inputs]
    return [
        storage
        for at, storage in enumerate(inputs)
        if storage.root not in roots[:at] and not any(storage.root.startswith(f"{root}/") for root in roots)
    ]


def _days_before(date: str, look_back_us: int) -> str:
    """The date so long before another; the least of all for what is none."""
    try:
        earlier = dt.date(*map(int, date.split("/"))) - dt.timedelta(microseconds=look_back_us)
    except (ValueError, TypeError, OverflowError):
        return ""
    return earlier.isoformat().replace("-", "/")


def _batches(stats: Iterable[Stat]) -> Iterator[list[Stat]]:
    rest = iter(stats)
    while some := list(itertools.islice(rest, _AT_ONCE)):
        yield some
