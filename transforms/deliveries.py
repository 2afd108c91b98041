"""What objects' fates say about the ingest itself."""

from __future__ import annotations

from schemas.canaries import Pulse
from schemas.keys import Kind
from schemas.objects import ObjectRow, ObjectStatus


def pulse_of(row: ObjectRow) -> Pulse:
    """What an object's fate says about the ingest: alive where something readable came, blind where it was not."""
    if row.status is ObjectStatus.DEAD:
        return Pulse(row.account_id, row.region, row.delivered_us, readable=False, object_key=row.uri)
    return Pulse(None, None, row.delivered_us, readable=True)


def is_delivery(row: ObjectRow) -> bool:
    """True for what CloudTrail delivered, digests included; the bucket's other objects prove nothing."""
    return row.kind is not Kind.OTHER


def delivery_lag_us(row: ObjectRow) -> int | None:
    """From an object's first event to its delivery; None where nothing in it has a time."""
    return None if row.first_event_us is None else row.delivered_us - row.first_event_us


def intake_lag_us(row: ObjectRow) -> int:
    """From an object's delivery, to the minute that its key names, until it was taken in."""
    return row.handled_us - row.delivered_us
