"""An input's trees of dates: what CloudTrail delivers for one account, kind and region, and how it is listed."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice, repeat
from typing import TypeVar

from schemas.keys import DATED_FOLDERS, DatedKey, dated_key, is_account, is_region, parse_key
from schemas.storage import Stat, Storage
from schemas.times import format_us

_A_REQUEST = 1000
"""Objects that a bucket lists in one request."""

_SIDE_BY_SIDE = 16
_AHEAD = 8 * _SIDE_BY_SIDE
"""Requests made before their turn: they go on while nobody takes what they found, and that fits into memory."""

_PATIENCE_S = 0.1
_N = TypeVar("_N")
_T = TypeVar("_T")


class DatedTrees:
    """One input, and what is known of how objects lie in it. All names are full ones, with the input's root.

    Its iterators give what they find piece by piece, an empty list where nothing has come for a tenth of a second; all
    raise StorageError. One that is dropped ends its threads.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.odd = False
        """Whether there are log objects outside of all trees."""
        self.objects = 0
        """How many the last complete listing found."""
        self._newest: dict[str, str] = {}
        self._logs: set[str] = set()
        self._memo: tuple[str, DatedKey | None] = ("", None)

    @property
    def whole_is_cheaper(self) -> bool:
        """Whether all of a bucket takes fewer requests than one for each tree."""
        return self.storage.remote and self.objects // _A_REQUEST + 1 < len(self._newest)

    def whole(self) -> Iterator[list[Stat]]:
        """Everything; `odd` and `objects` are known once it has been listed to the end."""
        odd, objects, stats = False, 0, self.storage.list()
        with closing(self._ahead(lambda most: list(islice(stats, most)), repeat(_A_REQUEST), 1)) as pieces:
            for some in pieces:
                if some == []:
                    break
                odd = self._learn(some or ()) or odd
                objects += len(some or ())
                yield some or []
        self.odd, self.objects = odd, objects

    def discover(self) -> Iterator[list[Stat]]:
        """Find trees that were not there before; gives empty lists only."""
        for logs in sorted(self._logs):
            names = list(self._folders(logs))
            self._logs.update(f"{logs}{name}/" for name in names if name.startswith("o-"))
            accounts = [f"{logs}{name}/" for name in names if is_account(name)]
            for regions in self._ahead(self._regions, accounts):
                for tree in regions or ():
                    self._newest.setdefault(tree, "")
                yield []

    def recent(self, now_us: int, look_back_us: int) -> Iterator[list[Stat]]:
        """Objects of the last days of each tree; all of a tree that was not listed before."""
        oldest = format_us(now_us - look_back_us)[:10].replace("-", "/")
        after = {tree: min(_days_before(newest, look_back_us), oldest) for tree, newest in self._newest.items()}

        def stats(tree: str) -> list[Stat]:
            return list(self.storage.list(self._below(tree), self._below(tree + after[tree])))

        for some in self._ahead(stats, list(after)):
            self._learn(some or ())
            yield some or []

    def _learn(self, stats: Iterable[Stat]) -> bool:
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

    def _ahead(self, do: Callable[[_N], _T], names: Iterable[_N], threads: int = _SIDE_BY_SIDE) -> Generator[_T | None]:
        """What `do` gives for each name, in order; None where it takes long."""
        if not self.storage.remote:
            yield from map(do, names)
            return
        pool = ThreadPoolExecutor(threads, thread_name_prefix="list")
        try:
            rest = iter(names)
            running = deque(pool.submit(do, name) for name in islice(rest, _AHEAD))
            while running:
                if not wait([running[0]], _PATIENCE_S).done:
                    yield None
                    continue
                found = running.popleft().result()
                running.extend(pool.submit(do, name) for name in islice(rest, 1))
                yield found
        finally:
            pool.shutdown(cancel_futures=True)


def _days_before(date: str, look_back_us: int) -> str:
    """The date so long before another; the least of all for what is none."""
    try:
        earlier = dt.date(*map(int, date.split("/"))) - dt.timedelta(microseconds=look_back_us)
    except (ValueError, TypeError, OverflowError):
        return ""
    return earlier.isoformat().replace("-", "/")
