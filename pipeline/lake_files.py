"""Many small files of a lake, read one after the other, or side by side where each waits for a network."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from schemas.errors import ObjectVanished
from schemas.storage import Storage

_SIDE_BY_SIDE = 16
_T = TypeVar("_T")


def paths_below(lake: Storage, prefix: str) -> list[str]:
    """Paths that start with `prefix`, a folder and perhaps more, in order of name. Raises StorageError."""
    folder = prefix.rpartition("/")[0] + "/"
    return sorted(stat.path for stat in lake.list(folder) if stat.path.startswith(prefix))


def read_files(lake: Storage, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Paths and bytes, in the order given; few at a time are in memory. Raises StorageError and its children."""
    return _each(lake, paths, lambda path: (path, lake.read(path).body))


def read_files_left(lake: Storage, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The same for files of which some may have been removed since they were listed."""

    def read(path: str) -> tuple[str, bytes] | None:
        try:
            return path, lake.read(path).body
        except ObjectVanished:
            return None

    return (found for found in _each(lake, paths, read) if found is not None)


def delete_files(lake: Storage, paths: Iterable[str]) -> None:
    """Remove files; those that are not there are no error. Raises StorageError."""
    for _ in _each(lake, paths, lake.delete):
        pass


def _each(lake: Storage, paths: Iterable[str], do: Callable[[str], _T]) -> Iterator[_T]:
    if not lake.remote:
        yield from map(do, paths)
        return
    rest = iter(paths)
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
        while some := list(itertools.islice(rest, 4 * _SIDE_BY_SIDE)):
            yield from threads.map(do, some)
