"""Receipts: what became of each call that a canary's emitter made, whatever the log says of it."""

from __future__ import annotations

import enum

import msgspec

from schemas.canaries import Place
from schemas.times import format_us, parse_iso_us


class Outcome(enum.Enum):
    """What became of a call."""

    REFUSED = "refused"  # as it must be
    ALLOWED = "allowed"  # it succeeded, or would have: the guard rail is gone
    FAILED = "failed"  # neither: throttled, not reached, no credentials


PERMITTED = frozenset({"DryRunOperation", "InvalidLocationConstraint", "IllegalLocationConstraintException"})
"""Error codes of calls that nobody refused, and that failed for a reason of their own (`emit` gives them some)."""


class Receipt(msgspec.Struct, frozen=True):
    """One call. `error_code` is AWS's (EC2's without the `Client.` that the log puts before it), or what went wrong."""

    place: Place
    slot: int
    at_us: int
    call: str
    outcome: Outcome
    error_code: str | None = None
    request_id: str | None = None


class _Line(msgspec.Struct):
    """A line of JSON: its members in their order."""

    at: str
    canary: str
    account_id: str
    region: str
    slot: int
    slot_start: str
    call: str
    outcome: Outcome
    error_code: str | None = None
    request_id: str | None = None


_DECODER = msgspec.json.Decoder(_Line)


def receipts_stamp(us: int) -> str:
    """A time as names of files of receipts have it; names of a day sort by time."""
    return format_us(us)[:19].replace(":", "").replace("-", "") + "Z"


def receipts_path(first_us: int, emitter: str, number: int) -> str:
    """Where an emitter writes a file that begins with a receipt of `first_us`: `<date>/<time>-<emitter>-<n>.jsonl`."""
    return f"{format_us(first_us)[:10]}/{receipts_stamp(first_us)}-{emitter}-{number}.jsonl"


def receipt_line(receipt: Receipt, period_us: int) -> bytes:
    """One line of JSON, with its end; `period_us` is the canary's, and gives the start of the slot."""
    line = _Line(
        format_us(receipt.at_us),
        receipt.place.canary,
        receipt.place.account_id,
        receipt.place.region,
        receipt.slot,
        format_us(receipt.slot * period_us),
        receipt.call,
        receipt.outcome,
        receipt.error_code,
        receipt.request_id,
    )
    return msgspec.json.encode(line) + b"\n"


def receipt_of(line: bytes) -> Receipt | None:
    """A line of JSON as a receipt; None for what is none."""
    try:
        read = _DECODER.decode(line)
        at_us = parse_iso_us(read.at)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return None
    place = Place(read.canary, read.account_id, read.region)
    return Receipt(place, read.slot, at_us, read.call, read.outcome, read.error_code, read.request_id)
