"""Objects, the bundles they travel in, and the ledger's row for each object ever seen."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable

import msgspec
import pyarrow as pa

from schemas.dead_letters import Reason
from schemas.keys import Kind


class Replaced(msgspec.Struct, frozen=True):
    """What the ledger has for a key that is listed again under another etag or size."""

    size: int
    body_sha256: str | None


class ObjectRef(msgspec.Struct, frozen=True):
    """An object to handle: where it is, which version of it, what its key says, and what it replaces if anything."""

    root: str
    path: str
    size: int
    etag: str
    modified_us: int
    kind: Kind
    account_id: str | None
    region: str | None
    delivered_us: int
    replaces: Replaced | None = None

    @property
    def uri(self) -> str:
        """The object's full name, as the archive's `object_key` and the ledger have it."""
        return f"{self.root}/{self.path}"


class Bundle(msgspec.Struct, frozen=True):
    """Objects that are handled, written and committed together; `name` follows from what they are."""

    name: str
    refs: tuple[ObjectRef, ...]


def bundle_name(refs: Iterable[ObjectRef]) -> str:
    """Name a bundle by its objects' identities, so that the same work always writes the same files."""
    digest = hashlib.sha256()
    for ref in refs:
        digest.update(f"{ref.uri}\0{ref.etag}\0{ref.size}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:24]


class ObjectStatus(enum.Enum):
    """How an object ended."""

    READ = "read"  # its records are rows, duplicates or dead letters
    DEAD = "dead"  # a dead letter as a whole
    UNCHANGED = "unchanged"  # listed under another etag, with the body whose records the archive already has
    NOT_LOG = "not_log"  # a digest, an aggregated file or no CloudTrail object: listed, not read


class ObjectRow(msgspec.Struct, frozen=True):
    """One ledger row. For each object: records = archived + duplicates + dead."""

    uri: str
    etag: str
    size: int
    version: str | None
    kind: Kind
    status: ObjectStatus
    account_id: str | None
    region: str | None
    delivered_us: int
    modified_us: int
    body_sha256: str | None
    records: int
    archived: int
    duplicates: int
    dead: int
    first_event_us: int | None
    last_event_us: int | None
    changed: bool
    run_id: str
    handled_us: int


class UnreadObject(msgspec.Struct, frozen=True):
    """Why an object gave no body: which one, by its ledger row's identity."""

    uri: str
    etag: str
    size: int
    reason: Reason


class EventFile(msgspec.Struct, frozen=True):
    """An archive file that a bundle committed: path below the lake, rows and bytes as written."""

    path: str
    rows: int
    bytes: int


def _timestamp() -> pa.DataType:
    return pa.timestamp("us", tz="UTC")


def _field(name: str, kind: pa.DataType, doc: str, *, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"doc": doc})


LEDGER_SCHEMA = pa.schema(
    [
        _field("uri", pa.string(), "full name of the object; `object_key` in the archive", nullable=False),
        _field("etag", pa.string(), "entity tag when listed; for a folder its mtime", nullable=False),
        _field("size", pa.int64(), "bytes as stored", nullable=False),
        _field("version", pa.string(), "the bucket's version id of the bytes that were read"),
        _field("kind", pa.string(), "log, insight, network_activity, aggregated, digest or other", nullable=False),
        _field("status", pa.string(), "read, dead, unchanged or not_log", nullable=False),
        _field("account_id", pa.string(), "account in the key"),
        _field("region", pa.string(), "region in the key"),
        _field("delivered_at", _timestamp(), "minute in the key; else the last modification", nullable=False),
        _field("modified_at", _timestamp(), "last modification", nullable=False),
        _field("body_sha256", pa.string(), "hex SHA-256 of the inflated body, as digests list it"),
        _field("records", pa.int64(), "records in the object", nullable=False),
        _field("archived", pa.int64(), "records that are rows of the archive", nullable=False),
        _field("duplicates", pa.int64(), "records dropped as copies of another in the bundle", nullable=False),
        _field("dead", pa.int64(), "records that are dead letters", nullable=False),
        _field("first_event_at", _timestamp(), "earliest event time among its rows"),
        _field("last_event_at", _timestamp(), "latest event time among its rows"),
        _field("changed", pa.bool_(), "the same key was in the ledger with another etag or size", nullable=False),
        _field("run_id", pa.string(), "the run that handled it", nullable=False),
        _field("handled_at", _timestamp(), "when that was", nullable=False),
    ]
)
"""Columns of `objects/*.parquet`. Each file's metadata also lists, under `event_files`, what it commits."""
