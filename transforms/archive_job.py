"""One bundle, from objects to committed files: plain Python, which a pool, a test and a Beam worker call alike."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.archive import ARCHIVE_SCHEMA
from schemas.balance import BalanceSheet
from schemas.canaries import Canary, Sighting
from schemas.objects import Bundle, ObjectRef, ObjectRow, ObjectStatus
from schemas.settings import Limits
from schemas.storage import Storage
from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.bundle_reader import BundleReader, Outcome
from transforms.canary_tables import sightings_table
from transforms.columns import nest
from transforms.dead_letter_file import encode_dead_letters
from transforms.dedupe import drop_duplicates
from transforms.event_files import EventFiles
from transforms.fetch import fetch
from transforms.ledger_part import LedgerPart, encode_ledger_part, ledger_table
from transforms.sightings import find_sightings
from transforms.sorted_runs import RUN_BYTES, times_of

_NEVER = np.iinfo(np.int64)


class Rules(Protocol):
    """Loaded rules (`transforms.sigma.RuleSet`)."""

    def evaluate(self, table: pa.Table, log_path: LogPath) -> list[Tampering]:
        """What the rules find in rows of the archive."""


class ArchiveJob(msgspec.Struct, frozen=True):
    """What every bundle of a run needs. Picklable."""

    inputs: Mapping[str, Storage]
    lake: Storage
    canaries: tuple[Canary, ...]
    rules: Rules
    log_path: LogPath
    limits: Limits
    run_id: str
    now_us: int


class BundleReport(msgspec.Struct, frozen=True):
    """What a committed bundle says about itself: small things only."""

    rows: tuple[ObjectRow, ...]
    sightings: tuple[Sighting, ...]
    tamperings: tuple[Tampering, ...]
    balance: BalanceSheet
    conflicts: int
    letters: Counter[str]


def archive_bundle(job: ArchiveJob, bundle: Bundle) -> BundleReport:
    """Read, write and commit one bundle; doing it twice writes the same files twice.

    Unreadable objects and records become dead letters. Errors: StorageError when the lake cannot be written; then
    nothing is committed.
    """
    collecting = gc.isenabled()
    gc.disable()  # the decoder makes millions of objects and no cycles: collections would only walk them
    try:
        return _Archiving(job, bundle).run()
    finally:
        if collecting:
            gc.enable()


class _Archiving:
    def __init__(self, job: ArchiveJob, bundle: Bundle) -> None:
        self._job = job
        self._bundle = bundle
        self._reader = BundleReader(job.run_id, job.limits.max_dead_letter_bytes)
        self._files = EventFiles(job.lake, bundle.name)
        self._sightings: list[Sighting] = []
        self._tamperings: list[Tampering] = []
        self._duplicates = np.zeros(len(bundle.refs), np.int64)
        self._first_us = np.full(len(bundle.refs), _NEVER.max, np.int64)
        self._last_us = np.full(len(bundle.refs), _NEVER.min, np.int64)
        self._conflicts = 0
        self._keys = pa.array([ref.uri.encode("utf-8", "replace").decode() for ref in bundle.refs], pa.string())
        self._delivered = pa.array([ref.delivered_us for ref in bundle.refs], ARCHIVE_SCHEMA.field("delivered_at").type)

    def run(self) -> BundleReport:
        logs = [(number, ref) for number, ref in enumerate(self._bundle.refs) if ref.kind.holds_records]
        self._reader.read(fetch(logs, self._job.inputs, self._job.limits.max_object_bytes))
        self._reader.finish()
        for chunk in self._deduped_chunks():
            self._sightings += find_sightings(chunk, self._job.canaries)
            self._tamperings += self._job.rules.evaluate(chunk, self._job.log_path)
            self._files.write(chunk)
        self._files.close()
        return self._commit()

    def _deduped_chunks(self) -> Iterator[pa.Table]:
        rows_per_run = self._reader.runs.rows * RUN_BYTES // max(1, self._reader.body_bytes)
        for chunk in self._reader.runs.chunks(max(1, rows_per_run)):
            deduped = drop_duplicates(chunk)
            np.add.at(self._duplicates, deduped.dropped, 1)
            self._conflicts += deduped.conflicts
            numbers = chunk["object_number"].combine_chunks().to_numpy()
            np.minimum.at(self._first_us, numbers, times_of(chunk))
            np.maximum.at(self._last_us, numbers, times_of(chunk))
            yield self._with_provenance(nest(deduped.table))

    def _with_provenance(self, table: pa.Table) -> pa.Table:
        numbers = table["object_number"].combine_chunks()
        columns = {name: table[name] for name in table.column_names if name != "object_number"}
        columns["object_key"] = self._keys.take(numbers)
        columns["delivered_at"] = self._delivered.take(numbers)
        return pa.Table.from_arrays([columns[name] for name in ARCHIVE_SCHEMA.names], schema=ARCHIVE_SCHEMA)

    def _commit(self) -> BundleReport:
        """Everything else first, the ledger's part last: it makes the rest valid."""
        lake, name = self._job.lake, self._bundle.name
        if self._reader.letters:
            lake.write(f"dead_letters/{name}.avro", encode_dead_letters(self._reader.letters))
        if self._sightings:
            lake.write(f"canaries/sightings-{name}.parquet", _parquet(sightings_table(self._sightings)))
        rows = tuple(self._row(number) for number in range(len(self._bundle.refs)))
        part = LedgerPart(ledger_table(rows), tuple(self._files.written), tuple(self._tamperings))
        lake.write(f"objects/{name}.parquet", encode_ledger_part(part))
        written = sum(file.rows for file in self._files.written)
        balance = sum((_balance(row) for row in rows), BalanceSheet(rows_written=written))
        letters = Counter(letter.reason.value for letter in self._reader.letters)
        return BundleReport(rows, tuple(self._sightings), tuple(self._tamperings), balance, self._conflicts, letters)

    def _row(self, number: int) -> ObjectRow:
        ref = self._bundle.refs[number]
        outcome = self._reader.outcomes.get(number, Outcome(ref, ObjectStatus.NOT_LOG))
        duplicates, first_us = int(self._duplicates[number]), int(self._first_us[number])
        dated = first_us != _NEVER.max
        return ObjectRow(
            uri=self._keys[number].as_py(),
            etag=ref.etag,
            size=ref.size,
            version=outcome.version,
            kind=ref.kind,
            status=outcome.status,
            account_id=ref.account_id,
            region=ref.region,
            delivered_us=ref.delivered_us,
            modified_us=ref.modified_us,
            body_sha256=outcome.sha256,
            records=outcome.records,
            archived=outcome.records - outcome.dead - duplicates,
            duplicates=duplicates,
            dead=outcome.dead,
            first_event_us=first_us if dated else None,
            last_event_us=int(self._last_us[number]) if dated else None,
            changed=_changed(ref, outcome.status),
            run_id=self._job.run_id,
            handled_us=self._job.now_us,
        )


def _changed(ref: ObjectRef, status: ObjectStatus) -> bool:
    """A folder's etag is a time: a copy that was merely touched, byte for byte as long, is no finding."""
    if ref.replaces is None:
        return False
    touched = ref.etag.startswith("mtime:") and ref.size == ref.replaces.size
    return not (touched and status is ObjectStatus.UNCHANGED)


def _balance(row: ObjectRow) -> BalanceSheet:
    return BalanceSheet(
        objects_read=row.status is ObjectStatus.READ,
        objects_dead=row.status is ObjectStatus.DEAD,
        objects_known=row.status is ObjectStatus.UNCHANGED,
        objects_not_logs=row.status is ObjectStatus.NOT_LOG,
        records_read=row.records,
        records_archived=row.archived,
        records_duplicate=row.duplicates,
        records_dead=row.dead,
    )


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())
