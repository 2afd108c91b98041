"""What a committed bundle said of itself, read back from the lake."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compactions import read_compactions
from pipeline.lake_files import paths_below
from schemas.canaries import SIGHTING_SCHEMA, Canary
from schemas.compactions import FOLDER, is_merged
from schemas.digest_files import DIGEST_SCHEMA, digests_path
from schemas.digest_files import FOLDER as DIGESTS
from schemas.errors import ObjectVanished
from schemas.objects import LEDGER_SCHEMA, Bundle
from schemas.storage import Storage
from transforms.archive_job import balance_of
from transforms.bundle_writer import BundleReport, Totals
from transforms.canary_tables import sightings_from
from transforms.deliveries import is_delivery, pulse_of
from transforms.digest_tables import digests_from
from transforms.lake_tables import ledger_part, small_table
from transforms.ledger_part import LedgerPart, ledger_rows


def committed_report(lake: Storage, bundle: Bundle, canaries: tuple[Canary, ...] = ()) -> BundleReport | None:
    """The report that a bundle gave when it was committed; None for one that never was.

    Of a bundle that has been merged with others, rows and findings come from the merge. Counts of conflicts and of
    dead letters by reason are not kept, and come back as nothing.

    Raises:
        LakeDamaged: the part of the ledger or its sightings cannot be read.
        StorageError: the lake could not be read.
    """
    try:
        part = _part(lake, part_path(bundle))
        sightings = _table(lake, f"canaries/sightings-{bundle.name}.parquet", SIGHTING_SCHEMA)
        digests = _table(lake, digests_path(bundle.name), DIGEST_SCHEMA)
    except ObjectVanished:
        key = (lake.root, *paths_below(lake, f"{FOLDER}/"))
        if key not in _MERGED:
            _MERGED.clear()
            _MERGED[key] = _merged(lake)
        part, sightings, digests = _MERGED[key]
    named = {ref.uri for ref in bundle.refs}
    uris = pa.array(list(named), pa.string())
    rows = ledger_rows(part.table.filter(pc.is_in(part.table["uri"], value_set=uris)))
    if not rows:
        return None
    seen = sightings_from(sightings.filter(pc.is_in(sightings["object_key"], value_set=uris)), canaries)
    found = tuple(each for each in part.tamperings if each.object_key in named)
    pulses = tuple(pulse_of(row) for row in rows if is_delivery(row))
    balance = balance_of(rows, sum(row.archived for row in rows))
    facts = tuple(each for each in part.facts if each.object_key in named)
    told = tuple(digests_from(digests.filter(pc.is_in(digests["uri"], value_set=uris))))
    unread = tuple(each for each in part.unread if each.uri in named)
    return BundleReport(rows, tuple(seen), found, pulses, Totals(balance), facts, told, unread)


def is_committed(lake: Storage, bundle: Bundle, *, merged: bool = True) -> bool:
    """Whether a bundle was committed: one request, and no more where it cannot have been `merged` with others yet.

    Raises LakeDamaged, StorageError.
    """
    try:
        lake.stat(part_path(bundle))
    except ObjectVanished:
        return merged and committed_report(lake, bundle) is not None
    return True


def part_path(bundle: Bundle) -> str:
    """Where a bundle's part of the ledger lies."""
    return f"objects/{bundle.name}.parquet"


def _part(lake: Storage, path: str) -> LedgerPart:
    return ledger_part(lake, path, lake.read(path).body)


def _table(lake: Storage, path: str, schema: pa.Schema) -> pa.Table:
    try:
        return small_table(lake, path, lake.read(path).body, schema)
    except ObjectVanished:
        return schema.empty_table()


_MERGED: dict[tuple[str, ...], tuple[LedgerPart, pa.Table, pa.Table]] = {}
"""What was merged, read once for each compaction of a lake: a stream that starts again asks for many bundles."""


def _merged(lake: Storage) -> tuple[LedgerPart, pa.Table, pa.Table]:
    """All merged parts of the ledger as one, and all merged sightings and digests."""
    counts = read_compactions(lake).counts
    named = [path for path in paths_below(lake, "objects/") if is_merged(path) and counts(path)]
    parts = [_part(lake, path) for path in named]
    table = pa.concat_tables([LEDGER_SCHEMA.empty_table(), *(part.table for part in parts)])
    found = tuple(tampering for part in parts for tampering in part.tamperings)
    small = [
        _merged_tables(lake, counts, "canaries/sightings-", SIGHTING_SCHEMA),
        _merged_tables(lake, counts, DIGESTS, DIGEST_SCHEMA),
    ]
    facts = tuple(fact for part in parts for fact in part.facts)
    unread = tuple(each for part in parts for each in part.unread)
    return LedgerPart(table, (), found, (), facts, unread), small[0], small[1]


def _merged_tables(lake: Storage, counts: Callable[[str], bool], prefix: str, schema: pa.Schema) -> pa.Table:
    paths = [path for path in paths_below(lake, prefix) if is_merged(path) and counts(path)]
    return pa.concat_tables([schema.empty_table(), *(_table(lake, path, schema) for path in paths)])
