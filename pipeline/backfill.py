"""A canary that is declared, or matched otherwise, when the lake already holds events: they are searched once.

Else its past would look silent, and a fault of ours would be reported as an attack. Nobody is told of calls of the
past that a new code makes look forged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.canaries import SIGHTING_SCHEMA, Canary, Sighting
from schemas.errors import LakeDamaged, ObjectVanished
from schemas.storage import Storage
from transforms.canary_tables import sightings_table
from transforms.ledger_part import LedgerPart, encode_ledger_part
from transforms.sightings import find_calls
from transforms.small_parquet import parquet_bytes

_BATCH_ROWS = 20_000


def backfill_sightings(
    lake: Storage, parts: Mapping[str, LedgerPart], canaries: Sequence[Canary]
) -> dict[str, LedgerPart]:
    """Search the bundles that have not been searched for some canary; return all parts, as they are now in the lake.

    `parts` by bundle name. The sightings are written before the part that says so: a run that dies in between
    searches the bundle again. Errors: LakeDamaged, StorageError.
    """
    return {name: _searched(lake, name, part, canaries) for name, part in parts.items()}


def _searched(lake: Storage, bundle: str, part: LedgerPart, canaries: Sequence[Canary]) -> LedgerPart:
    wanted = [canary for canary in canaries if canary.fingerprint not in part.canaries]
    if not wanted:
        return part
    found = [sighting for file in part.event_files for sighting in _search(lake, file.path, wanted)]
    path = f"canaries/sightings-{bundle}.parquet"
    table = pa.concat_tables([_others(lake, path, wanted), sightings_table(found)])
    if table.num_rows:
        lake.write(path, parquet_bytes(table))
    else:
        lake.delete(path)
    searched = tuple(sorted({*part.canaries, *(canary.fingerprint for canary in wanted)}))
    part = msgspec.structs.replace(part, canaries=searched)
    lake.write(f"objects/{bundle}.parquet", encode_ledger_part(part))
    return part


def _search(lake: Storage, path: str, canaries: Sequence[Canary]) -> list[Sighting]:
    try:
        batches = pq.ParquetFile(pa.BufferReader(lake.read(path).body)).iter_batches(_BATCH_ROWS)
        calls = (find_calls(pa.Table.from_batches([batch]), canaries) for batch in batches)
        return [sighting for each in calls for sighting in each.sightings]
    except (pa.ArrowException, OSError) as error:
        raise LakeDamaged(f"{lake.root}/{path}: {error}") from error


def _others(lake: Storage, path: str, canaries: Sequence[Canary]) -> pa.Table:
    """Sightings that the bundle has of other canaries; those of an earlier definition of the same name are void."""
    try:
        table = pq.read_table(pa.BufferReader(lake.read(path).body)).cast(SIGHTING_SCHEMA)
    except ObjectVanished:
        return SIGHTING_SCHEMA.empty_table()
    names = pa.array([canary.name for canary in canaries], pa.string())
    return table.filter(pc.invert(pc.is_in(table["canary"], value_set=names)))
