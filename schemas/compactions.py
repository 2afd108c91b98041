"""What `trailcanary compact` committed: one small file for each merge, which says what counts since."""

from __future__ import annotations

import msgspec

FOLDER = "compactions"
MERGED = "merged-"
"""The names of files that a merge wrote start so; they count only where a compaction says that they do."""


class Ruling(msgspec.Struct, frozen=True):
    """Files of one folder that count since `at_us`, or (`live` false) no longer do. What was superseded stays so."""

    folder: str
    names: tuple[str, ...]
    live: bool
    at_us: int


class Compaction(msgspec.Struct, frozen=True):
    """One merge, as `compactions/<name>.json` has it; writing that file commits it.

    `files` names every file that the merge made or took over, and those that it superseded, or that were superseded
    by merges that it superseded. Law: rows_read = rows_written + copies_removed, from the files' own footers.
    `copies_before` is the sum of copies that superseded merges had removed.
    """

    name: str
    committed_at: str
    files: tuple[Ruling, ...]
    rows_read: int = 0
    rows_written: int = 0
    copies_removed: int = 0
    copies_before: int = 0
    conflicts: int = 0

    @property
    def path(self) -> str:
        """Where it lies in the lake."""
        return f"{FOLDER}/{self.name}.json"


def paths_of(ruling: Ruling) -> tuple[str, ...]:
    """The files that it names, as paths below the lake."""
    return tuple(f"{ruling.folder}/{name}" for name in ruling.names)


def is_merged(path: str) -> bool:
    """True for a file that only a merge can have written."""
    name = path.rpartition("/")[2]
    return name.removeprefix("sightings-").removeprefix("verdicts-").startswith(MERGED)
