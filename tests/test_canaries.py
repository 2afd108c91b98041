"""Verdicts: the rules on slots, and the windowed join that applies them in batch and in streams."""

from __future__ import annotations

import itertools
import time
from collections import Counter

import apache_beam as beam
import msgspec
import pytest
from apache_beam.coders import PickleCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline, test_stream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.windowed_value import PaneInfoTiming
from canary_worlds import (
    CANARY,
    FIRST,
    PERIOD_US,
    PLACE,
    START_US,
    World,
    alive,
    by_index,
    empty_lake,
    run,
    sighting,
    verdict_of_each_slot,
)
from hypothesis import given
from hypothesis import strategies as st

from schemas.canaries import Canary, Expected, Place, Pulse, Sighting, SlotVerdict, Verdict
from schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_iso_us
from transforms.canaries import DetectMissingCanaries
from transforms.expected import Horizon, expected_slots, places
from transforms.pulses import Pulses, SummarisePulses, alive_slots, slots_around, summarise
from transforms.verdicts import Rules, judge

DEADLINE_US = CANARY.deadline_us(FIRST)
ALWAYS = alive(range(0, 600, 5))


def judged(*sightings: Sighting, pulses: tuple[Pulse, ...] = ALWAYS, minutes: int = 30) -> list[tuple[int, int, str]]:
    """The verdicts of one run, `minutes` after the start."""
    world = World(sightings, pulses)
    return by_index(run(world, empty_lake(), START_US + minutes * MINUTE_US))


def lost(minute: int, account_id: str | None = PLACE.account_id, region: str | None = PLACE.region) -> Pulse:
    """An object that could not be read."""
    return Pulse(account_id, region, START_US + minute * MINUTE_US, readable=False, object_key=f"dead-{minute}")


@pytest.mark.parametrize(
    ("delivered_us", "verdict"),
    [
        (DEADLINE_US, "seen"),
        (DEADLINE_US + 1, "late"),
        (DEADLINE_US + DAY_US, "late"),
        (DEADLINE_US + DAY_US + 1, "missing"),
    ],
)
def test_delivery_decides_between_seen_late_and_missing(delivered_us: int, verdict: str) -> None:
    """The deadline belongs to SEEN, and the end of the allowed lateness to LATE."""
    assert judged(sighting(0, delivered_us), minutes=2000)[0][2] == verdict


def test_the_earliest_delivery_of_a_slot_counts() -> None:
    """A second copy that comes late does not make a slot late."""
    assert judged(sighting(0, DEADLINE_US + 1, "b"), sighting(0, DEADLINE_US, "a"), minutes=15) == [(0, 0, "seen")]


def test_consecutive_slots_with_one_verdict_come_as_one_and_late_slots_apart() -> None:
    """A verdict is a run of slots; a late slot has a delivery of its own."""
    late = [sighting(index, START_US + HOUR_US, "one id") for index in (4, 5)]
    seen = [sighting(index, START_US + HOUR_US // 2) for index in (6, 7, 8)]
    assert judged(*late, *seen, minutes=60) == [
        (0, 3, "missing"),
        (4, 4, "late"),
        (5, 5, "late"),
        (6, 8, "seen"),
        (9, 9, "missing"),
    ]


def test_late_names_its_event_and_what_its_deadline_showed() -> None:
    """One run tells of a late slot what two runs would have told."""
    world = World((sighting(0, DEADLINE_US + 1),), ())
    (verdict,) = run(world, empty_lake(), DEADLINE_US + 1)
    assert (verdict.evidence, verdict.delivered_us, verdict.prior) == (("event-0",), DEADLINE_US + 1, None)
    assert verdict.at_deadline == SlotVerdict(PLACE, FIRST, FIRST, Verdict.UNSURE)


@pytest.mark.parametrize(("minute", "verdict"), [(0, "unsure"), (1, "missing"), (15, "missing"), (16, "unsure")])
def test_one_readable_delivery_between_start_and_deadline_makes_silence_missing(minute: int, verdict: str) -> None:
    """A delivery at the start says nothing of the slot; one at the deadline does."""
    assert judged(pulses=alive([minute]), minutes=15) == [(0, 0, verdict)]


@pytest.mark.parametrize(("minute", "verdict"), [(0, "missing"), (1, "unsure"), (15, "unsure"), (16, "missing")])
def test_one_unreadable_object_between_start_and_deadline_makes_silence_unsure(minute: int, verdict: str) -> None:
    """What could not be read may have held the call."""
    assert judged(pulses=(*ALWAYS, lost(minute)), minutes=15) == [(0, 0, verdict)]


@pytest.mark.parametrize(
    ("account_id", "region", "verdict"),
    [
        (None, None, "unsure"),
        (PLACE.account_id, None, "unsure"),
        (None, PLACE.region, "unsure"),
        ("444455556666", PLACE.region, "missing"),
        (PLACE.account_id, "us-east-1", "missing"),
    ],
)
def test_an_unreadable_object_counts_where_it_may_belong(
    account_id: str | None, region: str | None, verdict: str
) -> None:
    """Of an unknown account or region it counts against every place; of another place it does not."""
    assert judged(pulses=(*ALWAYS, lost(5, account_id, region)), minutes=15) == [(0, 0, verdict)]


def test_unsure_names_the_objects_that_could_not_be_read() -> None:
    """Evidence differs by slot, and so do the runs of slots."""
    verdicts = run(World((), (*ALWAYS, lost(12))), empty_lake(), START_US + 40 * MINUTE_US)
    assert by_index(verdicts) == [(0, 2, "unsure"), (3, 5, "missing")]
    assert verdicts[0].evidence == ("dead-12",)


def test_a_second_look_tells_only_what_a_sighting_changes() -> None:
    """MISSING becomes LATE, or SEEN where we had read late; what is still silent is not told again."""
    lake = empty_lake()
    run(World((), ALWAYS), lake, START_US + 30 * MINUTE_US)
    second = World((sighting(1, START_US + 31 * MINUTE_US), sighting(2, START_US + 20 * MINUTE_US)), ALWAYS)
    corrections = [each for each in run(second, lake, START_US + 31 * MINUTE_US) if each.prior]
    assert by_index(corrections) == [(1, 1, "late"), (2, 2, "seen")]
    assert {each.prior for each in corrections} == {Verdict.MISSING}
    assert verdict_of_each_slot(lake)[FIRST + 1] is Verdict.LATE


def test_what_was_missing_stays_missing_whatever_is_lost_later() -> None:
    """A loss that becomes known later closes nothing."""
    lake = empty_lake()
    run(World((), ALWAYS), lake, START_US + 30 * MINUTE_US)
    assert [each for each in run(World((), (*ALWAYS, lost(2))), lake, START_US + 31 * MINUTE_US) if each.prior] == []


def test_sightings_outside_the_expected_slots_tell_nothing() -> None:
    """Before the start, after the last slot due, or seen already."""
    early, future = sighting(-1, START_US), sighting(9, START_US + 50 * MINUTE_US)
    assert judged(early, sighting(0, DEADLINE_US), future, minutes=15) == [(0, 0, "seen")]


@given(st.integers(1, 30), st.integers(0, 60), st.lists(st.integers(0, 3000), max_size=20))
def test_alive_slots_are_those_that_hold_a_delivery(period: int, grace: int, minutes: list[int]) -> None:
    """The spans equal the definition, slot by slot: start < delivery ≤ deadline."""
    canary = msgspec.structs.replace(CANARY, period_us=period * MINUTE_US, grace_us=grace * MINUTE_US)
    times = sorted({minute * MINUTE_US for minute in minutes})
    spans = alive_slots(canary, times)
    slots = {slot for first, last in spans for slot in range(first, last + 1)}
    held = {
        slot
        for slot in range(-100, 3100)
        for at in times
        if canary.slot_start_us(slot) < at <= canary.deadline_us(slot)
    }
    assert slots == held
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(spans))


@given(st.permutations([*alive(range(3)), lost(1), lost(2, None), *(lost(9) for _ in range(3))]), st.integers(0, 8))
def test_summary_of_pulses_depends_neither_on_order_nor_on_grouping(pulses: list[Pulse], cut: int) -> None:
    """Runners add and merge as they like."""
    combine = SummarisePulses()
    parts = []
    for part in (pulses[:cut], pulses[cut:]):
        accumulator = combine.create_accumulator()
        for pulse in part:
            accumulator = combine.add_input(accumulator, pulse)
        parts.append(accumulator)
    assert combine.extract_output(combine.merge_accumulators(parts)) == summarise(sorted(pulses, key=str))


def test_evidence_stays_bounded_whatever_is_lost() -> None:
    """A thousand dead objects in a minute are five keys, the same five in any order."""
    pulses = [msgspec.structs.replace(lost(1), object_key=f"dead-{number:04d}") for number in range(1000)]
    (kept,) = summarise(pulses).lost_at(PLACE)
    assert kept.object_keys == tuple(f"dead-{number:04d}" for number in range(5))
    assert summarise(pulses[::-1]) == summarise(pulses)


def test_a_delivery_counts_at_the_end_of_its_minute() -> None:
    """Never before it happened, so that a run up to a deadline has seen all that counts there."""
    pulse = Pulse(None, None, START_US + 1, readable=True)
    assert summarise([pulse]).readable == (START_US + MINUTE_US,)
    assert slots_around(CANARY, START_US + MINUTE_US) == (FIRST - 2, FIRST)


def detect(
    pipeline: beam.Pipeline, expected: list[Expected], world: World, **named: int
) -> beam.PCollection[SlotVerdict]:
    """The transform over data at rest."""
    inputs = {
        "expected": pipeline | "Expected" >> beam.Create(expected),
        "sightings": pipeline | "Sightings" >> beam.Create(world.sightings),
        "pulses": pipeline | "Pulses" >> beam.Create(world.pulses),
    }
    return inputs | DetectMissingCanaries([CANARY], DAY_US, DAY_US, **named)


def test_transform_judges_as_the_function_does() -> None:
    """The join over several windows gives the verdicts of the pure judge."""
    years = [parse_iso_us(f"{year}-06-01T00:00:00Z") // PERIOD_US - FIRST for year in ("0001", "9999")]
    world = World(
        (sighting(0, START_US + MINUTE_US), sighting(300, START_US + 2 * DAY_US), *(sighting(at, 0) for at in years)),
        (*ALWAYS, lost(10), lost(3000, None, None)),
    )
    as_of_us = START_US + 3 * DAY_US
    expected = list(expected_slots([CANARY], [], Horizon(as_of_us, START_US, DAY_US, DAY_US)))
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        assert_that(detect(pipeline, expected, world), equal_to(run(world, empty_lake(), as_of_us)))


def test_transform_leaves_out_what_was_delivered_after_as_of() -> None:
    """A run that judges up to a time of the past must not know better."""
    expected = [Expected(PLACE, FIRST, FIRST)]
    world = World((sighting(0, DEADLINE_US + 1),), ALWAYS)
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        verdicts = detect(pipeline, expected, world, as_of_us=DEADLINE_US)
        assert_that(verdicts, equal_to([SlotVerdict(PLACE, FIRST, FIRST, Verdict.MISSING)]))


def test_transform_without_any_delivery_is_unsure() -> None:
    """Total silence leaves the side input empty, and must still alert."""
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        verdicts = detect(pipeline, [Expected(PLACE, FIRST, FIRST + 9)], World())
        assert_that(verdicts, equal_to([SlotVerdict(PLACE, FIRST, FIRST + 9, Verdict.UNSURE)]))


def test_stream_says_missing_on_time_and_corrects_itself_late() -> None:
    """The pane at the deadline says MISSING; a sighting within the allowed lateness fires another that says LATE."""
    window_us, at = PERIOD_US, (DEADLINE_US / SECOND_US)
    late = sighting(0, DEADLINE_US + MINUTE_US)
    pulse = Pulse("444455556666", "us-east-1", START_US + 3 * MINUTE_US, readable=True)
    stream = (
        test_stream.TestStream(coder=PickleCoder())
        .advance_watermark_to(START_US / SECOND_US)
        .add_elements(
            [TimestampedValue(pulse, START_US / SECOND_US + 180), TimestampedValue(Expected(PLACE, FIRST, FIRST), at)]
        )
        .advance_watermark_to(at + PERIOD_US / SECOND_US)
        .add_elements([TimestampedValue(late, at)])
        .advance_watermark_to_infinity()
    )
    missing = SlotVerdict(PLACE, FIRST, FIRST, Verdict.MISSING)
    corrected = SlotVerdict(PLACE, FIRST, FIRST, Verdict.LATE, late.delivered_us, None, ("event-0",), missing)
    options = PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])
    with test_pipeline.TestPipeline(options=options) as pipeline:
        elements = pipeline | stream
        inputs = {
            name: elements | f"Only {name}" >> beam.Filter(isinstance, kind)
            for name, kind in (("expected", Expected), ("sightings", Sighting), ("pulses", Pulse))
        }
        verdicts = inputs | DetectMissingCanaries([CANARY], window_us, HOUR_US)
        timed = verdicts | beam.Map(lambda each, pane=beam.DoFn.PaneInfoParam: (each, pane.timing))
        assert_that(timed, equal_to([(missing, PaneInfoTiming.ON_TIME), (corrected, PaneInfoTiming.LATE)]))


def test_years_of_silence_at_a_handful_of_places_take_seconds() -> None:
    """Work grows with windows and changes, not with slots: 2.6 million slots are a few thousand verdicts."""
    canary = msgspec.structs.replace(CANARY, regions=tuple(f"region-{number}" for number in range(5)))
    spans = list(expected_slots([canary], [], Horizon(START_US + 5 * 365 * DAY_US, START_US, DAY_US, DAY_US)))
    pulses = Pulses(tuple(range(START_US, START_US + 5 * 365 * DAY_US, HOUR_US)))
    started = time.process_time()
    living = alive_slots(canary, pulses.readable)
    verdicts = Counter(
        each.verdict
        for place in places(canary)
        for each in judge(Rules(canary, DAY_US, living, ()), [span for span in spans if span.place == place], {})
    )
    assert time.process_time() - started < 10
    assert 9_000 < verdicts[Verdict.MISSING] + verdicts[Verdict.UNSURE] < 1_000_000


def test_many_places_join_without_losing_a_slot() -> None:
    """Each place is judged by its own sightings."""
    canary = Canary("c", tuple(f"{number:012d}" for number in range(20)), ("r-1", "r-2"), PERIOD_US, 0, START_US, ())
    expected = list(expected_slots([canary], [], Horizon(START_US + HOUR_US, START_US, DAY_US, DAY_US)))
    silent = Place("c", "000000000007", "r-2")
    sightings = [
        Sighting(place, FIRST + index, START_US + index * PERIOD_US, START_US + index * PERIOD_US, None, "k")
        for place in places(canary)
        for index in range(12)
        if place != silent
    ]
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        inputs = {
            "expected": pipeline | "Expected" >> beam.Create(expected),
            "sightings": pipeline | "Sightings" >> beam.Create(sightings),
            "pulses": pipeline | "Pulses" >> beam.Create(ALWAYS),
        }
        verdicts = inputs | DetectMissingCanaries([canary], DAY_US, DAY_US)
        heard = [SlotVerdict(place, FIRST, FIRST + 11, Verdict.SEEN) for place in places(canary) if place != silent]
        assert_that(verdicts, equal_to([*heard, SlotVerdict(silent, FIRST, FIRST + 11, Verdict.MISSING)]))
