"""Receipts in a folder or a bucket, and the marks of canaries that were stopped."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence

from schemas.alerts import content_id
from schemas.canaries import Canary
from schemas.errors import ObjectVanished
from schemas.receipts import Receipt, receipt_line, receipts_path
from schemas.storage import Storage


class Receipts:
    """JSON lines in `<date>/<time>-<emitter>-<number>.jsonl`, and `stopped/<canary>.json`.

    Without a storage they go nowhere, and a stop lasts as long as the process. Errors: StorageError.
    """

    def __init__(self, storage: Storage | None, canaries: Sequence[Canary]) -> None:
        self._storage = storage
        self._periods: Mapping[str, int] = {canary.name: canary.period_us for canary in canaries}
        self._held: list[Receipt] = []
        self._lock = threading.Lock()
        self._emitter = secrets.token_hex(4)
        self._files = 0

    def add(self, receipt: Receipt) -> None:
        """Hold a receipt until the next `flush`."""
        with self._lock:
            self._held.append(receipt)

    def flush(self) -> None:
        """Write what is held, as one file; it is still held if that fails."""
        with self._lock:
            if self._storage is not None and self._held:
                first_us = min(receipt.at_us for receipt in self._held)
                path = receipts_path(first_us, self._emitter, self._files)
                lines = (receipt_line(each, self._periods[each.place.canary]) for each in self._held)
                self._storage.write(path, b"".join(lines))
                self._files += 1
            self._held.clear()

    def stop(self, receipt: Receipt) -> str | None:
        """Mark the canary of a call that was not refused as stopped; return where, None if it cannot last."""
        if self._storage is None:
            return None
        path = _mark(receipt.place.canary)
        self._storage.write(path, receipt_line(receipt, self._periods[receipt.place.canary]))
        return f"{self._storage.root}/{path}"

    def stopped(self, canary: Canary) -> str | None:
        """Where a canary's mark is; None for one that may sing."""
        if self._storage is None:
            return None
        try:
            self._storage.read(_mark(canary.name))
        except ObjectVanished:
            return None
        return f"{self._storage.root}/{_mark(canary.name)}"


def _mark(name: str) -> str:
    """A canary's name may hold anything that is printable, slashes too."""
    return f"stopped/{content_id('canary', name)[:16]}.json"
