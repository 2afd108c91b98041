"""What `trailcanary emit` says on standard error: JSON lines of what needs a person, and a count at the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, TextIO

import msgspec

from schemas.errors import StorageError
from schemas.receipts import Outcome, Receipt
from schemas.times import format_us


class EmitLog:
    """For several threads. Refused calls are only counted; receipts have each of them."""

    def __init__(self, out: TextIO, clock: Callable[[], int]) -> None:
        self._out = out
        self._clock = clock
        self._lock = threading.Lock()
        self.counts: Counter[Outcome] = Counter()

    def made(self, receipt: Receipt) -> None:
        """A call was made; one that failed is told, because its slot may stay empty."""
        with self._lock:
            self.counts[receipt.outcome] += 1
        if receipt.outcome is Outcome.FAILED:
            self._line("canary_failed", **_members(receipt))

    def allowed(self, receipt: Receipt, mark: str | None) -> None:
        """A call was not refused: its canary makes no more calls."""
        text = "THIS CALL MUST BE REFUSED AND WAS NOT; the canary is stopped" + (
            f" until {mark} is removed" if mark else " in this process"
        )
        self._line("canary_allowed", severity="critical", text=text, **_members(receipt))

    def still_stopped(self, canary: str, mark: str) -> None:
        """An earlier call was not refused."""
        text = f"an earlier call of this canary was not refused; it is stopped until {mark} is removed"
        self._line("canary_stopped", severity="critical", text=text, canary=canary)

    def unwritten(self, error: StorageError) -> None:
        """Receipts could not be written."""
        self._line("receipts_unwritten", error=str(error))

    def summary(self) -> None:
        """How many calls there were."""
        self._line("emitted", **{outcome.value: self.counts[outcome] for outcome in Outcome})

    def _line(self, event: str, **members: Any) -> None:
        line = msgspec.json.encode({"at": format_us(self._clock()), "event": event, **members}).decode()
        with self._lock:
            self._out.write(f"{line}\n")
            self._out.flush()


def _members(receipt: Receipt) -> dict[str, Any]:
    place = receipt.place
    return {
        "canary": place.canary,
        "account_id": place.account_id,
        "region": place.region,
        "call": receipt.call,
        "error_code": receipt.error_code,
        "request_id": receipt.request_id,
    }
