"""Incidents of canaries' calls: one page each, an end, and that the splitting into runs does not matter."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
from call_worlds import END_US, found, heard_of, refused
from canary_worlds import CANARY, PLACE, START_US
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import Alert, Severity, Status, alert_order
from schemas.canaries import Sighting
from schemas.maintenance import Maintenance
from schemas.tampering import Tampering
from schemas.times import DAY_US, HOUR_US, MINUTE_US
from transforms.canary_calls import QUIET_US, CallIncidents, call_incidents
from transforms.modifications import alerts_of_all
from transforms.sightings import ALLOWED, FORGED, REPLAYED


def run(
    calls: Sequence[Tampering | Sighting], as_of_us: int, lake: dict[str, Alert], windows: Sequence[Maintenance] = ()
) -> list[Alert]:
    """One run over what is new, with a lake whose alerts are all that it knows."""
    incidents = CallIncidents(windows, call_incidents(lake.values()))
    told = alerts_of_all((each for each in calls if isinstance(each, Tampering)), lambda _: True)
    fresh = [alert for alert in told if alert.alert_id not in lake]
    alerts = list(incidents.tell(fresh, heard_of(calls), [CANARY], as_of_us))
    lake |= {alert.alert_id: alert for alert in alerts}
    assert incidents.known == call_incidents(lake.values())
    return alerts


def told(
    *calls: Tampering | Sighting, as_of_us: int = START_US, windows: Sequence[Maintenance] = ()
) -> list[tuple[str, str | None]]:
    """Status, and what suppresses each alert: `self` for its own incident."""
    alerts = sorted(run(calls, as_of_us, {}, windows), key=alert_order)
    return [
        (alert.status.value, "self" if alert.suppressed_by == alert.incident_id else alert.suppressed_by)
        for alert in alerts
    ]


@pytest.mark.parametrize("kind", [FORGED, REPLAYED, ALLOWED])
def test_only_the_first_call_pages(kind: str) -> None:
    """Each call is written; those that follow are suppressed by their own incident."""
    calls = [found(kind, START_US + minute * MINUTE_US) for minute in (0, 5, 10)]
    assert told(*calls) == [("opened", None), ("updated", "self"), ("updated", "self")]


def test_places_have_incidents_of_their_own() -> None:
    """As have kinds."""
    calls = found(FORGED, START_US), found(FORGED, START_US, region="us-east-1"), found(REPLAYED, START_US)
    assert told(*calls) == [("opened", None)] * 3


@pytest.mark.parametrize(("after_us", "closed"), [(QUIET_US, True), (QUIET_US - 1, False)])
def test_imitation_is_over_when_nothing_was_delivered_for_a_day(after_us: int, closed: bool) -> None:  # noqa: FBT001
    """Of itself, as the clock shows it; at the time when the day was over."""
    calls = [found(FORGED, START_US), found(FORGED, START_US + HOUR_US)]
    alerts = run(calls, START_US + HOUR_US + MINUTE_US + after_us, {})
    assert [alert.status for alert in alerts[2:]] == ([Status.RESOLVED] if closed else [])
    if closed:
        over = alerts[2]
        assert over.detected_us == START_US + HOUR_US + MINUTE_US + QUIET_US
        assert (over.window_start_us, over.window_end_us) == (START_US, START_US + HOUR_US)
        assert (over.severity, over.suppressed_by) == (Severity.CRITICAL, None)
        assert over.title.endswith("is no longer imitated in 111122223333 eu-west-1: no such call was delivered for 1d")


def test_call_after_a_quiet_day_pages_again() -> None:
    """Whether somebody looked in between or not; a call on the last day's last moment does not."""
    first, last_us = found(FORGED, START_US), START_US + MINUTE_US + QUIET_US
    assert told(first, found(FORGED, last_us, last_us)) == [("opened", None), ("updated", "self")]
    again = found(FORGED, last_us, last_us + 1)
    assert told(first, again) == [("opened", None), ("resolved", None), ("opened", None)]


def test_refused_call_ends_what_was_allowed() -> None:
    """At its delivery, with the time between as the window; a call from before it does not."""
    allowed = [found(ALLOWED, START_US), found(ALLOWED, START_US + HOUR_US)]
    before = refused(START_US + HOUR_US - 1, START_US + 2 * HOUR_US)
    again = refused(START_US + 3 * HOUR_US)
    alerts = run([*allowed, before, again], START_US, {})
    assert [alert.status for alert in alerts] == [Status.OPENED, Status.UPDATED, Status.RESOLVED]
    over = alerts[2]
    assert (over.window_start_us, over.window_end_us, over.detected_us) == (
        START_US, again.event_us, again.delivered_us,
    )  # fmt: skip
    assert over.title.endswith("is refused again in 111122223333 eu-west-1, after 3h")
    assert over.evidence.event_ids == (again.event_id,)
    assert told(*allowed, as_of_us=END_US) == [("opened", None), ("updated", "self")]  # time alone proves nothing


def test_guard_rail_that_is_gone_again_pages_again() -> None:
    """As the same incident, opened anew."""
    calls = found(ALLOWED, START_US), refused(START_US + HOUR_US), found(ALLOWED, START_US + 2 * HOUR_US)
    assert told(*calls) == [("opened", None), ("resolved", None), ("opened", None)]


def test_allowed_call_from_before_the_refused_one_is_news_to_nobody() -> None:
    """It was delivered later: it is written, and the incident is as closed as before."""
    calls = found(ALLOWED, START_US), refused(START_US + HOUR_US), found(ALLOWED, START_US + MINUTE_US, END_US)
    assert told(*calls) == [("opened", None), ("resolved", None), ("updated", "self"), ("resolved", "self")]


def test_call_that_is_read_late_changes_nothing() -> None:
    """It was delivered before the incident was over."""
    lake: dict[str, Alert] = {}
    run([found(FORGED, START_US)], START_US + 2 * DAY_US, lake)
    (alert,) = run([found(FORGED, START_US + HOUR_US)], START_US + 2 * DAY_US, lake)
    assert (alert.status, alert.suppressed_by) == (Status.UPDATED, alert.incident_id)
    assert call_incidents(lake.values())[alert.incident_id].closed_us is not None


def test_maintenance_keeps_what_is_allowed_quiet_and_pages_for_the_first_call_after_it() -> None:
    """A forged call is critical, and pages at any time."""
    window = Maintenance("move", START_US - 1, START_US + HOUR_US)
    quiet, calls = "maintenance:move", [found(ALLOWED, START_US + hour * HOUR_US // 2) for hour in range(4)]
    assert told(*calls, windows=[window]) == [
        ("opened", quiet),
        ("updated", quiet),
        ("updated", None),
        ("updated", "self"),
    ]
    ends = refused(START_US + 3 * HOUR_US)
    assert told(*calls[:2], ends, windows=[window])[-1] == ("resolved", quiet)
    assert told(*calls[:3], ends, windows=[window])[-1] == ("resolved", None)
    assert told(found(FORGED, START_US), windows=[window]) == [("opened", None)]


def test_alerts_of_an_uncalibrated_place_say_so_to_the_end() -> None:
    """As every alert about a canary does."""
    canary = msgspec.structs.replace(CANARY, uncalibrated=frozenset({PLACE}))
    calls = alerts_of_all([found(FORGED, START_US)], lambda _: True)
    *_, over = CallIncidents((), {}).tell(calls, (), [canary], END_US)
    assert over.title.endswith("(not calibrated: no test call was found in the log)")


@st.composite
def stories(draw: st.DrawFn) -> list[Tampering | Sighting]:
    """Calls of all kinds over a few days, delivered in some other order."""
    calls: list[Tampering | Sighting] = []
    for hour in draw(st.lists(st.integers(0, 120), max_size=14, unique=True)):
        event_us = START_US + hour * HOUR_US
        delivered_us = event_us + draw(st.sampled_from([0, 1, 5, 150])) * MINUTE_US
        kind = draw(st.sampled_from([FORGED, ALLOWED, None]))
        calls.append(refused(event_us, delivered_us) if kind is None else found(kind, event_us, delivered_us))
    copied = draw(st.lists(st.sampled_from(calls), max_size=3)) if calls else []
    return calls + [msgspec.structs.replace(each, delivered_us=each.delivered_us + MINUTE_US) for each in copied]


@settings(max_examples=300, deadline=None)
@given(
    stories(),
    st.lists(st.integers(0, 200), max_size=6),
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 40)), max_size=2),
    st.randoms(use_true_random=False),
)
def test_splitting_into_runs_changes_nothing(
    calls: list[Tampering | Sighting], cuts: list[int], quiet: list[tuple[int, int]], chance: random.Random
) -> None:
    """Any runs in between raise what one at the end does, and an incident pages once until it is over."""
    windows = [
        Maintenance(f"w{first}", START_US + first * HOUR_US, START_US + (first + hours) * HOUR_US)
        for first, hours in quiet
    ]
    once: dict[str, Alert] = {}
    often: dict[str, Alert] = {}
    shuffled = sorted(calls, key=lambda _: chance.random())
    run(shuffled, END_US, once, windows)
    before_us = 0
    for as_of_us in [*sorted(START_US + hour * HOUR_US for hour in cuts), END_US]:
        run([each for each in shuffled if before_us < each.delivered_us <= as_of_us], as_of_us, often, windows)
        before_us = as_of_us
    assert often == once
    for incident_id in {alert.incident_id for alert in once.values()}:
        paged = False
        for alert in sorted((each for each in once.values() if each.incident_id == incident_id), key=alert_order):
            if alert.status is Status.RESOLVED:
                paged = False
            elif alert.suppressed_by is None:
                assert not paged
                paged = True
