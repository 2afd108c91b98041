"""How sure it is that a canary was silent: provisional, until digests prove that its call was not logged, or was taken.

A silence is *confirmed* when an unbroken run of verified digests of one trail covers the time from the first absent
slot to its deadline, every object that they list was read, and the call is in none. It is *removed* where they list an
object of that time that is not there: the call may have been in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from schemas.alerts import CLOSING, Alert, Status, alert_order, content_id
from schemas.digest_proofs import DigestFinding, Sight
from schemas.digests import DigestFault, SignedDigest
from schemas.keys import parse_key
from schemas.maintenance import MAINTENANCE
from schemas.times import MINUTE_US
from transforms.digest_book import DigestPlace, Told

CANARY_MISSING = "canary.missing"
_NAMES_LAG_US = 5 * MINUTE_US  # the minute in a log's name comes before its delivery
_NAMES_KEPT = 20


class PlaceSight(msgspec.Struct, frozen=True):
    """What digests prove of an account and region: stretches of time, of one trail each, and logs that are not there.

    `came_us` has the end of each digest of late, and when it came.
    """

    place: DigestPlace
    proved: tuple[tuple[int, int], ...] = ()
    removed: tuple[DigestFinding, ...] = ()
    came_us: tuple[tuple[int, int], ...] = ()


def sight_of(told: Told) -> PlaceSight:
    """Of the verdict on a place what matters for silences."""
    proved: list[tuple[int, int]] = []
    last = None
    for span in sorted(told.spans, key=lambda each: (each.chain, each.start_us)):
        if span.sight is Sight.PROVED and not span.chain.backfill:
            if last is not None and (last.chain, last.end_us) == (span.chain, span.start_us):
                proved[-1] = proved[-1][0], span.end_us
            else:
                proved.append((span.start_us, span.end_us))
            last = span
    removed = tuple(each for each in told.findings if each.fault is DigestFault.LOG_MISSING)
    signed = [each for each in told.book.digests if isinstance(each, SignedDigest) and not each.chain.backfill]
    came_us = tuple((each.end_us, each.modified_us) for each in signed)
    return PlaceSight(told.book.place, tuple(proved), removed, came_us)


def place_of(alert: Alert) -> DigestPlace:
    """The account and region of an alert."""
    return alert.account_id or "", alert.region or ""


def confidences(silences: Iterable[Alert], sight: PlaceSight) -> Iterator[Alert]:
    """Updates of incidents of silent canaries of the place, told before or not; those that ended by then have none.

    `silences` are alerts of `canary.missing`, of each incident all that are known.
    """
    incidents: dict[str, list[Alert]] = defaultdict(list)
    for alert in silences:
        if alert.kind == CANARY_MISSING and alert.canary is not None and place_of(alert) == sight.place:
            incidents[alert.incident_id].append(alert)
    for _, some in sorted(incidents.items()):
        ordered = sorted(some, key=alert_order)
        opened = next((alert for alert in ordered if alert.status is Status.OPENED), None)
        update = None if opened is None else _update(opened, ordered, sight)
        ends_us = [alert.detected_us for alert in ordered if alert.status in CLOSING]
        if update is not None and all(us > update.detected_us for us in ends_us):
            yield update


def _update(opened: Alert, told: Iterable[Alert], sight: PlaceSight) -> Alert | None:
    start_us, deadline_us = opened.window_start_us, opened.detected_us
    latest = max((alert for alert in told if alert.status not in CLOSING), key=alert_order)
    removed = [each for each in sight.removed if _is_of(each, start_us, deadline_us)]
    ends_us = [end_us for begin_us, end_us in sight.proved if begin_us <= start_us and deadline_us <= end_us]
    came_us = [came for end_us, came in sight.came_us if end_us >= deadline_us]
    if removed:
        confidence, why = "removed", f"a log object of that time was delivered and is not there: {removed[0].uri}"
        at_us, names = min(each.deadline_us for each in removed), tuple(each.uri for each in removed[:_NAMES_KEPT])
    elif ends_us:
        confidence, why = "confirmed", "digests prove that everything delivered in that time was read"
        at_us, names = min(came_us, default=min(ends_us)), opened.evidence.object_keys
    else:
        return None
    maintained = (latest.suppressed_by or "").startswith(MAINTENANCE)
    return msgspec.structs.replace(
        latest,
        alert_id=content_id(opened.incident_id, "confidence", confidence),
        status=Status.UPDATED,
        title=f"{opened.title}; {confidence}: {why}",
        detected_us=max(at_us, opened.detected_us),
        confidence=confidence,
        evidence=msgspec.structs.replace(opened.evidence, object_keys=names),
        suppressed_by=latest.suppressed_by if maintained else None,
    )


def _is_of(found: DigestFinding, start_us: int, deadline_us: int) -> bool:
    """Whether a log that is not there was delivered in that time, by its name or else by its digest."""
    named_us = parse_key(found.uri).delivered_us
    if named_us is None:
        return found.start_us < deadline_us and start_us < found.end_us
    return start_us - _NAMES_LAG_US <= named_us <= deadline_us
