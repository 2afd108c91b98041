"""Incidents of canaries: transitions, and the law that the splitting into runs does not matter."""

from __future__ import annotations

import itertools
import time

import apache_beam as beam
import msgspec
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from canary_worlds import (
    CANARY,
    FIRST,
    PERIOD_US,
    PLACE,
    START_US,
    World,
    alive,
    empty_lake,
    offsets,
    run,
    sighting,
    verdict_of_each_slot,
    worlds,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import Alert, Severity, Status
from schemas.canaries import SlotVerdict, Verdict
from schemas.times import DAY_US, HOUR_US, MINUTE_US
from transforms.canary_alerts import OpenIncident, new_incident
from transforms.expected import Judged
from transforms.incidents import TrackIncidents, track
from transforms.time_spans import TimeSpans
from transforms.untold import open_incidents


def spans(*verdicts: tuple[int, int, Verdict]) -> list[SlotVerdict]:
    """Verdicts from (first, last, verdict), counted from the start."""
    return [SlotVerdict(PLACE, FIRST + first, FIRST + last, verdict) for first, last, verdict in verdicts]


def late(index: int, delivered_us: int, shown: Verdict = Verdict.MISSING) -> SlotVerdict:
    """A slot that one run calls late at once."""
    at_deadline = SlotVerdict(PLACE, FIRST + index, FIRST + index, shown)
    return msgspec.structs.replace(
        at_deadline, verdict=Verdict.LATE, delivered_us=delivered_us, evidence=("event-1",), at_deadline=at_deadline
    )


def silent(first: int, last: int) -> OpenIncident:
    """A silence that an earlier run left open."""
    start_us = START_US + first * PERIOD_US
    return OpenIncident("id", "canary.missing", PLACE, start_us, ((start_us, START_US + (last + 1) * PERIOD_US),))


def told(verdicts: list[SlotVerdict], *prior: OpenIncident) -> list[tuple[str, str]]:
    """Kind and status of each alert."""
    return [(alert.kind, alert.status.value) for alert in track(CANARY, verdicts, prior)]


def deadline_us(index: int) -> int:
    """The deadline of a slot, counted from the start."""
    return CANARY.deadline_us(FIRST + index)


def test_opened_alert_says_what_where_and_since_when() -> None:
    """The first silent slot opens a critical incident, detected at that slot's deadline."""
    (alert,) = track(CANARY, spans((0, 1, Verdict.SEEN), (2, 9, Verdict.MISSING)), [])
    assert alert.title == (
        "Canary dry-run-instances is silent in 111122223333 eu-west-1 since 2026-11-01T00:10:00Z: "
        "others deliver, this does not"
    )
    assert (alert.kind, alert.status, alert.severity) == ("canary.missing", Status.OPENED, Severity.CRITICAL)
    assert (alert.window_start_us, alert.window_end_us) == (START_US + 2 * PERIOD_US, START_US + 3 * PERIOD_US)
    assert alert.detected_us == deadline_us(2)
    assert alert.runbook == "docs/runbooks/canary-missing.md"


def test_opened_alert_does_not_depend_on_how_much_was_judged() -> None:
    """The same first slot gives the same alert whether one slot or a thousand are judged with it."""
    one = list(track(CANARY, spans((2, 2, Verdict.MISSING)), []))
    many = list(track(CANARY, spans((2, 1001, Verdict.MISSING)), []))
    assert one == many


def test_a_later_slot_that_is_seen_resolves_with_the_length_of_the_silence() -> None:
    """SEEN closes; the window runs from the first silent slot to the slot that was heard."""
    opened, resolved = track(CANARY, spans((2, 13, Verdict.MISSING), (14, 20, Verdict.SEEN)), [])
    assert resolved.incident_id == opened.incident_id
    assert resolved.title.endswith("is heard again in 111122223333 eu-west-1 after 1h of silence")
    assert (resolved.window_end_us, resolved.detected_us) == (START_US + 14 * PERIOD_US, deadline_us(14))


def test_every_slot_coming_late_resolves_with_the_true_delay() -> None:
    """The last late arrival closes the incident, at its delivery."""
    opened, resolved = track(CANARY, [late(2, deadline_us(2) + HOUR_US)], [])
    assert (opened.status, resolved.status) == (Status.OPENED, Status.RESOLVED)
    assert resolved.title.endswith("the call of 2026-11-01T00:10:00Z came 1h 10m after its slot")
    assert resolved.detected_us == deadline_us(2) + HOUR_US
    assert resolved.evidence.event_ids == ("event-1",)


def test_one_late_slot_of_two_leaves_the_incident_open() -> None:
    """A late arrival closes nothing while another slot is still silent."""
    assert told([late(2, deadline_us(4)), *spans((3, 3, Verdict.MISSING))]) == [("canary.missing", "opened")]


def test_a_late_arrival_before_the_next_deadline_closes_one_incident_and_the_next_silence_opens_another() -> None:
    """The order of the data's times decides, not the order of the slots."""
    alerts = list(track(CANARY, [late(2, deadline_us(2) + 1), *spans((3, 3, Verdict.MISSING))], []))
    assert [alert.status for alert in alerts] == [Status.OPENED, Status.RESOLVED, Status.OPENED]
    assert alerts[0].incident_id != alerts[2].incident_id


def test_all_slots_seen_on_a_second_look_retract() -> None:
    """The fault was ours: everything was delivered in time."""
    (opened,) = track(CANARY, spans((2, 3, Verdict.MISSING)), [])
    prior = msgspec.structs.replace(silent(2, 3), incident_id=opened.incident_id)
    corrected = [msgspec.structs.replace(each, prior=Verdict.MISSING) for each in spans((2, 3, Verdict.SEEN))]
    (alert,) = track(CANARY, corrected, [prior])
    assert (alert.incident_id, alert.status, alert.detected_us) == (
        opened.incident_id,
        Status.RETRACTED,
        deadline_us(3),
    )


@pytest.mark.parametrize(("index", "expected"), [(2, []), (3, []), (4, [("canary.missing", "resolved")])])
def test_one_slot_seen_on_a_second_look_closes_only_what_lies_before_it(
    index: int, expected: list[tuple[str, str]]
) -> None:
    """Slots 2 to 4 were silent: only the last of them, when corrected, proves that the silence is over."""
    prior = silent(2, 4)
    corrected = [msgspec.structs.replace(each, prior=Verdict.MISSING) for each in spans((index, index, Verdict.SEEN))]
    assert told(corrected, prior) == expected


def test_slots_that_came_late_or_in_time_after_all_resolve_and_do_not_retract() -> None:
    """One late slot is enough for the alert to have been right."""
    heard_late = msgspec.structs.replace(late(2, deadline_us(3)), prior=Verdict.MISSING, at_deadline=None)
    assert told([heard_late], silent(2, 3)) == []
    corrected = [msgspec.structs.replace(each, prior=Verdict.MISSING) for each in spans((3, 3, Verdict.SEEN))]
    still_open = msgspec.structs.replace(silent(2, 3), late=True, outstanding=silent(3, 3).outstanding)
    assert told(corrected, still_open) == [("canary.missing", "resolved")]


def test_a_late_arrival_of_another_incidents_slot_closes_nothing() -> None:
    """Slots from before the incident are not its own, also where it is not known which slots it waits for."""
    heard_late = msgspec.structs.replace(late(0, deadline_us(9)), prior=Verdict.MISSING, at_deadline=None)
    assert told([heard_late], silent(2, 3)) == []
    assert told([heard_late], new_incident("canary.missing", PLACE, START_US + 2 * PERIOD_US)) == []


def test_open_incidents_know_which_slots_they_wait_for_and_that_some_came_late() -> None:
    """The state comes from the verdicts of slots since the incident opened, of its own kind."""
    (opened,) = track(CANARY, spans((2, 9, Verdict.MISSING)), [])
    unseen = [(0, 0, Verdict.MISSING), (2, 3, Verdict.MISSING), (4, 4, Verdict.LATE), (5, 5, Verdict.UNSURE)]
    slots = tuple((FIRST + first, FIRST + last, kind) for first, last, kind in unseen)
    state = Judged(PLACE, PERIOD_US, CANARY.grace_us, START_US + 6 * PERIOD_US, START_US, slots)
    (incident,) = open_incidents([opened], [state])
    left = {"incident_id": opened.incident_id, "late": True, "opened_us": deadline_us(2)}
    assert incident == msgspec.structs.replace(silent(2, 3), **left)


def test_unsure_closes_nothing_and_seen_closes_both() -> None:
    """Loss of data never closes an incident; each kind has its own."""
    story = spans((0, 0, Verdict.MISSING), (1, 1, Verdict.UNSURE), (2, 2, Verdict.MISSING), (3, 3, Verdict.SEEN))
    assert told(story[:3]) == [("canary.missing", "opened"), ("canary.unsure", "opened")]
    assert sorted(told(story)) == [
        ("canary.missing", "opened"),
        ("canary.missing", "resolved"),
        ("canary.unsure", "opened"),
        ("canary.unsure", "resolved"),
    ]


def test_unsure_alert_tells_silence_of_everything_from_unreadable_objects() -> None:
    """The title says why nothing can be said, and the evidence names the objects."""
    (silence,) = track(CANARY, spans((0, 0, Verdict.UNSURE)), [])
    (unreadable,) = track(CANARY, [msgspec.structs.replace(spans((0, 0, Verdict.UNSURE))[0], evidence=("k",))], [])
    assert silence.title.endswith("since 2026-11-01T00:00:00Z: nothing arrives from anywhere")
    assert unreadable.title.endswith("objects of that time could not be read")
    assert unreadable.evidence.object_keys == ("k",)


def test_an_open_incident_goes_on_without_another_alert() -> None:
    """Silence that continues over runs stays one incident."""
    prior = new_incident("canary.missing", PLACE, START_US)
    assert told(spans((5, 9, Verdict.MISSING)), prior) == []
    assert told(spans((5, 9, Verdict.MISSING), (10, 10, Verdict.SEEN)), prior) == [("canary.missing", "resolved")]


def test_open_incidents_leaves_out_what_is_closed_and_other_kinds() -> None:
    """Only opened canary incidents without an end are rebuilt."""
    opened, resolved = track(CANARY, spans((0, 0, Verdict.MISSING), (1, 1, Verdict.SEEN)), [])
    other = msgspec.structs.replace(opened, kind="trail.tampered", incident_id="x")
    assert open_incidents([opened, resolved, other], []) == []
    (incident,) = open_incidents([opened, other], [])
    assert (incident.incident_id, incident.place, incident.start_us) == (opened.incident_id, PLACE, START_US)


def test_telling_the_same_verdicts_twice_raises_nothing_new() -> None:
    """A run that is repeated, with the lake it left, gives alerts that the lake already has."""
    world = World((sighting(0, START_US + MINUTE_US), sighting(3, START_US + HOUR_US)), alive(range(0, 90, 5)))
    lake = empty_lake()
    run(world, lake, START_US + 80 * MINUTE_US)
    before = dict(lake.alerts)
    lake.verdicts = lake.verdicts.slice(0, 0)
    run(world, lake, START_US + 80 * MINUTE_US)
    assert lake.alerts == before


def test_transform_gives_what_the_function_gives() -> None:
    """Verdicts and what was open meet by place, whatever windows the verdicts came in."""
    verdicts = spans((0, 0, Verdict.MISSING), (1, 1, Verdict.SEEN))
    prior = new_incident("canary.unsure", PLACE, START_US - HOUR_US)
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        windowed = (
            pipeline
            | "Verdicts" >> beam.Create(verdicts)
            | beam.Map(lambda each: beam.window.TimestampedValue(each, each.first))
            | beam.WindowInto(beam.window.FixedWindows(1))
        )
        alerts = {"verdicts": windowed, "prior": pipeline | "Prior" >> beam.Create([prior])} | TrackIncidents([CANARY])
        assert_that(alerts, equal_to(list(track(CANARY, verdicts, [prior]))))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(1, 15)), max_size=20))
def test_spans_of_time_are_a_set_of_times(changes: list[tuple[bool, int, int]]) -> None:
    """Adding and removing spans equals adding and removing each time in them."""
    spans, times = TimeSpans(), set[int]()
    for adds, start, length in changes:
        there = set(range(start, start + length))
        if adds:
            spans.add(start, start + length)
            times |= there
        else:
            assert spans.remove(start, start + length) is bool(times & there)
            times -= there
    assert [at for start, end in spans.spans() for at in range(start, end)] == sorted(times)
    assert all(one[1] < other[0] for one, other in itertools.pairwise(spans.spans()))


def test_years_of_ragged_silence_are_told_in_seconds() -> None:
    """Silence and doubt that alternate each hour for years are two incidents, and cost no more by the hour."""
    hours = range(5 * 365 * 24)
    kinds = (Verdict.MISSING, Verdict.UNSURE)
    silence = spans(*((12 * hour, 12 * hour + 11, kinds[hour % 2]) for hour in hours))
    started = time.process_time()
    assert told(silence) == [("canary.missing", "opened"), ("canary.unsure", "opened")]
    assert time.process_time() - started < 10


@settings(max_examples=300, deadline=None)
@given(worlds(), st.lists(offsets(300), max_size=8), st.sampled_from([20, 45, 1440]), st.sampled_from([7, 30, 1440]))
def test_splitting_into_runs_changes_nothing(world: World, cuts: list[int], lateness: int, window: int) -> None:
    """Any runs in between give the same verdict for each slot and the same alerts as one run at the end."""
    end_us = START_US + DAY_US // 2
    lateness_us = lateness * MINUTE_US
    once, often = empty_lake(), empty_lake()
    run(world, once, end_us, lateness_us=lateness_us)
    for as_of_us in [*sorted(cuts), end_us]:
        run(world, often, as_of_us, lateness_us=lateness_us, window_us=window * MINUTE_US)
    assert verdict_of_each_slot(often) == verdict_of_each_slot(once)
    assert _sorted(often.alerts) == _sorted(once.alerts)


def _sorted(alerts: dict[str, Alert]) -> list[Alert]:
    return sorted(alerts.values(), key=lambda alert: alert.alert_id)
