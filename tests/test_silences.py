"""Silences that are one incident: of an account, and of all."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from schemas.alerts import Alert, Severity, Status
from schemas.canaries import Canary, Match, Place
from schemas.times import MINUTE_US, parse_iso_us
from transforms.calibration import CAVEAT
from transforms.canary_alerts import heard, new_incident, opened, taken_back
from transforms.correlation import stories_of, tell_story
from transforms.silences import Silences, expected_from

NOON_US = parse_iso_us("2026-11-24T12:00:00Z")
PERIOD_US = 5 * MINUTE_US
A, B, C = "111122223333", "444455556666", "777788889999"
EAST, WEST = "us-east-1", "us-west-2"


def canary(
    *accounts: str, name: str = "song", regions: Sequence[str] = (EAST, WEST), since_us: int | None = 0
) -> Canary:
    """A canary of five minutes, and as much grace."""
    return Canary(name, accounts, tuple(regions), PERIOD_US, PERIOD_US, since_us, (Match("event_name", ("Run*",)),))


def at(minutes: int) -> int:
    """Minutes after noon."""
    return NOON_US + minutes * MINUTE_US


def silent(
    account: str, region: str = EAST, minutes: int = 0, kind: str = "canary.missing", name: str = "song"
) -> Alert:
    """A place falls silent."""
    incident = new_incident(kind, Place(name, account, region), at(minutes) - 2 * PERIOD_US)
    return opened(incident, at(minutes) - PERIOD_US, at(minutes), (), canary(A).open_after)


def again(opening: Alert, minutes: int) -> Alert:
    """And is heard."""
    incident = new_incident(opening.kind, place(opening), opening.window_start_us)
    return heard(incident, at(minutes) - 2 * PERIOD_US, at(minutes))


def place(alert: Alert) -> Place:
    """Where."""
    return Place(alert.canary or "", alert.account_id or "", alert.region or "")


class World:
    """Canaries, and what is told of them."""

    def __init__(self, *canaries: Canary) -> None:
        self.expected = expected_from(canaries)
        self.story = Silences()
        self.written: list[Alert] = []

    def tell(self, *alerts: Alert) -> list[Alert]:
        """What is written, in order; a process that begins anew knows as much."""
        told = tell_story(self.story, alerts, self.expected)
        self.written += told
        (self.story,) = (each for each in stories_of(self.written).values() if isinstance(each, Silences))
        return told


def pages(alerts: Sequence[Alert]) -> list[tuple[str, str, str | None]]:
    """Of those that page: kind, status and region."""
    return [(each.kind, each.status.value, each.region) for each in alerts if each.suppressed_by is None]


def test_an_account_is_one_incident() -> None:
    """All places of an account that fall silent at once are one page, named in it, and so is their return."""
    world = World(canary(A, B))
    places = [silent(A, EAST), silent(A, WEST)]
    group, *quiet = world.tell(*places)
    assert (group.kind, group.status, group.severity) == ("canary.missing", Status.OPENED, Severity.CRITICAL)
    assert (group.account_id, group.region, group.canary) == (A, None, None)
    assert group.evidence.places == (f"song {A} {EAST}", f"song {A} {WEST}")
    assert (group.detected_us, group.window_start_us) == (at(0), places[0].window_start_us)
    assert group.suppressed_by is None
    assert group.runbook == "docs/runbooks/canary-missing.md"
    assert [each.suppressed_by for each in quiet] == [group.incident_id] * 2
    ended, *ends = world.tell(*(again(each, 30) for each in places))
    assert (ended.incident_id, ended.status) == (group.incident_id, Status.RESOLVED)
    assert "heard again after 30m" in ended.title
    assert [each.suppressed_by for each in ends] == [group.incident_id] * 2


def test_an_earlier_silence_has_paged() -> None:
    """A place that was silent before pages for itself, also its end; the account's incident says that it was told."""
    world = World(canary(A, B))
    first, second = silent(A, EAST), silent(A, WEST, 10)
    assert world.tell(first) == [first]
    group, quiet = world.tell(second)
    assert "1 of them was told before" in group.title
    assert (group.suppressed_by, quiet.suppressed_by) == (None, group.incident_id)
    told = world.tell(again(first, 30), again(second, 30))
    assert pages(told) == [("canary.missing", "resolved", None), ("canary.missing", "resolved", EAST)]


def test_what_remains_silent_is_told_once() -> None:
    """The first place that is heard updates the account's incident, which names the others; the last resolves it."""
    world = World(canary(A, B, regions=(EAST, WEST, "eu-west-1")))
    places = [silent(A, region) for region in (EAST, WEST, "eu-west-1")]
    world.tell(*places)
    update, quiet = world.tell(again(places[0], 30))
    assert (update.status, update.suppressed_by, quiet.suppressed_by) == (Status.UPDATED, None, update.incident_id)
    assert "remain silent in 2 places" in update.title
    assert update.evidence.places == (f"song {A} eu-west-1", f"song {A} {WEST}")
    assert pages(world.tell(again(places[1], 40))) == []
    assert pages(world.tell(again(places[2], 50))) == [("canary.missing", "resolved", None)]


def test_a_place_that_is_silent_again_pages() -> None:
    """Heard in between, it is no longer what the account's incident is about."""
    world = World(canary(A, B))
    places = [silent(A, EAST), silent(A, WEST)]
    world.tell(*places)
    world.tell(again(places[0], 30))
    once_more = silent(A, EAST, 40)
    assert world.tell(once_more) == [once_more]
    assert pages(world.tell(again(once_more, 50), again(places[1], 50))) == [
        ("canary.missing", "resolved", None),
        ("canary.missing", "resolved", EAST),
    ]


@pytest.mark.parametrize(
    "canaries",
    [
        (canary(A, B, regions=(EAST,)),),
        (canary(A, B, regions=(EAST, WEST)),),
        (canary(A, B, regions=(EAST,)), canary(A, name="drum", regions=(WEST,), since_us=None)),
    ],
)
def test_a_single_silence_is_no_group(canaries: tuple[Canary, ...]) -> None:
    """An account with one place, or with another that is not silent, has no second incident."""
    opening = silent(A)
    assert World(*canaries).tell(opening) == [opening]


def test_places_are_expected_from_their_first_deadline() -> None:
    """A canary that begins later is not expected yet, and then it is."""
    since_us = at(60)
    canaries = canary(A, B), canary(A, name="drum", regions=(EAST,), since_us=since_us)
    assert pages(World(*canaries).tell(silent(A, EAST, 69), silent(A, WEST, 69))) == [
        ("canary.missing", "opened", None)
    ]
    late = World(*canaries).tell(silent(A, EAST, 70), silent(A, WEST, 70))
    assert [each.suppressed_by for each in late] == [None, None]


def test_everything_is_one_incident() -> None:
    """Nothing arrives from anywhere: one page for all places of all accounts, and one when something is heard."""
    world = World(canary(A, B))
    places = [silent(account, region, kind="canary.unsure") for account in (A, B) for region in (EAST, WEST)]
    group, *quiet = world.tell(*places)
    assert (group.kind, group.severity, group.account_id) == ("ingest.silent", Severity.CRITICAL, None)
    assert "4 places of 2 accounts" in group.title
    assert "nothing arrives" in group.title
    assert (group.runbook, len(group.evidence.places)) == ("docs/runbooks/ingest-silent.md", 4)
    assert {each.suppressed_by for each in quiet} == {group.incident_id}
    told = world.tell(*(again(each, 30) for each in places))
    assert pages(told) == [("ingest.silent", "resolved", None)]
    assert len(told) == 5


def test_accounts_are_quiet_under_everything() -> None:
    """Where all canaries are missing, accounts have their incidents too, and these do not page."""
    told = World(canary(A, B)).tell(*(silent(account, region) for account in (A, B) for region in (EAST, WEST)))
    assert pages(told) == [("ingest.silent", "opened", None)]
    assert "others deliver" in told[0].title
    assert [(each.kind, each.account_id, each.canary) for each in told[1:3]] == [
        ("canary.missing", A, None),
        ("canary.missing", B, None),
    ]
    assert {each.suppressed_by for each in told[1:]} == {told[0].incident_id}


def test_the_only_account_speaks_for_itself() -> None:
    """Of one account whose canaries are missing, its incident says more; if nothing arrives, that is what is told."""
    assert pages(World(canary(A)).tell(silent(A), silent(A, WEST))) == [("canary.missing", "opened", None)]
    doubt = [silent(A, region, kind="canary.unsure") for region in (EAST, WEST)]
    assert pages(World(canary(A)).tell(*doubt)) == [("ingest.silent", "opened", None)]
    alone = silent(A, kind="canary.unsure")
    assert World(canary(A, regions=(EAST,))).tell(alone) == [alone]


def test_what_remains_silent_after_everything_pages_by_account() -> None:
    """When something is heard, an account that is not is told of, as a whole; so is a single place."""
    world = World(canary(A, B, C))
    places = {(account, region): silent(account, region) for account in (A, B, C) for region in (EAST, WEST)}
    world.tell(*places.values())
    told = world.tell(again(places[A, EAST], 30), again(places[A, WEST], 30), again(places[C, EAST], 30))
    assert pages(told) == [
        ("ingest.silent", "resolved", None),
        ("canary.missing", "updated", None),
        ("canary.missing", "updated", None),
    ]
    assert [each.account_id for each in told if each.suppressed_by is None] == [None, B, C]
    assert "3 places remain silent" in told[0].title
    ends = world.tell(*(again(each, 60) for each in (places[B, EAST], places[B, WEST], places[C, WEST])))
    assert sorted(pages(ends)) == [("canary.missing", "resolved", None)] * 2


def test_doubt_that_remains_pages_by_account() -> None:
    """Accounts without an incident of their own get one then, and a single place is told of by itself."""
    world = World(canary(A, B), canary(C, name="drum", regions=(EAST, WEST)))
    openings = {
        (account, region): silent(account, region, kind="canary.unsure", name="drum" if account == C else "song")
        for account in (A, B, C)
        for region in (EAST, WEST)
    }
    world.tell(*openings.values())
    told = world.tell(again(openings[A, EAST], 30), again(openings[A, WEST], 30), again(openings[C, WEST], 30))
    assert pages(told) == [
        ("ingest.silent", "resolved", None),
        ("canary.unsure", "opened", None),
        ("canary.unsure", "updated", EAST),
    ]
    ends = world.tell(*(again(openings[each], 60) for each in ((B, EAST), (B, WEST), (C, EAST))))
    assert sorted(pages(ends), key=str) == [("canary.unsure", "resolved", EAST), ("canary.unsure", "resolved", None)]


def test_a_group_that_was_never_calibrated_says_so() -> None:
    """Like each alert of its places, if none of them was."""
    places = [silent(A, EAST), silent(A, WEST)]
    flagged = [msgspec.structs.replace(each, title=each.title + CAVEAT) for each in places]
    assert World(canary(A, B)).tell(*flagged)[0].title.endswith(CAVEAT)
    assert CAVEAT not in World(canary(A, B)).tell(flagged[0], places[1])[0].title


def test_what_was_only_read_late_is_retracted() -> None:
    """If every place is taken back, so is the account's incident."""
    world = World(canary(A, B))
    places = [silent(A, EAST), silent(A, WEST)]
    world.tell(*places)
    incidents = [new_incident(each.kind, place(each), each.window_start_us) for each in places]
    ended, *_ = world.tell(*(taken_back(each, at(0) - PERIOD_US, at(0)) for each in incidents))
    assert (ended.status, ended.suppressed_by) == (Status.RETRACTED, None)


def test_a_place_in_maintenance_is_neither_silent_nor_expected() -> None:
    """Two of three places make the group; one of two pages by itself."""
    quiet = msgspec.structs.replace(silent(A, EAST), suppressed_by="maintenance:move")
    third = silent(A, "eu-west-1")
    told = World(canary(A, B, regions=(EAST, WEST, "eu-west-1"))).tell(quiet, silent(A, WEST), third)
    assert pages(told) == [("canary.missing", "opened", None)]
    assert quiet in told
    assert sorted(World(canary(A, B)).tell(quiet, silent(A, WEST)), key=str) == sorted(
        [quiet, silent(A, WEST)], key=str
    )


def test_the_emitters_fault_is_less_severe_and_a_call_pages() -> None:
    """The group is as severe as the worst of its places; what turns out worse pages by itself."""
    world = World(canary(A, B))
    places = [msgspec.structs.replace(silent(A, region), severity=Severity.HIGH) for region in (EAST, WEST)]
    group, *_ = world.tell(*places)
    assert group.severity is Severity.HIGH
    assert "look at the emitter first" in group.title
    worse = msgspec.structs.replace(
        silent(A, EAST), alert_id="worse", status=Status.UPDATED, detected_us=at(10), severity=Severity.CRITICAL
    )
    assert world.tell(worse) == [worse]
    assert pages(world.tell(again(places[0], 30), again(places[1], 30))) == [
        ("canary.missing", "resolved", None),
        ("canary.missing", "resolved", EAST),
    ]
