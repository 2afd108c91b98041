"""Digests as an Arrow table, and back; and what the ledger says of logs, for the proof."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
import pyarrow as pa

from schemas.dead_letters import Reason
from schemas.digest_files import DIGEST_SCHEMA
from schemas.digest_proofs import LogObject
from schemas.digests import BrokenDigest, Digest, SignedDigest
from schemas.keys import Kind
from schemas.objects import ObjectRow, UnreadObject
from transforms.digest_settling import named_us

_CONTENT = msgspec.json.Decoder(Digest)


def digests_table(digests: Iterable[Digest]) -> pa.Table:
    """Digests as rows of `DIGEST_SCHEMA`."""
    columns = zip(*(_row(each) for each in digests), strict=True)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, DIGEST_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=DIGEST_SCHEMA) if arrays else DIGEST_SCHEMA.empty_table()


def digests_from(table: pa.Table) -> list[Digest]:
    """Rows of `DIGEST_SCHEMA` as digests. For rows that hold none, msgspec's errors."""
    return [_CONTENT.decode(content) for content in table["content"].to_pylist()]


def log_objects(
    rows: Iterable[ObjectRow], unread: Iterable[UnreadObject]
) -> Iterator[tuple[tuple[str, str], LogObject]]:
    """Account and region, and the log as the proof wants it, of ledger rows; `unread` says why rows have no hash."""
    reasons = reasons_of(unread)
    for row in rows:
        if row.kind is Kind.LOG:
            reason = None if row.body_sha256 else reasons.get((row.uri, row.etag, row.size), Reason.READ_FAILED)
            place = row.account_id or "", row.region or ""
            yield place, LogObject(row.uri, row.delivered_us, row.body_sha256, reason)


def reasons_of(unread: Iterable[UnreadObject]) -> Mapping[tuple[str, str, int], Reason]:
    """Reasons by the identity of the object."""
    return {(each.uri, each.etag, each.size): each.reason for each in unread}


def _row(digest: Digest) -> tuple[object, ...]:
    chain, signed = digest.chain, digest if isinstance(digest, SignedDigest) else None
    return (
        digest.uri,
        chain.account_id,
        chain.region,
        chain.trail,
        chain.home_region,
        chain.backfill,
        named_us(digest),
        len(signed.logs) if signed else 0,
        digest.fault.value if isinstance(digest, BrokenDigest) else None,
        msgspec.json.encode(digest).decode(),
    )
