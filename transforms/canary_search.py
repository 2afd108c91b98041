"""Test calls found again in the bodies of log objects, by their request ids or their codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from schemas.archive import EVENT_TIME, RECORD_MEMBERS
from schemas.canaries import Canary
from schemas.errors import UnreadableContent
from schemas.receipts import Receipt
from transforms.canary_carriers import carried_code, carrier_texts
from transforms.canary_match import rows_meeting
from transforms.columns import NotTimes, flat_batch, nest
from transforms.parse import parse_fast, parse_tolerant
from transforms.sightings import find_calls


class Wanted(msgspec.Struct, frozen=True):
    """A call that was made; `token` is the prefix and the code that it carries, None for a canary without a code."""

    canary: Canary
    receipt: Receipt
    token: str | None


class Origin(msgspec.Struct, frozen=True):
    """Where a body comes from; `region` is the one whose log it is, `readable_us` when it could be read."""

    object_key: str
    region: str | None
    readable_us: int


class Found(msgspec.Struct, frozen=True):
    """A wanted call's record. The fields are those of `schemas.calibration.Measured`."""

    wanted: Wanted
    origin: Origin
    event_id: str | None
    heard: bool
    carrier_present: bool | None
    unmet: tuple[str, ...]
    fields: tuple[str, ...]
    log_error_code: str | None
    delay_us: int


def find_wanted(body: bytes, origin: Origin, wanted: Sequence[Wanted]) -> Iterator[Found]:
    """Wanted calls whose records lie in an object's inflated body; the first record of each.

    A record is the call's if it has its request id, or carries its code, and its account. What is no record, or no
    object of records, holds none.

    Raises:
        SecretUnavailable: the secret of a canary's code cannot be read.
    """
    ids = {each.receipt.request_id for each in wanted} - {None}
    needles = [text.encode("utf-8", "surrogatepass") for text in ids if text]
    needles += [
        canary.code.prefix.encode()
        for canary in {each.canary.name: each.canary for each in wanted}.values()
        if canary.code
    ]
    table = _table(body, origin) if any(needle in body for needle in needles) else None
    if table is not None:
        yield from _found(table, origin, wanted)


def _table(body: bytes, origin: Origin) -> pa.Table | None:
    """The rows of a body with their provenance; None where there are none."""
    try:
        parsed = parse_fast(body) or parse_tolerant(body)
        try:
            batch = flat_batch([(0, parsed)])
        except NotTimes:
            batch = flat_batch([(0, parse_tolerant(body))])
    except UnreadableContent:
        return None
    rows = nest(pa.Table.from_batches([batch]))
    if not rows.num_rows:
        return None
    readable = pa.array([origin.readable_us] * rows.num_rows, pa.int64()).cast(EVENT_TIME)
    keys = pa.array([origin.object_key] * rows.num_rows, pa.string())
    return rows.append_column("object_key", keys).append_column("delivered_at", readable)


def _found(table: pa.Table, origin: Origin, wanted: Sequence[Wanted]) -> Iterator[Found]:
    by_id = _rows_by_text(table["request_id"].to_pylist())
    canaries = {each.canary.name: each.canary for each in wanted}
    by_code = {name: _rows_by_text(_codes(table, canary)) for name, canary in canaries.items()}
    recipients = table["recipient_account_id"].to_pylist()
    callers = pc.struct_field(table["user_identity"], "account_id").to_pylist()
    for each in wanted:
        rows = [
            *by_id.get(each.receipt.request_id or "", ()),
            *by_code[each.canary.name].get(each.token or "", ()),
        ]
        account = each.receipt.place.account_id
        row = next((row for row in rows if (recipients[row] or callers[row]) == account), None)
        if row is not None:
            yield _judged(table.slice(row, 1), origin, each)


def _codes(table: pa.Table, canary: Canary) -> list[str | None]:
    """The prefix and the code that each row carries."""
    if canary.code is None:
        return []
    codes = [carried_code(canary.code, text) for text in carrier_texts(table, canary.code)]
    return [None if code is None else canary.code.prefix + code for code in codes]


def _rows_by_text(texts: Sequence[str | None]) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        if text:
            found.setdefault(text, []).append(number)
    return found


def _judged(row: pa.Table, origin: Origin, wanted: Wanted) -> Found:
    """What the job would say of a record."""
    canary, place = wanted.canary, wanted.receipt.place
    unmet = [match.field for match in canary.match if not len(rows_meeting(row, [match]))]
    if row["aws_region"][0].as_py() != place.region:
        unmet.append("region")
    present = None if canary.code is None else _codes(row, canary) == [wanted.token]
    event_us = int(row["event_time"].cast(pa.int64())[0].as_py())
    sightings = find_calls(row, [canary]).sightings
    heard = not unmet and any(each.place == place for each in sightings)
    return Found(
        wanted,
        origin,
        row["event_id"][0].as_py(),
        heard=heard,
        carrier_present=present,
        unmet=tuple(unmet),
        fields=tuple(member.name for member in RECORD_MEMBERS if row[member.name][0].is_valid),
        log_error_code=row["error_code"][0].as_py(),
        delay_us=max(0, origin.readable_us - event_us),
    )
