"""Receipts: what became of each call that a canary's emitter made, whatever the log says of it."""

from __future__ import annotations

import enum

import msgspec

from schemas.canaries import Place
from schemas.times import format_us


class Outcome(enum.Enum):
    """What became of a call."""

    REFUSED = "refused"  # as it must be
    ALLOWED = "allowed"  # it succeeded, or would have: the guard rail is gone
    FAILED = "failed"  # neither: throttled, not reached, no credentials


class Receipt(msgspec.Struct, frozen=True):
    """One call. `error_code` is AWS's (EC2's without the `Client.` that the log puts before it), or what went wrong."""

    place: Place
    slot: int
    at_us: int
    call: str
    outcome: Outcome
    error_code: str | None = None
    request_id: str | None = None


def receipt_line(receipt: Receipt, period_us: int) -> bytes:
    """One line of JSON, with its end; `period_us` is the canary's, and gives the start of the slot."""
    members = {
        "at": format_us(receipt.at_us),
        "canary": receipt.place.canary,
        "account_id": receipt.place.account_id,
        "region": receipt.place.region,
        "slot": receipt.slot,
        "slot_start": format_us(receipt.slot * period_us),
        "call": receipt.call,
        "outcome": receipt.outcome.value,
        "error_code": receipt.error_code,
        "request_id": receipt.request_id,
    }
    return msgspec.json.encode(members) + b"\n"
