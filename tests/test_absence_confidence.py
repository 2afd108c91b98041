"""How sure a silence is: provisional, confirmed by digests, or one whose log was taken away."""

from __future__ import annotations

import msgspec
from digest_worlds import CHAIN, ROOT, hour_us, log_at

from schemas.alerts import Alert, Status
from schemas.canaries import OpenAfter, Place
from schemas.digest_proofs import DigestFinding
from schemas.digests import DigestFault
from schemas.maintenance import MAINTENANCE
from schemas.times import MINUTE_US
from transforms.absence_confidence import PlaceSight, confidences
from transforms.canary_alerts import heard, new_incident, opened

PLACE = ("111122223333", "eu-west-1")
INCIDENT = new_incident("canary.missing", Place("song", *PLACE), hour_us(2.5))
OPENED = opened(INCIDENT, hour_us(2.6), hour_us(2.9), (), OpenAfter())
SIGHT = PlaceSight(PLACE, ((hour_us(0), hour_us(5)),), came_us=((hour_us(2), hour_us(2.2)), (hour_us(3), hour_us(3.2))))


def removed(hour: float) -> DigestFinding:
    """A log that a digest lists, and that is not there."""
    uri, span = f"{ROOT}/{log_at(hour)[0]}", (hour_us(2), hour_us(3))
    return DigestFinding(*span, uri, DigestFault.LOG_MISSING, CHAIN, "", 0, hour_us(7), certain=True, final=False)


def told(sight: PlaceSight, *silences: Alert) -> list[tuple[str, str, int]]:
    """Transitions, confidences and times."""
    return [(each.status.value, each.confidence, each.detected_us) for each in confidences(silences, sight)]


def test_digests_over_the_slot_and_its_grace_confirm_a_silence() -> None:
    """As soon as the digest has come that covers the deadline; the incident stays what it is."""
    assert told(SIGHT, OPENED) == [("updated", "confirmed", hour_us(3.2))]
    (update,) = confidences([OPENED], SIGHT)
    same = ("incident_id", "kind", "severity", "window_start_us", "canary", "suppressed_by")
    assert [getattr(update, name) for name in same] == [getattr(OPENED, name) for name in same]
    assert update.alert_id != OPENED.alert_id


def test_a_hole_or_another_place_confirms_nothing() -> None:
    """The run must be unbroken from the start of the slot to its deadline, and be of that account and region."""
    hole = ((hour_us(0), hour_us(2.7)), (hour_us(2.8), hour_us(5)))
    early = ((hour_us(0), hour_us(2.9) - 1),)
    assert [told(msgspec.structs.replace(SIGHT, proved=proved), OPENED) for proved in (hole, early, ())] == [[]] * 3
    assert told(msgspec.structs.replace(SIGHT, place=("444455556666", PLACE[1])), OPENED) == []


def test_a_log_of_that_time_that_is_not_there_is_named() -> None:
    """The call may have been in it; a log of another quarter of the hour says nothing."""
    sight = msgspec.structs.replace(SIGHT, removed=(removed(2.7),), proved=())
    assert told(sight, OPENED) == [("updated", "removed", hour_us(7))]
    (update,) = confidences([OPENED], sight)
    assert update.evidence.object_keys == (removed(2.7).uri,)
    assert told(msgspec.structs.replace(sight, removed=(removed(2.1),)), OPENED) == []


def test_what_ended_before_its_proof_is_not_opened_again() -> None:
    """A silence that is over stays so; one that ended after the proof had been confirmed by then."""
    before = heard(INCIDENT, hour_us(3), hour_us(3.2))
    after = heard(INCIDENT, hour_us(3), hour_us(3.2) + MINUTE_US)
    assert told(SIGHT, OPENED, before) == []
    assert told(SIGHT, OPENED, after) == [("updated", "confirmed", hour_us(3.2))]


def test_maintenance_keeps_the_proof_quiet_too_and_groups_do_not() -> None:
    """What an incident of a whole account suppresses is decided anew by who knows whether that goes on."""
    window = msgspec.structs.replace(OPENED, suppressed_by=f"{MAINTENANCE}move")
    group = msgspec.structs.replace(OPENED, suppressed_by="an incident")
    found = [next(iter(confidences([each], SIGHT))).suppressed_by for each in (window, group)]
    assert found == [f"{MAINTENANCE}move", None]
    assert OPENED.status is Status.OPENED
