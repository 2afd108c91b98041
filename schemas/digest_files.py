"""Digests as the lake keeps them: `digests/<bundle>.parquet`, a row for each that was read."""

from __future__ import annotations

import pyarrow as pa

FOLDER = "digests/"


def digests_path(name: str) -> str:
    """Where a bundle's, or a merge's, digests lie if there are any."""
    return f"{FOLDER}{name}.parquet"


def _field(name: str, kind: pa.DataType, doc: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"doc": doc})


DIGEST_SCHEMA = pa.schema(
    [
        _field("uri", pa.string(), "full name of the digest, as the ledger has it"),
        _field("account_id", pa.string(), "account in the name"),
        _field("region", pa.string(), "region in the name"),
        _field("trail", pa.string(), "trail in the name; empty for what is not named as a digest"),
        _field("home_region", pa.string(), "the trail's home region, in the name"),
        _field("backfill", pa.bool_(), "true for a backfill digest"),
        _field("ends_at", pa.timestamp("us", tz="UTC"), "the time in the name: when its interval ends"),
        _field("logs", pa.int64(), "log objects that it lists"),
        _field("fault", pa.string(), "why it could not be read, if it could not", nullable=True),
        _field("content", pa.string(), "what it says and its metadata, as JSON of `schemas.digests.Digest`"),
    ]
)
"""Columns of `digests/*.parquet`. What they say is not verified: the view `blind` has what follows."""
