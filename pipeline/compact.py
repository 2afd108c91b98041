"""`trailcanary compact`: many small files of a lake become few, beside readers and a running job."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compactions import encode_compaction, read_compactions
from pipeline.lake_files import read_files
from pipeline.local_storage import TEMPORARY_PREFIX, LocalStorage
from pipeline.lock import hold_lake
from pipeline.purge import purge
from pipeline.views import FILE_NAME, write_views
from schemas.compactions import FOLDER
from schemas.errors import ObjectVanished, UsageError
from schemas.storage import Storage
from schemas.times import HOUR_US, SECOND_US
from transforms.compaction import Merged, Merging, merge_parts, merge_verdicts
from transforms.compaction_plan import Part, Sizes, plan_groups, plan_verdicts
from transforms.compactions import Compactions, record_of
from transforms.lake_tables import ledger_part
from transforms.repeated_objects import RepeatedObjects

LOCK_PATH = ".lock-compact"
_FOLDERS = ("events", "objects", "canaries", "digests")


class Options(msgspec.Struct, frozen=True):
    """Superseded files are kept for `keep_us`; files younger than `settle_us` are left alone."""

    keep_us: int = HOUR_US
    settle_us: int = HOUR_US
    sizes: Sizes = Sizes()


class Files(msgspec.Struct, frozen=True):
    """Files that count, and their bytes."""

    files: int
    bytes: int


class Plan(msgspec.Struct, frozen=True):
    """What there is to merge: groups of the ledger's parts, and of paths of verdict files."""

    parts: list[tuple[Part, ...]]
    verdicts: list[tuple[str, ...]]
    repeated: RepeatedObjects


class Report(msgspec.Struct, frozen=True):
    """What a compaction did; `before` and `after` by folder.

    `files_removed` had been superseded before; `files_waiting` are superseded and will be removed.
    """

    merges: int
    before: dict[str, Files]
    after: dict[str, Files]
    rows_read: int
    rows_written: int
    copies_removed: int
    conflicts: int
    files_removed: int
    files_waiting: int


def compact(lake: Storage, options: Options, now_us: Callable[[], int]) -> Report:
    """Remove what was superseded long enough ago, then merge and commit, group by group.

    A group that is committed stays so, whatever becomes of the next; what a killed compaction had not committed, the
    next one removes and does again.

    Raises:
        UsageError: there is no lake.
        LakeLocked: another compaction is at work. A run may be.
        UnbalancedRun: rows went in and did not come out; that group was not committed.
        LakeDamaged, StorageError: as their names say.
    """
    refuse_no_lake(lake)
    lake = _with_own_temporaries(lake)
    with hold_lake(lake, f"compact-{now_us() // SECOND_US}", now_us, LOCK_PATH) as hold:
        _write_views_that_know(lake)
        removed = purge(lake, read_compactions(lake), now_us(), options.keep_us)
        compactions = read_compactions(lake)
        before = files_of(lake, compactions)
        plan = plan_of(lake, compactions, options, now_us())
        letters = frozenset(stat.path for stat in lake.list("dead_letters/"))
        done = []
        for merged in _merges(lake, plan, options.sizes):
            hold.check()
            record = record_of(merged, compactions, letters, now_us(), options.keep_us)
            lake.write(record.path, encode_compaction(record))  # the commit: every reader goes by it from here on
            done.append(merged)
        now = read_compactions(lake)
        return Report(
            merges=len(done),
            before=before,
            after=files_of(lake, now),
            rows_read=sum(each.rows_read for each in done),
            rows_written=sum(each.rows_written for each in done),
            copies_removed=sum(each.copies for each in done),
            conflicts=sum(each.conflicts for each in done),
            files_removed=removed,
            files_waiting=_waiting(lake, now),
        )


def dry_run(lake: Storage, options: Options, now_us: int) -> tuple[Plan, dict[str, Files]]:
    """What `compact` would merge, and the files that there are; nothing is written. Raises as it does."""
    refuse_no_lake(lake)
    compactions = read_compactions(lake)
    return plan_of(lake, compactions, options, now_us), files_of(lake, compactions)


def plan_of(lake: Storage, compactions: Compactions, options: Options, now_us: int) -> Plan:
    """What would be merged now. Reads the whole ledger, a part at a time. Raises LakeDamaged or StorageError."""
    until_us = now_us - options.settle_us
    stats = {stat.path: stat for stat in lake.list("objects/") if compactions.counts(stat.path)}
    parts, repeated = [], RepeatedObjects()
    for path, body in read_files(lake, sorted(stats)):
        part = ledger_part(lake, path, body)
        repeated.add(path, part.table["uri"])
        if stats[path].modified_us <= until_us:
            first_us = pc.min(part.table["delivered_at"].cast(pa.int64())).as_py()
            parts.append(Part(path, len(body), first_us or 0, part.event_files))
    verdicts = {
        stat.path: stat.size
        for stat in lake.list("canaries/")
        if stat.path.startswith("canaries/verdicts-") and compactions.counts(stat.path) and stat.modified_us <= until_us
    }
    return Plan(plan_groups(parts, options.sizes), plan_verdicts(verdicts, options.sizes), repeated)


def files_of(lake: Storage, compactions: Compactions) -> dict[str, Files]:
    """The files that count, by folder. Raises StorageError."""
    found = {}
    for folder in _FOLDERS:
        sizes = [stat.size for stat in lake.list(f"{folder}/") if compactions.counts(stat.path)]
        found[folder] = Files(len(sizes), sum(sizes))
    return found


def _waiting(lake: Storage, compactions: Compactions) -> int:
    return sum(stat.path in compactions.superseded for folder in _FOLDERS for stat in lake.list(f"{folder}/"))


def refuse_no_lake(lake: Storage) -> None:
    """Raise UsageError where there is no lake."""
    if not any(True for _ in lake.list("objects/")):
        raise UsageError([f"{lake.root}: no lake there; `trailcanary run --output` makes one"])


def _merges(lake: Storage, plan: Plan, sizes: Sizes) -> Iterator[Merged]:
    finished = frozenset(stat.path.removeprefix("runs/").removesuffix(".json") for stat in lake.list("runs/"))
    job = Merging(lake, sizes, finished, plan.repeated)
    for group in plan.parts:
        yield merge_parts(job, group)
    for paths in plan.verdicts:
        yield merge_verdicts(lake, paths)


def _with_own_temporaries(lake: Storage) -> Storage:
    """A run that starts removes temporary files of killed runs: ours must look unlike them."""
    if isinstance(lake, LocalStorage):
        return msgspec.structs.replace(lake, temporary_prefix=f"{TEMPORARY_PREFIX}compact-")
    return lake


def _write_views_that_know(lake: Storage) -> None:
    """Who loads `views.sql` from now on must not see rows twice: one written by an earlier version is replaced."""
    try:
        written = lake.read(FILE_NAME).body
    except ObjectVanished:
        written = b""
    if f"/{FOLDER}/".encode() not in written:
        write_views(lake)
