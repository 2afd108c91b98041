"""Small files of a lake, decoded. One that is not what it should be is damage, and is named."""

from __future__ import annotations

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import LakeDamaged
from schemas.storage import Storage
from transforms.ledger_part import LedgerPart, decode_ledger_part

_BROKEN = (pa.ArrowException, msgspec.MsgspecError, OSError, ValueError, KeyError)  # what a file can be instead


def ledger_part(lake: Storage, path: str, body: bytes) -> LedgerPart:
    """The part of the ledger that lies at `path`. Raises LakeDamaged where `body` is none."""
    try:
        return decode_ledger_part(body)
    except _BROKEN as error:
        raise LakeDamaged(f"{lake.root}/{path} is no part of a ledger: {error}") from error


def small_table(lake: Storage, path: str, body: bytes, schema: pa.Schema) -> pa.Table:
    """The columns of `schema` of the Parquet file at `path`. Raises LakeDamaged where `body` does not have them."""
    try:
        return pq.read_table(pa.BufferReader(body)).select(schema.names).cast(schema)
    except _BROKEN as error:
        raise LakeDamaged(f"{lake.root}/{path}: {error}") from error
