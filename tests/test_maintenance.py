"""Maintenance windows: how they are declared, what they keep quiet, and when what they kept quiet pages after all."""

from __future__ import annotations

import msgspec
import pytest
from canary_worlds import CANARY, FIRST, PLACE, START_US, World, empty_lake, offsets, run, worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import load_config
from schemas.alerts import Alert, Severity, Status, alert_order
from schemas.canaries import Canary, OpenAfter, SlotVerdict, Verdict
from schemas.errors import UsageError
from schemas.maintenance import Maintenance
from schemas.times import DAY_US, MINUTE_US
from transforms.incidents import Telling, track
from transforms.maintenance import maintained

FILE = """
[[canary]]
name = "dry-run-instances"
accounts = ["111122223333"]
regions = ["eu-west-1"]
period = "5m"
grace = "10m"
open_after = "2 of 3"
match = { event_name = "RunInstances" }
[[maintenance]]
name = "move"
start = 2026-11-01T00:20:00Z
end = 2026-11-01T01:00:00+00:00
accounts = ["1111*", "444455556666"]
regions = ["eu-*"]
canaries = ["dry-*"]
"""


def at_minute(minute: float) -> int:
    """Microseconds."""
    return START_US + int(minute * MINUTE_US)


MOVE = Maintenance("move", at_minute(20), at_minute(60))
QUIET = "maintenance:move"


def with_windows(*windows: Maintenance, canary: Canary = CANARY) -> Canary:
    """A canary whose maintenance is known."""
    return msgspec.structs.replace(canary, maintenance=windows)


def slots(*spans: tuple[int, int, Verdict]) -> list[SlotVerdict]:
    """Verdicts by index of the first and the last slot."""
    return [SlotVerdict(PLACE, FIRST + first, FIRST + last, verdict) for first, last, verdict in spans]


def told(canary: Canary, *spans: tuple[int, int, Verdict]) -> list[tuple[str, int, str | None]]:
    """Status, the slot that was due, and what suppresses it."""
    alerts = track(canary, slots(*spans), [])
    return [
        (alert.status.value, canary.last_slot_due(alert.detected_us) - FIRST, alert.suppressed_by) for alert in alerts
    ]


def test_declared_windows() -> None:
    """Every key in its place; a canary has those that may concern it."""
    config = load_config(FILE, "c.toml")
    window = Maintenance("move", at_minute(20), at_minute(60), ("1111*", "444455556666"), ("eu-*",), ("dry-*",))
    assert config.maintenance == (window,)
    assert config.canaries[0].maintenance == (window,)
    assert config.canaries[0].open_after == OpenAfter(2, 3)
    other = FILE.replace('name = "dry-run-instances"', 'name = "song"').replace('canaries = ["dry-*"]', "")
    assert load_config(other, "c.toml").canaries[0].maintenance == (msgspec.structs.replace(window, canaries=()),)


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ('open_after = "2 of 3"', "open_after = 2", 'canary "dry-run-instances": open_after: 2 is a number'),
        ("2 of 3", "2/3", 'open_after: "2/3" is not N of M, such as 2 of 3'),
        ("2 of 3", "0 of 3", 'open_after: "0 of 3" is not N of M, such as 2 of 3'),
        ("2 of 3", "4 of 3", "open_after: 4 of 3 is not N of M with N up to M and M up to 100"),
        ("2 of 3", "2 of 101", "open_after: 2 of 101 is not N of M with N up to M and M up to 100"),
        ("[[maintenance]]", "[[maintainance]]", 'unknown key "maintainance" (did you mean "maintenance"?)'),
        ('name = "move"', "", "maintenance number 1: name is missing"),
        ('name = "move"', 'name = "a move"', '"a move" is not a name of 1 to 64 letters, digits and . _ -'),
        ("start = 2026-11-01T00:20:00Z", "", 'maintenance "move": start is missing'),
        ("end = 2026-11-01T01:00:00+00:00", "", 'maintenance "move": end is missing'),
        ("01:00:00+00:00", "01:00:00", "end says no time zone"),
        ("01:00:00+00:00", "01:00:00+01:00", 'maintenance "move": end must lie after start'),
        ("2026-11-01T01:00:00+00:00", "2026-12-24", "end lies more than 31 days after start"),
        ('"1111*"', '"11112222333"', 'accounts: "11112222333" is not an account id of 12 digits, or a pattern'),
        ('"eu-*"', '"eu"', 'regions: "eu" is not a region, or a pattern such as eu-*'),
        ('"dry-*"', '"dray-*"', 'canaries: "dray-*" is no canary of this file'),
        ('canaries = ["dry-*"]', "canaries = []", "canaries is empty: name at least one"),
        ("regions = [", "region = [", 'unknown key "region" (did you mean "regions"?)'),
    ],
)
def test_a_mistake_is_told_with_its_place(right: str, wrong: str, problem: str) -> None:
    """One mistake, and a message that names the key."""
    head, mark, tail = FILE.rpartition(right)
    assert mark
    with pytest.raises(UsageError) as caught:
        load_config(head + wrong + tail, "c.toml")
    assert any(problem in each for each in caught.value.problems), caught.value.problems


def test_windows_have_names_of_their_own() -> None:
    """An alert names the one that suppresses it."""
    with pytest.raises(UsageError, match='maintenance "move": declared 2 times'):
        load_config(FILE + FILE[FILE.index("[[maintenance]]") :], "c.toml")


def test_silence_that_ends_with_maintenance_pages_nobody() -> None:
    """Opened and resolved are written, and both are suppressed."""
    verdicts = ((0, 4, Verdict.SEEN), (5, 11, Verdict.MISSING), (12, 14, Verdict.SEEN))
    assert told(with_windows(MOVE), *verdicts) == [("opened", 5, QUIET), ("resolved", 12, QUIET)]


def test_silence_that_goes_on_pages_with_the_first_slot_after_maintenance() -> None:
    """At that slot's deadline, once; what ends it is not suppressed either."""
    verdicts = ((5, 30, Verdict.MISSING), (31, 31, Verdict.SEEN))
    alerts = list(track(with_windows(MOVE), slots(*verdicts), []))
    statuses = [(alert.status, alert.suppressed_by) for alert in alerts]
    assert statuses == [(Status.OPENED, QUIET), (Status.UPDATED, None), (Status.RESOLVED, None)]
    page = alerts[1]
    assert page.detected_us == CANARY.deadline_us(FIRST + 12)
    assert (page.severity, page.window_end_us) == (Severity.CRITICAL, at_minute(65))
    assert page.title == (
        "Canary dry-run-instances is still silent in 111122223333 eu-west-1 since 2026-11-01T00:25:00Z, "
        "after the maintenance move too"
    )


@pytest.mark.parametrize(
    ("slot", "quiet"),
    [(0, False), (1, True), (4, True), (11, True), (12, False)],
)
def test_slot_is_excused_from_its_start_to_its_deadline(slot: int, quiet: bool) -> None:  # noqa: FBT001
    """What was not called, or not delivered, because of the maintenance: slot 1 is due as it begins."""
    assert told(with_windows(MOVE), (slot, slot, Verdict.MISSING)) == [("opened", slot, QUIET if quiet else None)]


def test_doubt_after_maintenance_is_no_end_of_a_silence() -> None:
    """What is still open pages with whatever slot is absent: two incidents, and a page of each."""
    verdicts = ((5, 11, Verdict.MISSING), (12, 30, Verdict.UNSURE))
    assert told(with_windows(MOVE), *verdicts) == [("opened", 5, QUIET), ("updated", 12, None), ("opened", 12, None)]


def test_incident_that_ends_before_the_page_is_due_stays_quiet() -> None:
    """Doubt ends with a late arrival, while a silence that began meanwhile goes on."""
    (doubt,) = slots((9, 9, Verdict.UNSURE))
    late = msgspec.structs.replace(doubt, verdict=Verdict.LATE, delivered_us=at_minute(70), at_deadline=doubt)
    alerts = list(track(with_windows(MOVE), [late, *slots((10, 30, Verdict.MISSING))], []))
    assert [(alert.kind, alert.status.value, alert.suppressed_by) for alert in sorted(alerts, key=alert_order)] == [
        ("canary.unsure", "opened", QUIET),
        ("canary.missing", "opened", QUIET),
        ("canary.unsure", "resolved", QUIET),
        ("canary.missing", "updated", None),
    ]


def test_incident_that_paged_before_maintenance_does_not_page_again_after_it() -> None:
    """There is one page for an incident and transition; and its end is told to whom it was."""
    verdicts = ((0, 20, Verdict.MISSING), (21, 21, Verdict.SEEN))
    assert told(with_windows(MOVE), *verdicts) == [("opened", 0, None), ("resolved", 21, None)]


def test_windows_that_follow_each_other_are_one() -> None:
    """Nobody is paged in between; the first that ends last counts."""
    later = Maintenance("later", at_minute(58), at_minute(90))
    assert told(with_windows(MOVE, later), (5, 30, Verdict.MISSING)) == [("opened", 5, QUIET), ("updated", 18, None)]


@pytest.mark.parametrize(
    ("window", "quiet"),
    [
        ({"accounts": ("1111*",), "regions": ("eu-*",), "canaries": ("dry-*",)}, True),
        ({"accounts": ("2222*",)}, False),
        ({"regions": ("us-*",)}, False),
        ({"canaries": ("dry-run",)}, False),
        ({}, True),
    ],
)
def test_window_concerns_the_places_that_it_names(window: dict[str, tuple[str, ...]], quiet: bool) -> None:  # noqa: FBT001
    """Globs of accounts, regions and canaries, all of which must hold; none given holds for any."""
    canary = with_windows(msgspec.structs.replace(MOVE, **window))
    assert told(canary, (5, 5, Verdict.MISSING)) == [("opened", 5, QUIET if quiet else None)]


def finding(**members: object) -> Alert:
    """What a rule found at 00:30."""
    at_us = at_minute(30)
    alert = Alert(
        "a", "i", "watcher.tampered", Status.OPENED, Severity.HIGH, "t", "111122223333", "eu-west-1", at_us, at_us,
        at_us + DAY_US, "certain",
    )  # fmt: skip
    return msgspec.structs.replace(alert, **members)


@pytest.mark.parametrize(
    ("members", "quiet"),
    [
        ({}, True),
        ({"kind": "trail.attempted"}, True),
        ({"kind": "rule.matched", "status": Status.UPDATED}, True),
        ({"severity": Severity.CRITICAL}, False),
        ({"kind": "trail.time_bomb"}, False),
        ({"kind": "trail.coverage_lost"}, False),
        ({"kind": "ingest.unreadable"}, False),
        ({"account_id": "222233334444"}, False),
        ({"account_id": None}, False),
        ({"region": "us-east-1"}, False),
        ({"window_start_us": at_minute(19), "window_end_us": at_minute(19)}, False),
        ({"window_start_us": at_minute(60), "window_end_us": at_minute(60)}, False),
        ({"status": Status.RESOLVED, "window_end_us": at_minute(70)}, False),
    ],
)
def test_findings_of_rules_are_quiet_unless_critical(members: dict[str, object], quiet: bool) -> None:  # noqa: FBT001
    """By the time of the call, whenever it was delivered; what the log path's state says pages always."""
    window = msgspec.structs.replace(MOVE, accounts=("1111*",), regions=("eu-west-1",))
    assert maintained(finding(**members), [window]).suppressed_by == (QUIET if quiet else None)


def test_window_about_canaries_is_not_about_rules() -> None:
    """And what is suppressed already says by what it was."""
    window = msgspec.structs.replace(MOVE, canaries=("dry-*",))
    assert maintained(finding(), [window]) == finding()
    quiet = finding(suppressed_by="i")
    assert maintained(quiet, [MOVE]) == quiet


def test_page_is_remembered() -> None:
    """Whoever goes on with what was left in memory does not page again."""
    canary = with_windows(MOVE)
    telling = Telling(canary, [])
    first = list(telling.go_on(slots((5, 12, Verdict.MISSING))))
    assert [alert.suppressed_by for alert in first] == [QUIET, None]
    assert list(Telling(canary, telling.left()).go_on(slots((13, 14, Verdict.MISSING)))) == []


@st.composite
def windows(draw: st.DrawFn) -> Maintenance:
    """A while of any length."""
    start_us = draw(offsets(150))
    return Maintenance(f"w{start_us}", start_us, start_us + draw(st.integers(1, 90)) * MINUTE_US)


@settings(max_examples=200, deadline=None)
@given(
    worlds(),
    st.lists(windows(), min_size=1, max_size=3),
    st.sampled_from([OpenAfter(), OpenAfter(2, 3), OpenAfter(1, 2)]),
    st.lists(offsets(300), max_size=8),
    st.sampled_from([20, 1440]),
)
def test_splitting_into_runs_changes_nothing(
    world: World, quiet: list[Maintenance], rule: OpenAfter, cuts: list[int], lateness: int
) -> None:
    """Any runs in between give the same alerts as one at the end; each incident pages once, or has ended quietly."""
    canary = with_windows(*quiet, canary=msgspec.structs.replace(CANARY, open_after=rule))
    end_us, lateness_us = START_US + DAY_US // 2, lateness * MINUTE_US
    once, often = empty_lake(), empty_lake()
    run(world, once, end_us, canary=canary, lateness_us=lateness_us)
    for as_of_us in [*sorted(cuts), end_us]:
        run(world, often, as_of_us, canary=canary, lateness_us=lateness_us)
    assert often.alerts == once.alerts
    for incident_id in {alert.incident_id for alert in once.alerts.values()}:
        alerts = [alert for alert in once.alerts.values() if alert.incident_id == incident_id]
        pages = [alert for alert in alerts if alert.suppressed_by is None and alert.status is not Status.RESOLVED]
        closed = any(alert.status is Status.RESOLVED for alert in alerts)
        assert len(pages) == 1 or (closed and not pages)
