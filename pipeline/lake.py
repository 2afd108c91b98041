"""The lake as earlier runs left it: what is known, what was judged, and what a run that died left to do."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.alerts import read_alerts
from pipeline.backfill import backfill_sightings
from pipeline.compactions import read_compactions
from pipeline.lake_files import paths_below, read_files
from schemas.alerts import Alert
from schemas.balance import BalanceSheet
from schemas.canaries import SIGHTING_SCHEMA, VERDICT_SCHEMA, Pulse, Sighting
from schemas.compactions import is_merged
from schemas.errors import LakeDamaged
from schemas.keys import Kind
from schemas.log_path import PathFact, distinct_facts
from schemas.objects import LEDGER_SCHEMA, ObjectRow, ObjectStatus, UnreadObject
from schemas.settings import Config
from schemas.storage import Stat, Storage
from schemas.tampering import Tampering
from transforms.canary_tables import judged_from, sightings_from
from transforms.compactions import Compactions
from transforms.deliveries import pulse_of
from transforms.expected import Judged, needed_from_us
from transforms.known_objects import KnownObjects
from transforms.lake_tables import ledger_part, small_table
from transforms.ledger_part import LedgerPart, ledger_rows
from transforms.pending_findings import pending

_BUNDLE_FILE = re.compile(r"(?:.*/)?(?:sightings-)?((?:merged-)?[0-9a-f]{24})\.(?:parquet|avro)")


class LakeState(msgspec.Struct, frozen=True):
    """Everything that a run must know before it starts.

    `died` names runs that never finished; `left` are the rows and `left_tamperings` the findings that they committed
    without having raised the alerts. Of sightings and pulses there are those that may still matter (`needed_from_us`),
    of deliveries the first and the newest. `facts` are all that was ever learned of the log path, `findings` those that
    may still be told again for what is learned.
    """

    died: tuple[str, ...]
    left: tuple[ObjectRow, ...]
    left_tamperings: tuple[Tampering, ...]
    judged: tuple[Judged, ...]
    sightings: tuple[Sighting, ...]
    pulses: tuple[Pulse, ...]
    deliveries: tuple[int, int] | None
    alerts: tuple[Alert, ...]
    facts: tuple[PathFact, ...] = ()
    findings: tuple[Tampering, ...] = ()


def read_lake(lake: Storage, config: Config) -> LakeState:
    """Read the state, after removing what no ledger part names.

    Raises:
        LakeDamaged: a file that the ledger names is missing or has another size, or is not what it should be.
        StorageError: the lake could not be read.
    """
    return read_lake_whole(lake, config)[0]


def read_lake_whole(lake: Storage, config: Config) -> tuple[LakeState, pa.Table]:
    """The same, and the ledger as `read_ledger` has it, for who wants both."""
    compactions = read_compactions(lake)
    parts = _parts(lake, compactions)
    _sweep(lake, parts, compactions)
    parts = backfill_sightings(lake, parts, config.canaries)
    finished = {stat.path.removeprefix("runs/").removesuffix(".json") for stat in lake.list("runs/")}
    left = [(rows, part.tamperings) for part in parts.values() if (rows := _left_rows(part, finished)).num_rows]
    ledger = _newest(parts)
    judged = tuple(judged_from(_concat(lake, compactions, "canaries/verdicts-", VERDICT_SCHEMA)))
    needed_us = needed_from_us(config.canaries, judged, config.allowed_lateness_us)
    sightings = _since(_concat(lake, compactions, "canaries/sightings-", SIGHTING_SCHEMA), "event_time", needed_us)
    state = LakeState(
        died=tuple(sorted({run_id for rows, _ in left for run_id in rows["run_id"].to_pylist()})),
        left=tuple(row for rows, _ in left for row in ledger_rows(rows)),
        left_tamperings=tuple(tampering for _, tamperings in left for tampering in tamperings),
        judged=judged,
        sightings=tuple(sightings_from(sightings, config.canaries)),
        pulses=tuple(_pulses(_since(ledger, "delivered_at", needed_us))),
        deliveries=_deliveries(ledger),
        alerts=tuple(read_alerts(lake)),
        facts=distinct_facts(tuple(fact for part in parts.values() for fact in part.facts)),
        findings=pending(finding for part in parts.values() for finding in part.tamperings),
    )
    return state, ledger


def read_ledger(lake: Storage) -> pa.Table:
    """The ledger alone: one row for each identity (uri, etag, size) of an object. Errors as in `read_lake`."""
    return read_ledger_whole(lake)[0]


def read_ledger_whole(lake: Storage) -> tuple[pa.Table, tuple[UnreadObject, ...]]:
    """The same, and why objects without a body have none."""
    parts = _parts(lake, read_compactions(lake))
    return _newest(parts), tuple(each for part in parts.values() for each in part.unread)


def known_objects(lake: Storage, *, replay: bool) -> KnownObjects:
    """What the ledger knows; a replay forgets what gave no body, so that it is read again. Errors as in `read_lake`."""
    ledger = read_ledger(lake)
    if replay:
        unread = pc.and_(pc.equal(ledger["kind"], Kind.DIGEST.value), pc.is_null(ledger["body_sha256"]))
        ledger = ledger.filter(pc.invert(pc.or_(pc.equal(ledger["status"], ObjectStatus.DEAD.value), unread)))
    return KnownObjects(ledger)


def _parts(lake: Storage, compactions: Compactions) -> dict[str, LedgerPart]:
    paths = [path for path in paths_below(lake, "objects/") if compactions.counts(path)]
    lost = [path for path in compactions.named if path.startswith("objects/")]
    if not set(lost) <= set(paths):
        raise LakeDamaged(f"{lake.root}/{min(set(lost) - set(paths))} is missing; a compaction put it into the ledger")
    return {_bundle_of(path): ledger_part(lake, path, body) for path, body in read_files(lake, paths)}


def _left_rows(part: LedgerPart, finished: Container[str]) -> pa.Table:
    """Rows of runs that died. A part is one run's, save where parts were merged."""
    run_ids = part.table["run_id"]
    unfinished = [run_id for run_id in run_ids.unique().to_pylist() if run_id not in finished]
    return part.table.filter(pc.is_in(run_ids, value_set=pa.array(unfinished, pa.string())))


def _newest(parts: dict[str, LedgerPart]) -> pa.Table:
    """A replayed dead letter's object has a row of each run: the newest holds."""
    ledger = pa.concat_tables([LEDGER_SCHEMA.empty_table(), *(part.table for part in parts.values())])
    ordered = ledger.sort_by([("handled_at", "ascending"), ("run_id", "ascending")])
    identities = zip(*(ordered[name].to_pylist() for name in ("uri", "etag", "size")), strict=True)
    last = {identity: position for position, identity in enumerate(identities)}
    return ordered if len(last) == ordered.num_rows else ordered.take(pa.array(sorted(last.values())))


def _since(table: pa.Table, column: str, from_us: int | None) -> pa.Table:
    return table if from_us is None else table.filter(pc.greater_equal(table[column].cast(pa.int64()), from_us))


def _deliveries(ledger: pa.Table) -> tuple[int, int] | None:
    ours = ledger.filter(pc.not_equal(ledger["kind"], Kind.OTHER.value))
    span = pc.min_max(ours["delivered_at"].cast(pa.int64())).as_py()
    return None if span["min"] is None else (span["min"], span["max"])


def _pulses(ledger: pa.Table) -> Iterable[Pulse]:
    """Few, also for many objects: readable deliveries count once a time."""
    dead = [status == ObjectStatus.DEAD.value for status in ledger["status"].to_pylist()]
    alive = ledger.filter(pa.array([not each for each in dead], pa.bool_()))
    kinds = alive["kind"].to_pylist()
    times = zip(kinds, alive["delivered_at"].cast(pa.int64()).to_pylist(), strict=True)
    readable = {time for kind, time in times if kind != Kind.OTHER.value}
    unreadable = ledger_rows(ledger.filter(pa.array(dead, pa.bool_())))
    return [Pulse(None, None, time, readable=True) for time in sorted(readable)] + [pulse_of(row) for row in unreadable]


def _bundle_of(path: str) -> str:
    match = _BUNDLE_FILE.fullmatch(path)
    return match[1] if match else path


def _concat(lake: Storage, compactions: Compactions, prefix: str, schema: pa.Schema) -> pa.Table:
    paths = filter(compactions.counts, paths_below(lake, prefix))
    tables = (small_table(lake, path, body, schema) for path, body in read_files(lake, paths))
    return pa.concat_tables([schema.empty_table(), *tables])


def _sweep(lake: Storage, parts: dict[str, LedgerPart], compactions: Compactions) -> None:
    """Remove the litter of runs that died, and make sure that what the ledger names is there, byte for byte as long.

    What merges superseded, or have not committed yet, is theirs to remove.
    """
    committed = {file.path: file.bytes for part in parts.values() for file in part.event_files}
    there = {stat.path: stat.size for stat in lake.list("events/")}
    lost = [path for path, size in committed.items() if there.get(path) != size]
    if lost:  # superseded and removed by a compaction since we began, perhaps, on a slow day
        since = read_compactions(lake).superseded
        lost = [path for path in lost if path in there or path not in since]
    if lost:
        found = there.get(lost[0])
        state = "is missing" if found is None else f"has {found:,} bytes instead of {committed[lost[0]]:,}"
        count = f"{len(lost)} of {len(committed)} archive files are not as the ledger has them"
        raise LakeDamaged(f"{count}: {lake.root}/{lost[0]} {state}")
    litter = [path for path in there if path not in committed]
    litter += [stat.path for stat in _bundle_files(lake) if _bundle_of(stat.path) not in parts]
    litter = [path for path in litter if path not in compactions.superseded and path not in compactions.named]
    merged = [path for path in litter if is_merged(path)]  # uncommitted, or its compaction was lost
    litter = [path for path in litter if _BUNDLE_FILE.fullmatch(path) and not is_merged(path)]
    if litter or merged:
        _refuse_a_torn_ledger(lake, parts, compactions.copies)
    for path in [*litter, *_lone_avro(lake)]:
        lake.delete(path)


def _refuse_a_torn_ledger(lake: Storage, parts: dict[str, LedgerPart], copies: int) -> None:
    """Rows of runs that finished are no litter: where their part of the ledger is gone, nothing may be removed.

    `copies` were written too, and removed by merges.
    """
    sheets = read_files(lake, paths_below(lake, "runs/"))
    wrote = sum(_decode_sheet(lake, path, body).balance.rows_written for path, body in sheets)
    known = copies + sum(file.rows for part in parts.values() for file in part.event_files)
    if known < wrote:
        raise LakeDamaged(f"{lake.root}/objects/ knows {known:,} of the {wrote:,} rows that finished runs wrote")


class _Sheet(msgspec.Struct):
    balance: BalanceSheet = BalanceSheet()


def _decode_sheet(lake: Storage, path: str, body: bytes) -> _Sheet:
    try:
        return msgspec.json.decode(body, type=_Sheet)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LakeDamaged(f"{lake.root}/{path}: {error}") from error


def _lone_avro(lake: Storage) -> list[str]:
    """Alerts whose JSON was never written: the run that wrote the Avro first died in between, and they are due."""
    paths = {stat.path for stat in lake.list("alerts/")}
    return [path for path in paths if path.endswith(".avro") and path.removesuffix("avro") + "jsonl" not in paths]


def _bundle_files(lake: Storage) -> Iterator[Stat]:
    yield from (stat for stat in lake.list("canaries/") if "/sightings-" in stat.path)
    yield from lake.list("digests/")
    yield from lake.list("dead_letters/")
