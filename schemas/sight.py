"""Sight in the lake: what is known of which time of which trail, one small file for each tree of logs."""

from __future__ import annotations

import hashlib

import msgspec
import pyarrow as pa

from schemas.digest_proofs import DigestFinding, Settled, SightSpan
from schemas.digests import Tree

FOLDER = "sight/"


class Settlement(msgspec.Struct, frozen=True):
    """What is told once of a tree, and what later proofs go on from: they need no digests and logs of before.

    `open_spans` were told last, and are neither final nor merely awaited.
    """

    settled: Settled = Settled()
    findings: tuple[DigestFinding, ...] = ()
    spans: tuple[SightSpan, ...] = ()
    open_spans: tuple[SightSpan, ...] = ()


def sight_path(tree: Tree) -> str:
    """Where the file of a tree lies: always the same, and replaced as a whole."""
    named = "\0".join((tree.root, tree.logs, tree.account_id, tree.region)).encode("utf-8", "surrogatepass")
    return f"{FOLDER}{hashlib.sha256(named).hexdigest()[:24]}.parquet"


def _field(name: str, kind: pa.DataType, doc: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"doc": doc})


_TIME = pa.timestamp("us", tz="UTC")
SIGHT_SCHEMA = pa.schema(
    [
        _field("account_id", pa.string(), "the account whose logs they are"),
        _field("region", pa.string(), "their region"),
        _field("trail", pa.string(), "the trail that signs; empty for digests that are not named as such"),
        _field("home_region", pa.string(), "its home region"),
        _field("backfill", pa.bool_(), "true for the chain of its backfill digests"),
        _field("root", pa.string(), "the input that they were read from"),
        _field("starts_at", _TIME, "start of the interval, a time of delivery"),
        _field("ends_at", _TIME, "its end"),
        _field("sight", pa.string(), "proved: what was delivered is what was read; unproved; or lost"),
        _field("cause", pa.string(), "why it is not proved: a fault, see docs/digests.md", nullable=True),
        _field("settled", pa.bool_(), "true where nothing is waited for any more"),
        _field("judged_at", _TIME, "as of when that was said"),
    ]
)
"""Columns of `sight/*.parquet`."""
