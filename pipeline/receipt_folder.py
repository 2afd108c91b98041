"""The receipts of `trailcanary emit`, read where a canary is silent."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from pipeline.storages import open_storage
from schemas.canaries import Place
from schemas.errors import ObjectVanished
from schemas.receipts import Receipt, receipt_of, receipts_stamp
from schemas.times import DAY_US, MINUTE_US, format_us

_ByPlace: TypeAlias = Mapping[Place, tuple[Receipt, ...]]

_REACH_US = 15 * MINUTE_US
_FILES_KEPT = 64
_NAME = re.compile(r"\d{4}-\d\d-\d\d/(\d{8}T\d{6}Z)-[0-9a-f]+-\d+\.jsonl")


class ReceiptFolder(msgspec.Struct, frozen=True):
    """A `ReceiptSource`: a folder or `s3://bucket/prefix` that emitters write to.

    A file is named for its first receipt; it is read for up to a quarter of an hour after that. Lines that are no
    receipts are passed over.
    """

    uri: str

    def of(self, place: Place, start_us: int, end_us: int) -> tuple[Receipt, ...]:
        """Receipts of a place by time, from `start_us` and before `end_us`. Raises StorageError."""
        paths = _paths(self.uri, start_us - _REACH_US, end_us)
        receipts = (receipt for path in paths for receipt in _receipts(self.uri, path).get(place, ()))
        return tuple(
            sorted((each for each in receipts if start_us <= each.at_us < end_us), key=lambda each: each.at_us)
        )


@functools.lru_cache(_FILES_KEPT)
def _paths(uri: str, from_us: int, to_us: int) -> tuple[str, ...]:
    """Files that were begun in that time: asked for after a deadline, and alike for all places."""
    storage, first, last = open_storage(uri), receipts_stamp(from_us), receipts_stamp(to_us)
    paths = []
    for day in range(from_us // DAY_US, to_us // DAY_US + 1):
        folder = f"{format_us(day * DAY_US)[:10]}/"
        for stat in storage.list(folder, after=f"{folder}{first}"):
            name = _NAME.fullmatch(stat.path)
            if name is not None and first <= name[1] <= last:
                paths.append(stat.path)
    return tuple(paths)


@functools.lru_cache(_FILES_KEPT)
def _receipts(uri: str, path: str) -> _ByPlace:
    """A file never changes once it is there."""
    by_place: defaultdict[Place, list[Receipt]] = defaultdict(list)
    try:
        lines = open_storage(uri).read(path).body.splitlines()
    except ObjectVanished:  # removed by age since it was listed
        lines = []
    for receipt in filter(None, map(receipt_of, lines)):
        by_place[receipt.place].append(receipt)
    return {place: tuple(receipts) for place, receipts in by_place.items()}
