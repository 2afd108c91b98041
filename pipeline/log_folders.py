"""Where an input keeps what CloudTrail delivers, found by asking for folders: a bucket of years is not listed whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from schemas.storage import Storage

_DEEPEST = 4
_MOST_FOLDERS = 200
_SIDE_BY_SIDE = 16
_LOGS = "AWSLogs"
_N = TypeVar("_N")
_T = TypeVar("_T")


def log_folders(storage: Storage) -> list[str]:
    """Folders of accounts, `…/AWSLogs/` and `…/AWSLogs/o-…/`; none where all of an input is to be listed.

    Raises StorageError.
    """
    found, level, asked = [], [""], 0
    for _ in range(_DEEPEST):
        inner = []
        for folder in level:
            asked += 1
            if asked > _MOST_FOLDERS:
                return []
            names = list(storage.folders(folder))
            found += [f"{folder}{name}/" for name in names if name == _LOGS]
            inner += [f"{folder}{name}/" for name in names if name != _LOGS]
        level = inner
    organizations = [f"{log}{name}/" for log in found for name in storage.folders(log) if name.startswith("o-")]
    return [*found, *organizations]


def side_by_side(storage: Storage, do: Callable[[_N], list[_T]], names: Iterable[_N]) -> list[_T]:
    """What `do` gives for all names, in order; side by side where each waits for a network."""
    if not storage.remote:
        return [each for name in names for each in do(name)]
    with ThreadPoolExecutor(_SIDE_BY_SIDE, "list") as threads:
        return [each for some in threads.map(do, names) for each in some]
