"""What a committed bundle said of itself, read back from the lake."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.compactions import read_compactions
from pipeline.lake_files import paths_below
from schemas.canaries import SIGHTING_SCHEMA, Canary
from schemas.compactions import FOLDER, is_merged
from schemas.errors import LakeDamaged, ObjectVanished
from schemas.objects import LEDGER_SCHEMA, Bundle
from schemas.storage import Storage
from schemas.tampering import Tampering
from transforms.archive_job import balance_of
from transforms.bundle_writer import BundleReport, Totals
from transforms.canary_tables import sightings_from
from transforms.deliveries import is_delivery, pulse_of
from transforms.ledger_part import LedgerPart, decode_ledger_part, ledger_rows

_BROKEN = (pa.ArrowException, msgspec.MsgspecError, OSError, ValueError, KeyError)  # what a file can be instead


def committed_report(lake: Storage, bundle: Bundle, canaries: tuple[Canary, ...] = ()) -> BundleReport | None:
    """The report that a bundle gave when it was committed; None for one that never was.

    Of a bundle that has been merged with others, rows and findings come from the merge. Counts of conflicts and of
    dead letters by reason are not kept, and come back as nothing.

    Raises:
        LakeDamaged: the part of the ledger or its sightings cannot be read.
        StorageError: the lake could not be read.
    """
    try:
        part = _part(lake, f"objects/{bundle.name}.parquet")
        sightings = _sightings(lake, f"canaries/sightings-{bundle.name}.parquet")
    except ObjectVanished:
        key = (lake.root, *paths_below(lake, f"{FOLDER}/"))
        if key not in _MERGED:
            _MERGED.clear()
            _MERGED[key] = _merged(lake)
        part, sightings = _MERGED[key]
    uris = pa.array([ref.uri for ref in bundle.refs], pa.string())
    rows = ledger_rows(part.table.filter(pc.is_in(part.table["uri"], value_set=uris)))
    if not rows:
        return None
    seen = sightings_from(sightings.filter(pc.is_in(sightings["object_key"], value_set=uris)), canaries)
    found = _of(part.tamperings, bundle)
    pulses = tuple(pulse_of(row) for row in rows if is_delivery(row))
    balance = balance_of(rows, sum(row.archived for row in rows))
    return BundleReport(rows, tuple(seen), found, pulses, Totals(balance))


def _of(tamperings: Sequence[Tampering], bundle: Bundle) -> tuple[Tampering, ...]:
    uris = {ref.uri for ref in bundle.refs}
    return tuple(each for each in tamperings if each.object_key in uris)


def _part(lake: Storage, path: str) -> LedgerPart:
    body = lake.read(path).body
    try:
        return decode_ledger_part(body)
    except _BROKEN as error:
        raise LakeDamaged(f"{lake.root}/{path} is no part of a ledger: {error}") from error


def _sightings(lake: Storage, path: str) -> pa.Table:
    try:
        return pq.read_table(pa.BufferReader(lake.read(path).body)).select(SIGHTING_SCHEMA.names).cast(SIGHTING_SCHEMA)
    except ObjectVanished:
        return SIGHTING_SCHEMA.empty_table()
    except _BROKEN as error:
        raise LakeDamaged(f"{lake.root}/{path}: {error}") from error


_MERGED: dict[tuple[str, ...], tuple[LedgerPart, pa.Table]] = {}
"""What was merged, read once for each compaction of a lake: a stream that starts again asks for many bundles."""


def _merged(lake: Storage) -> tuple[LedgerPart, pa.Table]:
    """All merged parts of the ledger as one, and all merged sightings."""
    counts = read_compactions(lake).counts
    named = [path for path in paths_below(lake, "objects/") if is_merged(path) and counts(path)]
    parts = [_part(lake, path) for path in named]
    table = pa.concat_tables([LEDGER_SCHEMA.empty_table(), *(part.table for part in parts)])
    found = tuple(tampering for part in parts for tampering in part.tamperings)
    heard = [path for path in paths_below(lake, "canaries/sightings-") if is_merged(path) and counts(path)]
    sightings = pa.concat_tables([SIGHTING_SCHEMA.empty_table(), *(_sightings(lake, path) for path in heard)])
    return LedgerPart(table, (), found), sightings
