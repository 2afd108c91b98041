"""What a committed bundle said of itself, read back from the lake."""

from __future__ import annotations

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.canaries import SIGHTING_SCHEMA, Canary, Sighting
from schemas.errors import LakeDamaged, ObjectVanished
from schemas.objects import Bundle
from schemas.storage import Storage
from transforms.archive_job import balance_of
from transforms.bundle_writer import BundleReport, Totals
from transforms.canary_tables import sightings_from
from transforms.deliveries import is_delivery, pulse_of
from transforms.ledger_part import decode_ledger_part, ledger_rows

_BROKEN = (pa.ArrowException, msgspec.MsgspecError, OSError, ValueError, KeyError)  # what a file can be instead


def committed_report(lake: Storage, bundle: Bundle, canaries: tuple[Canary, ...] = ()) -> BundleReport | None:
    """The report that a bundle gave when it was committed; None for one that never was.

    Counts of conflicts and of dead letters by reason are not kept, and come back as nothing.

    Raises:
        LakeDamaged: the part of the ledger or its sightings cannot be read.
        StorageError: the lake could not be read.
    """
    path = f"objects/{bundle.name}.parquet"
    try:
        body = lake.read(path).body
    except ObjectVanished:
        return None
    try:
        part = decode_ledger_part(body)
    except _BROKEN as error:
        raise LakeDamaged(f"{lake.root}/{path} is no part of a ledger: {error}") from error
    rows = ledger_rows(part.table)
    written = sum(file.rows for file in part.event_files)
    pulses = tuple(pulse_of(row) for row in rows if is_delivery(row))
    balance = balance_of(rows, written)
    return BundleReport(rows, _sightings(lake, bundle, canaries), part.tamperings, pulses, Totals(balance))


def _sightings(lake: Storage, bundle: Bundle, canaries: tuple[Canary, ...]) -> tuple[Sighting, ...]:
    path = f"canaries/sightings-{bundle.name}.parquet"
    try:
        table = pq.read_table(pa.BufferReader(lake.read(path).body)).select(SIGHTING_SCHEMA.names)
    except ObjectVanished:
        return ()
    except _BROKEN as error:
        raise LakeDamaged(f"{lake.root}/{path}: {error}") from error
    return tuple(sightings_from(table.cast(SIGHTING_SCHEMA), canaries))
