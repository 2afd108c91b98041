"""Why a canary is silent, as far as its emitter's receipts can say: never called, or called and not logged."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.alerts import Alert, Severity, Status, content_id
from schemas.canaries import Canary, Place
from schemas.errors import StorageError
from schemas.receipts import Outcome, Receipt
from schemas.times import format_us

_SLOTS_LOOKED_AT = 300
_NAME_KEPT = 100


def explained(alert: Alert, canary: Canary, place: Place, slots_us: Sequence[int]) -> Alert:
    """The alert that a silence opens, with what the receipts of its slots, which start at `slots_us`, say.

    A call that was made and is not in the log is what the alert is about. Where none was ever made, that is the
    emitter's fault, and one step less severe.
    """
    receipts: list[Receipt] = []
    for slot_us in slots_us:
        some = receipts_of(canary, place, slot_us)
        if some is None:
            return alert
        receipts += some
    made = [receipt for receipt in receipts if receipt.outcome is not Outcome.FAILED]
    if made:
        return msgspec.structs.replace(alert, title=f"{alert.title}; {_made(made[0])}, and is not in the log")
    why = f"failed ({_name(receipts[0].error_code)})" if receipts else "was never made: there is no receipt"
    return msgspec.structs.replace(
        alert, severity=Severity(alert.severity - 1), title=f"{alert.title}; the call {why}: look at the emitter first"
    )


def escalated(opened: Alert, canary: Canary, place: Place, first: int, last: int) -> Alert | None:
    """The alert of a silence that was the emitter's fault and is not any more; None while it may be.

    `first` to `last` are further slots that are missing; a call of the first of them that has a receipt was made.
    """
    for slot in range(max(first, last - _SLOTS_LOOKED_AT + 1), last + 1):
        start_us = canary.slot_start_us(slot)
        receipts = receipts_of(canary, place, start_us) or ()
        made = [receipt for receipt in receipts if receipt.outcome is not Outcome.FAILED]
        if made:
            return msgspec.structs.replace(
                opened,
                alert_id=content_id(opened.incident_id, "made and not logged"),
                status=Status.UPDATED,
                title=f"{opened.title}; {_made(made[0])}, and is not in the log either",
                window_end_us=start_us + canary.period_us,
                detected_us=canary.deadline_us(slot),
            )
    return None


def receipts_of(canary: Canary, place: Place, slot_us: int) -> Sequence[Receipt] | None:
    """Receipts of the slot that starts at `slot_us`; None where nobody keeps any, or they cannot be read."""
    if canary.receipts is None:
        return None
    try:
        return canary.receipts.of(place, slot_us, slot_us + canary.period_us)
    except StorageError:  # the alert matters more than what it says of the emitter
        return None


def _made(receipt: Receipt) -> str:
    how = "was refused" if receipt.outcome is Outcome.REFUSED else "was NOT refused"
    return f"a call {how} at {format_us(receipt.at_us)} (request {_name(receipt.request_id)})"


def _name(text: str | None) -> str:
    """A code or an id, printable and short: whoever can write receipts can write anything."""
    return "".join(char for char in text or "unknown" if char.isprintable())[:_NAME_KEPT]
