"""Dead records tried again, from the bytes that were kept. Whole objects go the ordinary way, as if they were new."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence

import msgspec
import pyarrow as pa

from schemas.balance import BalanceSheet
from schemas.dead_letters import DeadLetter
from schemas.errors import UnreadableContent
from schemas.objects import ObjectRow
from transforms.bundle_writer import ArchiveJob, BundleReport, BundleWriter
from transforms.columns import flat_batch
from transforms.parse import FlatRecord, Parsed, object_json, tolerant_record


def replay_records(
    job: ArchiveJob, row: ObjectRow, letters: Sequence[DeadLetter], committed: Container[str]
) -> BundleReport | None:
    """Archive what can now be read of one object's dead records; None where nothing can, or already is.

    `committed` has the paths of the ledger's parts: one of these letters' is there if a run died before it removed
    them. `row` is the object's row in the ledger; the report has the one that replaces it. Letters that were cut, and
    those that still cannot be read, stay what they are. The same letters write the same files.
    """
    records: list[FlatRecord] = []
    indexes: list[int] = []
    unmapped: dict[int, bytes] = {}
    for letter in letters:
        if letter.record_index is None or not readable(letter):
            continue
        record, rest = tolerant_record(letter.body)
        if rest:
            unmapped[len(records)] = object_json(rest)
        records.append(record)
        indexes.append(letter.record_index)
    name = _name(row, indexes)
    if not records or f"objects/{name}.parquet" in committed:
        return None
    writer = BundleWriter(job, name, [row.uri], [row.delivered_us])
    batch = flat_batch([(0, Parsed(records, indexes, unmapped))])
    writer.write(pa.Table.from_batches([batch]).sort_by([("event_time", "ascending"), ("record_index", "ascending")]))
    count = len(records)
    repaired = msgspec.structs.replace(
        row,
        archived=row.archived + count,
        dead=row.dead - count,
        changed=False,
        run_id=job.run_id,
        handled_us=job.now_us,
    )
    return writer.commit((repaired,), (), BalanceSheet(records_read=count, records_archived=count), 0)


def readable(letter: DeadLetter) -> bool:
    """True for a dead record, kept whole, that this version can read."""
    if len(letter.body) < letter.body_size:
        return False
    try:
        tolerant_record(letter.body)
    except UnreadableContent:
        return False
    return True


def _name(row: ObjectRow, indexes: Sequence[int]) -> str:
    identity = f"replay {row.uri} {row.etag} {row.size} {indexes}"
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:24]
