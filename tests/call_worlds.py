"""Canaries' calls that were forged, replayed, allowed or refused, as they are found in a bundle."""

from __future__ import annotations

from collections.abc import Iterable

from canary_worlds import CANARY, PLACE, START_US

from schemas.alerts import Severity
from schemas.canaries import Sighting
from schemas.tampering import Tampering
from schemas.times import DAY_US, MINUTE_US
from schemas.trails import Ownership
from transforms.sightings import ALLOWED, FORGED, REPLAYED

END_US = START_US + 30 * DAY_US
SEVERITIES = {FORGED: Severity.CRITICAL, REPLAYED: Severity.CRITICAL, ALLOWED: Severity.HIGH}


def found(kind: str, event_us: int, delivered_us: int | None = None, region: str = PLACE.region) -> Tampering:
    """A call of the canary that was not refused, or not its own."""
    return Tampering(
        kind, f"Canary {CANARY.name} …", "canary", SEVERITIES[kind], kind == ALLOWED, f"{kind}-{event_us}",
        "RunInstances", event_us, event_us + MINUTE_US if delivered_us is None else delivered_us, PLACE.account_id,
        region, None, Ownership.UNKNOWN, "arn", None, "a.json.gz", (), canary=CANARY.name,
    )  # fmt: skip


def refused(event_us: int, delivered_us: int | None = None) -> Sighting:
    """A call of the canary that was heard, and refused as it must be."""
    delivered_us = event_us + MINUTE_US if delivered_us is None else delivered_us
    return Sighting(PLACE, CANARY.slot_of(event_us), event_us, delivered_us, f"refused-{event_us}", "b.json.gz")


def heard_of(calls: Iterable[Tampering | Sighting]) -> list[Sighting]:
    """All that is heard: allowed calls are too."""
    return [each if isinstance(each, Sighting) else refused(each.event_us, each.delivered_us) for each in calls
            if isinstance(each, Sighting) or each.rule == ALLOWED]  # fmt: skip
