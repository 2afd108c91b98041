"""Which files of a lake count, given what was merged."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable

from schemas.compactions import Compaction, Ruling, is_merged, paths_of
from schemas.times import DAY_US, format_us
from transforms.compaction import Merged, stem

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


def record_of(merged: Merged, before: Compactions, letters: Container[str], now_us: int, keep_us: int) -> Compaction:
    """The record that commits a merge. It inherits what must be known of the merges that it supersedes.

    `letters` are the lake's files of dead letters: those of superseded bundles stay what they are, and count.
    """
    gone = frozenset(merged.superseded)
    replaced = [record for record in before.live if not gone.isdisjoint(_live(record))]
    of_bundles = (f"dead_letters/{stem(path)}.avro" for path in gone if path.startswith("objects/"))
    inherited = (path for record in replaced for path in _live(record) if path.startswith("dead_letters/"))
    live = (*merged.made, *merged.kept, *(path for path in (*of_bundles, *inherited) if path in letters))
    dead = (*merged.superseded, *(record.path for record in replaced))
    still_dead = tuple(each for record in replaced for each in remembered(record, now_us, keep_us))
    return Compaction(
        merged.name,
        format_us(now_us),
        (*rulings(live, now_us, live=True), *rulings(dead, now_us, live=False), *still_dead),
        rows_read=merged.rows_read,
        rows_written=merged.rows_written,
        copies_removed=merged.copies,
        copies_before=sum(record.copies_removed + record.copies_before for record in replaced),
        conflicts=merged.conflicts,
    )


def _live(record: Compaction) -> list[str]:
    return [path for each in record.files if each.live for path in paths_of(each)]
