"""Parts of the ledger, with all that they own, become one; files of verdicts become one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.canaries import SIGHTING_SCHEMA, VERDICT_SCHEMA
from schemas.compactions import MERGED
from schemas.digest_files import DIGEST_SCHEMA, digests_path
from schemas.errors import LakeDamaged, UnbalancedRun
from schemas.log_path import distinct_facts
from schemas.objects import EventFile
from schemas.storage import Storage
from schemas.tampering import Tampering
from transforms.compaction_events import merge_day
from transforms.compaction_plan import Part, Sizes, merged_days
from transforms.lake_tables import ledger_part, small_table
from transforms.ledger_part import LedgerPart, encode_ledger_part
from transforms.pending_findings import pending
from transforms.repeated_objects import RepeatedObjects
from transforms.small_parquet import parquet_bytes


class Merged(msgspec.Struct, frozen=True):
    """What a merge wrote (`made`), took over as it is (`kept`) and replaces (`superseded`): paths below the lake.

    Rows are those of files that were merged, read from their own footers.
    """

    name: str
    made: tuple[str, ...]
    superseded: tuple[str, ...]
    kept: tuple[str, ...] = ()
    rows_read: int = 0
    rows_written: int = 0
    copies: int = 0
    conflicts: int = 0


class Merging(msgspec.Struct, frozen=True):
    """What every merge of a session needs. `finished` are runs that have raised their alerts."""

    lake: Storage
    sizes: Sizes
    finished: Container[str]
    repeated: RepeatedObjects


def merge_parts(job: Merging, group: Sequence[Part]) -> Merged:
    """Write one part of the ledger in the place of several, with its archive files and sightings; commit nothing.

    A merge done again writes the same files. Copies that it drops move from `archived` to `duplicates` in the ledger;
    where a part outside has a row of the same object, that would not be the row that holds, and its rows stay.

    Errors: UnbalancedRun where rows went in and did not come out; LakeDamaged; StorageError.
    """
    paths = [part.path for part in group]
    name = merged_name(paths)
    parts = [ledger_part(job.lake, path, job.lake.read(path).body) for path in paths]
    table = pa.concat_tables(part.table for part in parts)
    events = _merge_events(job, name, group, job.repeated.outside(set(paths), table["uri"]))
    made, of_parts = _merge_small(job.lake, name, [stem(path) for path in paths])
    ledger = f"objects/{name}.parquet"
    event_files = tuple(sorted([*events.kept, *events.made], key=lambda file: file.path))
    booked = _booked(job.lake, table, events.copies)
    facts = distinct_facts(tuple(fact for part in parts for fact in part.facts))
    unread = tuple(each for part in parts for each in part.unread)
    part = LedgerPart(booked, event_files, _owed(parts, job.finished), _searched(parts), facts, unread)
    job.lake.write(ledger, encode_ledger_part(part))
    return Merged(
        name,
        made=(ledger, *made, *(file.path for file in events.made)),
        superseded=(*paths, *of_parts, *events.gone),
        kept=tuple(file.path for file in events.kept),
        rows_read=events.rows_read,
        rows_written=sum(file.rows for file in events.made),
        copies=events.copies.total(),
        conflicts=events.conflicts,
    )


def _merge_small(lake: Storage, name: str, stems: Sequence[str]) -> tuple[list[str], list[str]]:
    """Merge the sightings of several parts, and their digests; return the paths of both, and of what they replace."""
    made, gone = [], list[str]()
    for path_of, schema in ((sightings_path, SIGHTING_SCHEMA), (digests_path, DIGEST_SCHEMA)):
        of_parts = [path_of(each) for each in stems]
        found = _concat(lake, _there(lake, of_parts), schema)
        if found.num_rows:
            lake.write(path_of(name), parquet_bytes(found))
        made.append(path_of(name))
        gone += of_parts
    return made, gone


def merge_verdicts(lake: Storage, paths: Sequence[str]) -> Merged:
    """Write one file of verdicts in the place of several. Errors as in `merge_parts`."""
    name = merged_name(paths)
    verdicts = f"canaries/verdicts-{name}.parquet"
    lake.write(verdicts, parquet_bytes(_concat(lake, paths, VERDICT_SCHEMA)))
    return Merged(name, (verdicts,), tuple(paths))


def merged_name(paths: Iterable[str]) -> str:
    """Named by what is merged, so that the same work writes the same files."""
    return MERGED + hashlib.sha256("\n".join(sorted(paths)).encode("utf-8", "backslashreplace")).hexdigest()[:24]


def stem(path: str) -> str:
    """The bundle, or the merge, whose part of the ledger lies there."""
    return path.rpartition("/")[2].removesuffix(".parquet")


def sightings_path(name: str) -> str:
    """Where a bundle's, or a merge's, sightings lie if there are any."""
    return f"canaries/sightings-{name}.parquet"


class _Events(msgspec.Struct, frozen=True):
    made: list[EventFile]
    kept: list[EventFile]
    gone: list[str]
    rows_read: int
    copies: Counter[str]
    conflicts: int


def _merge_events(job: Merging, name: str, group: Sequence[Part], pinned: pa.Array) -> _Events:
    days = merged_days(group, job.sizes)
    merged = [merge_day(job.lake, name, day, job.sizes.file_bytes, pinned) for day in days]
    copies = sum((day.copies for day in merged), Counter[str]())
    made = [file for day in merged for file in day.files]
    gone = [file.path for day in days for file in day]
    merged_paths = frozenset(gone)
    kept = [file for part in group for file in part.event_files if file.path not in merged_paths]
    rows_read, rows_written = sum(day.rows_read for day in merged), sum(file.rows for file in made)
    if rows_read != rows_written + copies.total():
        counts = f"{rows_read:,} rows read ≠ {rows_written:,} written + {copies.total():,} copies removed"
        raise UnbalancedRun(f"{job.lake.root}: {name}: {counts}; nothing was committed")
    return _Events(made, kept, gone, rows_read, copies, sum(day.conflicts for day in merged))


def _there(lake: Storage, paths: Sequence[str]) -> list[str]:
    """Listed after the parts were read: a part that says that it was searched has its sightings by then."""
    listed = {stat.path for stat in lake.list(paths[0].rpartition("/")[0] + "/")}
    return [path for path in paths if path in listed]


def _concat(lake: Storage, paths: Iterable[str], schema: pa.Schema) -> pa.Table:
    tables = (small_table(lake, path, lake.read(path).body, schema) for path in paths)
    return pa.concat_tables([schema.empty_table(), *tables])


def _owed(parts: Iterable[LedgerPart], finished: Container[str]) -> tuple[Tampering, ...]:
    """Findings whose alerts a run that is not finished may still owe, and those that may still be told again."""
    parts = list(parts)
    owed = (
        tampering
        for part in parts
        if part.tamperings and any(run_id not in finished for run_id in part.table["run_id"].unique().to_pylist())
        for tampering in part.tamperings
    )
    found = pending(tampering for part in parts for tampering in part.tamperings)
    return tuple(dict.fromkeys((*owed, *found)))


def _searched(parts: Sequence[LedgerPart]) -> tuple[str, ...]:
    """Canaries for which all were searched; for others the whole is searched once more."""
    return tuple(sorted(set.intersection(*(set(part.canaries) for part in parts))))


def _booked(lake: Storage, table: pa.Table, copies: Mapping[str, int]) -> pa.Table:
    """The ledger's rows, with copies that were dropped counted as such."""
    if not copies:
        return table
    archived, duplicates = (table[name].to_numpy().copy() for name in ("archived", "duplicates"))
    left = Counter(copies)
    for position in _newest_rows(table, list(copies)):
        uri = table["uri"][position].as_py()
        dropped = min(left[uri], int(archived[position]))
        archived[position] -= dropped
        duplicates[position] += dropped
        left[uri] -= dropped
    if +left:
        raise LakeDamaged(f"{lake.root}: the archive has more rows than the ledger of {min(+left)}")
    for name, values in (("archived", archived), ("duplicates", duplicates)):
        table = table.set_column(table.column_names.index(name), table.schema.field(name), pa.array(values, pa.int64()))
    return table


def _newest_rows(table: pa.Table, uris: Sequence[str]) -> list[int]:
    """Positions of the rows that hold: of each identity of these objects the newest."""
    mine = np.flatnonzero(pc.is_in(table["uri"], value_set=pa.array(uris, pa.string())).to_numpy())
    rows = table.select(["uri", "etag", "size", "handled_at", "run_id"]).take(pa.array(mine)).to_pylist()
    newest: dict[tuple[str, str, int], tuple[object, int]] = {}
    for position, row in zip(mine.tolist(), rows, strict=True):
        identity, at = (row["uri"], row["etag"], row["size"]), (row["handled_at"], row["run_id"])
        if identity not in newest or newest[identity][0] <= at:  # type: ignore[operator]
            newest[identity] = (at, position)
    return [position for _, position in newest.values()]
