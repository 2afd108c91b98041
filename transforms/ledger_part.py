"""The ledger's part of one bundle: rows for its objects, and in its metadata what else the bundle committed.

Written last, it is the commit record: files that no part names are the litter of a run that died.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.keys import Kind
from schemas.log_path import PathFact
from schemas.objects import LEDGER_SCHEMA, EventFile, ObjectRow, ObjectStatus, UnreadObject
from schemas.tampering import Tampering
from transforms.small_parquet import parquet_bytes

_EVENT_FILES = b"event_files"
_TAMPERINGS = b"tamperings"
_CANARIES = b"canaries"
_FACTS = b"log_path"
_UNREAD = b"unread"
_TIMES = {"delivered_at": "delivered_us", "modified_at": "modified_us", "first_event_at": "first_event_us"} | {
    "last_event_at": "last_event_us",
    "handled_at": "handled_us",
}
_PLAIN = [name for name in LEDGER_SCHEMA.names if name not in {*_TIMES, "kind", "status"}]


class LedgerPart(msgspec.Struct, frozen=True):
    """What one bundle committed: rows of `LEDGER_SCHEMA`, its event files, and what the rules found.

    The findings stay here, so that a run that dies before it has written its alerts loses none. `canaries` are the
    fingerprints of those that its events were searched for, `facts` what its events say of the log path,
    `unread` why objects without a body have none.
    """

    table: pa.Table
    event_files: tuple[EventFile, ...]
    tamperings: tuple[Tampering, ...]
    canaries: tuple[str, ...] = ()
    facts: tuple[PathFact, ...] = ()
    unread: tuple[UnreadObject, ...] = ()


def encode_ledger_part(part: LedgerPart) -> bytes:
    """The part as a Parquet file."""
    metadata = {
        _EVENT_FILES: msgspec.json.encode(part.event_files),
        _TAMPERINGS: msgspec.json.encode(part.tamperings),
        _CANARIES: msgspec.json.encode(part.canaries),
        _FACTS: msgspec.json.encode(part.facts),
        _UNREAD: msgspec.json.encode(part.unread),
    }
    return parquet_bytes(part.table.replace_schema_metadata(metadata))


def decode_ledger_part(body: bytes) -> LedgerPart:
    """The part as it was written. For bytes that are none, Arrow's, msgspec's, OSError or ValueError."""
    table = pq.read_table(pa.BufferReader(body), page_checksum_verification=True)
    table.validate(full=True)
    metadata = table.schema.metadata or {}
    return LedgerPart(
        table.select(LEDGER_SCHEMA.names).cast(LEDGER_SCHEMA),
        msgspec.json.decode(metadata.get(_EVENT_FILES, b"[]"), type=tuple[EventFile, ...]),
        msgspec.json.decode(metadata.get(_TAMPERINGS, b"[]"), type=tuple[Tampering, ...]),
        msgspec.json.decode(metadata.get(_CANARIES, b"[]"), type=tuple[str, ...]),
        msgspec.json.decode(metadata.get(_FACTS, b"[]"), type=tuple[PathFact, ...]),
        msgspec.json.decode(metadata.get(_UNREAD, b"[]"), type=tuple[UnreadObject, ...]),
    )


def ledger_table(rows: Sequence[ObjectRow]) -> pa.Table:
    """Rows as a table of `LEDGER_SCHEMA`."""
    columns = [pa.array(_values(rows, field.name), field.type) for field in LEDGER_SCHEMA]
    return pa.Table.from_arrays(columns, schema=LEDGER_SCHEMA)


def ledger_rows(table: pa.Table) -> tuple[ObjectRow, ...]:
    """Rows of `LEDGER_SCHEMA` as values."""
    columns = {name: table[name].to_pylist() for name in _PLAIN}
    columns |= {ours: table[name].cast(pa.int64()).to_pylist() for name, ours in _TIMES.items()}
    columns["kind"] = [Kind(value) for value in table["kind"].to_pylist()]
    columns["status"] = [ObjectStatus(value) for value in table["status"].to_pylist()]
    return tuple(ObjectRow(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True))


def _values(rows: Sequence[ObjectRow], column: str) -> list[object]:
    if column in ("kind", "status"):
        return [getattr(row, column).value for row in rows]
    attribute = _TIMES.get(column, column)
    return [getattr(row, attribute) for row in rows]
