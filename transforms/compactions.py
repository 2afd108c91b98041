"""Which files of a lake count, given what was merged."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from schemas.compactions import Compaction, Ruling, is_merged, paths_of
from schemas.times import DAY_US

REMEMBERED_US = 7 * DAY_US
"""How long after its removal a superseded file's name is known: a job that restarts from a checkpoint may write the
file again, and it must not count again."""


class Compactions:
    """All merges of a lake, as they were read before anything else of it was listed.

    In that order nobody can miss a row or see one twice: what had been merged by then is there, and what has been
    superseded since is kept for a while.
    """

    def __init__(self, records: Iterable[Compaction]) -> None:
        self.all = tuple(records)
        self.superseded: dict[str, int] = {}
        for record in self.all:
            self.superseded |= {path: each.at_us for each in record.files if not each.live for path in paths_of(each)}
        self.live = tuple(record for record in self.all if record.path not in self.superseded)
        named = (path for record in self.live for each in record.files if each.live for path in paths_of(each))
        self.named = frozenset(named) - self.superseded.keys()

    def counts(self, path: str) -> bool:
        """Whether a listed file is part of the lake."""
        return path in self.named or not (path in self.superseded or is_merged(path))

    @property
    def copies(self) -> int:
        """Rows that were written, and removed by a merge as copies of others."""
        return sum(record.copies_removed + record.copies_before for record in self.live)


def remembered(record: Compaction, now_us: int, keep_us: int) -> tuple[Ruling, ...]:
    """What a record says to be superseded, as far as that must still be known."""
    since_us = now_us - keep_us - REMEMBERED_US
    return tuple(each for each in record.files if not each.live and each.at_us >= since_us)


def rulings(paths: Iterable[str], at_us: int, *, live: bool) -> tuple[Ruling, ...]:
    """Paths, by folder."""
    folders = itertools.groupby(sorted(path.rpartition("/")[::2] for path in paths), key=lambda each: each[0])
    return tuple(Ruling(folder, tuple(name for _, name in group), live, at_us) for folder, group in folders)
