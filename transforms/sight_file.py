"""The file of one tree's sight: its spans as rows, and in the metadata what the next proof goes on from."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.digest_proofs import DigestFinding, Settled, Sight, SightSpan
from schemas.digests import Chain, DigestFault, Tree
from schemas.errors import LakeDamaged
from schemas.sight import SIGHT_SCHEMA, Settlement
from schemas.storage import Storage
from transforms.small_parquet import parquet_bytes

_TREE, _SETTLED, _FINDINGS = b"tree", b"settled", b"findings"
_BROKEN = (pa.ArrowException, msgspec.MsgspecError, OSError, ValueError, KeyError)


def encode_sight(tree: Tree, spans: Iterable[SightSpan], kept: Settlement, judged_us: int) -> bytes:
    """The file: all spans of a tree, final or not, as of a time."""
    rows = [_row(span, judged_us) for span in spans]
    columns = zip(*rows, strict=True) if rows else [[] for _ in SIGHT_SCHEMA]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SIGHT_SCHEMA, strict=True)]
    metadata = {
        _TREE: msgspec.json.encode(tree),
        _SETTLED: msgspec.json.encode(kept.settled),
        _FINDINGS: msgspec.json.encode(kept.findings),
    }
    return parquet_bytes(pa.Table.from_arrays(arrays, schema=SIGHT_SCHEMA).replace_schema_metadata(metadata))


def decode_sight(lake: Storage, path: str, body: bytes) -> tuple[Tree, Settlement]:
    """The tree, and what is final of it. Raises LakeDamaged where `body` is no such file."""
    try:
        table = pq.read_table(pa.BufferReader(body), page_checksum_verification=True)
        metadata = table.schema.metadata
        tree = msgspec.json.decode(metadata[_TREE], type=Tree)
        settled = msgspec.json.decode(metadata[_SETTLED], type=Settled)
        findings = msgspec.json.decode(metadata[_FINDINGS], type=tuple[DigestFinding, ...])
        rows = table.select(SIGHT_SCHEMA.names).cast(SIGHT_SCHEMA)
        spans = tuple(_spans(tree, rows))
        final = tuple(span for span in spans if span.final)
        rest = tuple(span for span in spans if not span.final and span.cause is not DigestFault.AWAITED)
        return tree, Settlement(settled, findings, final, rest)
    except (*_BROKEN, TypeError) as error:
        raise LakeDamaged(f"{lake.root}/{path} is no file of sight: {error}") from error


def _row(span: SightSpan, judged_us: int) -> tuple[object, ...]:
    chain = span.chain
    whose = chain.account_id, chain.region, chain.trail, chain.home_region, chain.backfill, chain.root
    cause = span.cause.value if span.cause else None
    return (*whose, span.start_us, span.end_us, span.sight.value, cause, span.final, judged_us)


def _spans(tree: Tree, rows: pa.Table) -> Iterable[SightSpan]:
    names = ("trail", "home_region", "backfill", "sight", "cause", "settled")
    columns = [rows[name].to_pylist() for name in names]
    times = [rows[name].cast(pa.int64()).to_pylist() for name in ("starts_at", "ends_at")]
    whose = tree.root, tree.logs, tree.account_id, tree.region
    for trail, home, backfill, sight, cause, final, start_us, end_us in zip(*columns, *times, strict=True):
        chain = Chain(*whose, trail, home, backfill)
        fault = DigestFault(cause) if cause else None
        yield SightSpan(chain, start_us, end_us, Sight(sight), fault, final)
