"""Archive rows as records, also where a member is JSON that Python cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from schemas.archive import JSON_COLUMNS, RECORD_MEMBERS
from transforms.rebuild import load_json, records_of


def readable_records(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """Rebuild rows as records, as `records_of` does; a JSON member that Python cannot read is its plain text."""
    try:
        yield from list(records_of(rows))
    except (ValueError, RecursionError):  # JSON that the decoder kept as it was, and Python cannot read
        yield from (_partly_read(rows.slice(index, 1)) for index in range(rows.num_rows))


def _partly_read(row: pa.Table) -> dict[str, Any]:
    """The record with each unreadable JSON member as plain text, so that rules on its other members still see it."""
    try:
        return next(records_of(row))
    except (ValueError, RecursionError):
        record = next(records_of(row.drop_columns([*JSON_COLUMNS, "unmapped"])))
    for member in RECORD_MEMBERS:
        text = row[member.name][0].as_py() if member.json else None
        if text is not None:
            record[member.vendor_name] = _json_or_text(text)
    return record


def _json_or_text(text: str) -> Any:
    try:
        return load_json(text)
    except (ValueError, RecursionError):
        return text
