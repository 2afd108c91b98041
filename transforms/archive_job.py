"""One bundle, from objects to committed files: plain Python, which a pool, a test and a Beam worker call alike."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from schemas.balance import BalanceSheet
from schemas.digests import Digest, SignedDigest
from schemas.keys import Kind
from schemas.objects import Bundle, ObjectRef, ObjectRow, ObjectStatus
from transforms.bundle_reader import BundleReader, Outcome
from transforms.bundle_writer import ArchiveJob, BundleReport, BundleWriter
from transforms.dedupe import drop_duplicates
from transforms.digest_decode import read_digest, unread_digest
from transforms.fetch import fetch, fetch_stored
from transforms.heap import keep_freed_blocks
from transforms.sorted_runs import CHUNK_BYTES, times_of
from transforms.unicode_text import encodable

_NEVER = np.iinfo(np.int64)


def archive_bundle(job: ArchiveJob, bundle: Bundle) -> BundleReport:
    """Read, write and commit one bundle; doing it twice writes the same files twice.

    Unreadable objects and records become dead letters. Errors: StorageError when the lake cannot be written; then
    nothing is committed.
    """
    keep_freed_blocks()
    collecting = gc.isenabled()
    gc.disable()  # the decoder makes millions of objects and no cycles: collections would only walk them
    try:
        return _archive(job, bundle)
    finally:
        if collecting:
            gc.enable()


def _archive(job: ArchiveJob, bundle: Bundle) -> BundleReport:
    reader = BundleReader(job.run_id, job.limits.max_dead_letter_bytes)
    logs = [(number, ref) for number, ref in enumerate(bundle.refs) if ref.kind.holds_records]
    reader.read(fetch(logs, job.inputs, job.limits.max_object_bytes))
    reader.finish()
    uris = [encodable(ref.uri) for ref in bundle.refs]
    writer = BundleWriter(job, bundle.name, uris, [ref.delivered_us for ref in bundle.refs])
    totals = _Totals(len(bundle.refs))
    chunk_rows = reader.runs.rows * CHUNK_BYTES // max(1, reader.body_bytes)
    for chunk in reader.runs.chunks(max(1, chunk_rows)):
        deduped = drop_duplicates(chunk)
        totals.add(chunk, deduped.dropped, deduped.conflicts)
        writer.write(deduped.table)
    digests = _digests(job, bundle)
    outcomes = reader.outcomes | {number: _outcome(bundle.refs[number], each) for number, each in digests.items()}
    rows = tuple(
        totals.row(job, number, outcomes.get(number, Outcome(ref, ObjectStatus.NOT_LOG)))
        for number, ref in enumerate(bundle.refs)
    )
    balance, told, unread = balance_of(rows, 0), tuple(digests.values()), tuple(reader.unread)
    return writer.commit(rows, reader.letters, balance, totals.conflicts, digests=told, unread=unread)


def _digests(job: ArchiveJob, bundle: Bundle) -> dict[int, Digest]:
    """The bundle's digests by their numbers; one that cannot be read says why."""
    refs = [(number, ref) for number, ref in enumerate(bundle.refs) if ref.kind is Kind.DIGEST]
    return {
        number: unread_digest(ref, *stored)
        if isinstance(stored, tuple)
        else read_digest(ref, stored, job.limits.max_object_bytes)
        for number, ref, stored in fetch_stored(refs, job.inputs)
    }


def _outcome(ref: ObjectRef, digest: Digest) -> Outcome:
    sha256 = digest.body_sha256 if isinstance(digest, SignedDigest) else None
    return Outcome(ref, ObjectStatus.NOT_LOG, sha256, digest.version)


class _Totals:
    """Copies dropped and the span of event times, by object number."""

    def __init__(self, objects: int) -> None:
        self._duplicates = np.zeros(objects, np.int64)
        self._first_us = np.full(objects, _NEVER.max, np.int64)
        self._last_us = np.full(objects, _NEVER.min, np.int64)
        self.conflicts = 0

    def add(self, chunk: pa.Table, dropped: np.typing.NDArray[np.int32], conflicts: int) -> None:
        np.add.at(self._duplicates, dropped, 1)
        numbers = chunk["object_number"].combine_chunks().to_numpy()
        np.minimum.at(self._first_us, numbers, times_of(chunk))
        np.maximum.at(self._last_us, numbers, times_of(chunk))
        self.conflicts += conflicts

    def row(self, job: ArchiveJob, number: int, outcome: Outcome) -> ObjectRow:
        ref, duplicates = outcome.ref, int(self._duplicates[number])
        dated = self._first_us[number] != _NEVER.max
        return ObjectRow(
            uri=encodable(ref.uri),
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
            first_event_us=int(self._first_us[number]) if dated else None,
            last_event_us=int(self._last_us[number]) if dated else None,
            changed=_changed(ref, outcome.status),
            run_id=job.run_id,
            handled_us=job.now_us,
        )


def _changed(ref: ObjectRef, status: ObjectStatus) -> bool:
    """CloudTrail writes each key once; what else lies in the bucket may change as it likes.

    A folder's etag is a time: a copy that was merely touched, byte for byte as long, is no finding.
    """
    if ref.replaces is None or ref.kind is Kind.OTHER:
        return False
    touched = ref.etag.startswith("mtime:") and ref.size == ref.replaces.size
    return not (touched and status in (ObjectStatus.UNCHANGED, ObjectStatus.NOT_LOG))


def balance_of(rows: Sequence[ObjectRow], rows_written: int) -> BalanceSheet:
    """A bundle's balance, by its ledger rows and the rows in its files."""
    statuses = Counter(row.status for row in rows)
    return BalanceSheet(
        objects_read=statuses[ObjectStatus.READ],
        objects_dead=statuses[ObjectStatus.DEAD],
        objects_known=statuses[ObjectStatus.UNCHANGED],
        objects_not_logs=statuses[ObjectStatus.NOT_LOG],
        records_read=sum(row.records for row in rows),
        records_archived=sum(row.archived for row in rows),
        records_duplicate=sum(row.duplicates for row in rows),
        records_dead=sum(row.dead for row in rows),
        rows_written=rows_written,
    )
