"""`trailcanary keys`: what it says of the public keys that a lake has, and of those that it gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

import orjson

from pipeline.key_source import list_public_keys
from pipeline.public_keys import add_keys, lake_keys
from schemas.digests import PublicKey
from schemas.errors import PublicKeyError
from schemas.storage import Storage
from schemas.times import format_us


def fetch_keys(lake: Storage, regions: Sequence[str], span_us: tuple[int, int], out: TextIO, log: TextIO) -> int:
    """Ask each region for the keys of a time, and keep those that are new; 0 if all regions gave some, else 1.

    A region that fails does not keep the others from theirs.

    Raises:
        LakeDamaged, StorageError: as the lake's keys cannot be read or written.
    """
    failed = False
    for region in dict.fromkeys(regions):
        try:
            keys = list_public_keys(region, *span_us)
            new = add_keys(lake, lake_keys(lake), keys)
        except PublicKeyError as error:
            log.write(f"trailcanary: {error}\n")
            failed = True
            continue
        out.write(f"{region}: {len(keys)} keys, {new} new, {_span(keys)}\n")
    return 1 if failed else 0


def print_keys(keys: Sequence[PublicKey], out: TextIO, *, as_json: bool) -> None:
    """A line for each key: region, validity, fingerprint, SHA-256."""
    if as_json:
        out.write(orjson.dumps([_facts(key) for key in keys], option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    for key in keys:
        out.write("  ".join(str(value) for value in _facts(key).values()) + "\n")
    if not keys:
        out.write("no keys\n")


def _facts(key: PublicKey) -> dict[str, Any]:
    return {
        "region": key.region,
        "valid_from": format_us(key.valid_from_us),
        "valid_until": format_us(key.valid_until_us),
        "fingerprint": key.fingerprint,
        "sha256": key.sha256,
    }


def _span(keys: Sequence[PublicKey]) -> str:
    first, last = min(key.valid_from_us for key in keys), max(key.valid_until_us for key in keys)
    return f"valid {format_us(first)} to {format_us(last)}"
