"""Which parts of the ledger, with their archive files, are merged with which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from schemas.objects import EventFile

MIB = 1 << 20


class Sizes(msgspec.Struct, frozen=True):
    """How large things get; what is below half of that is small, and is merged.

    `group_bytes` of small archive files and `group_part_bytes` of the ledger are merged and committed at a time.
    """

    file_bytes: int = 128 * MIB
    part_bytes: int = 32 * MIB
    group_bytes: int = 256 * MIB
    group_part_bytes: int = 64 * MIB


class Part(msgspec.Struct, frozen=True):
    """One part of the ledger, as far as a plan needs it: `first_us` is its first delivery."""

    path: str
    bytes: int
    first_us: int
    event_files: tuple[EventFile, ...]


def plan_groups(parts: Iterable[Part], sizes: Sizes) -> list[tuple[Part, ...]]:
    """Groups of two parts or more, each to be merged into one, in order of delivery.

    A part is merged if it is small itself, or if it owns small files of a day on which there are enough small files
    for a proper one. So parts of the ledger, and files a day, stay few.
    """
    parts = sorted(parts, key=lambda part: (part.first_us, part.path))
    ripe = _ripe_days(parts, sizes)
    chosen = [
        part
        for part in parts
        if part.bytes < sizes.part_bytes // 2 or any(day_of(file) in ripe for file in small_files([part], sizes))
    ]
    return [group for group in _groups(chosen, sizes) if len(group) > 1]


def plan_verdicts(files: Mapping[str, int], sizes: Sizes) -> list[tuple[str, ...]]:
    """Groups of two small files of verdicts or more, from paths and bytes, in order of name."""
    groups: list[list[str]] = [[]]
    group_bytes = 0
    for path, size in sorted(files.items()):
        if size >= sizes.part_bytes // 2:
            continue
        if group_bytes + size > sizes.part_bytes:
            groups.append([])
            group_bytes = 0
        groups[-1].append(path)
        group_bytes += size
    return [tuple(group) for group in groups if len(group) > 1]


def small_files(parts: Iterable[Part], sizes: Sizes) -> list[EventFile]:
    """Archive files that are to be merged if there is another of their day."""
    return [file for part in parts for file in part.event_files if file.bytes < sizes.file_bytes // 2]


def merged_days(parts: Sequence[Part], sizes: Sizes) -> list[list[EventFile]]:
    """The files that are merged in a group, by day: two or more each."""
    days: defaultdict[str, list[EventFile]] = defaultdict(list)
    for file in small_files(parts, sizes):
        days[day_of(file)].append(file)
    return [days[day] for day in sorted(days) if len(days[day]) > 1]


def day_of(file: EventFile) -> str:
    """The folder of a file."""
    return file.path.rpartition("/")[0]


def _ripe_days(parts: Iterable[Part], sizes: Sizes) -> set[str]:
    there: defaultdict[str, list[int]] = defaultdict(list)
    for file in small_files(parts, sizes):
        there[day_of(file)].append(file.bytes)
    return {day for day, some in there.items() if len(some) > 1 and sum(some) >= sizes.file_bytes // 2}


def _groups(parts: Iterable[Part], sizes: Sizes) -> Iterator[tuple[Part, ...]]:
    group: list[Part] = []
    event_bytes = part_bytes = 0
    for part in parts:
        small = sum(file.bytes for file in small_files([part], sizes))
        full = event_bytes + small > sizes.group_bytes or part_bytes + part.bytes > sizes.group_part_bytes
        if group and full:
            yield tuple(group)
            group, event_bytes, part_bytes = [], 0, 0
        group.append(part)
        event_bytes, part_bytes = event_bytes + small, part_bytes + part.bytes
    if group:
        yield tuple(group)
