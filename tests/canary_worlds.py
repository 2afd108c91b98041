"""Small worlds of canaries: deliveries as data, and runs over them as the pipeline makes them, without Beam."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import pyarrow as pa
from hypothesis import strategies as st

from schemas.alerts import Alert
from schemas.canaries import VERDICT_SCHEMA, Canary, Place, Pulse, Sighting, SlotVerdict, Verdict
from schemas.times import DAY_US, MINUTE_US, parse_iso_us
from transforms.canary_tables import judged_from, verdicts_table
from transforms.expected import Horizon, expected_slots
from transforms.incidents import track
from transforms.pulses import alive_slots, summarise
from transforms.untold import untold
from transforms.verdicts import Rules, earliest, judge

START_US = parse_iso_us("2026-11-01T00:00:00Z")
PERIOD_US = 5 * MINUTE_US
GRACE_US = 10 * MINUTE_US
FIRST = START_US // PERIOD_US
SLOTS = 14
PLACE = Place("dry-run-instances", "111122223333", "eu-west-1")
CANARY = Canary("dry-run-instances", ("111122223333",), ("eu-west-1",), PERIOD_US, GRACE_US, START_US, ())


class World(msgspec.Struct, frozen=True):
    """Everything that is ever delivered."""

    sightings: tuple[Sighting, ...] = ()
    pulses: tuple[Pulse, ...] = ()


class Lake(msgspec.Struct):
    """What runs leave behind."""

    verdicts: pa.Table
    alerts: dict[str, Alert]


def empty_lake() -> Lake:
    """A lake before the first run."""
    return Lake(VERDICT_SCHEMA.empty_table(), {})


def sighting(index: int, delivered_us: int, event_id: str | None = None) -> Sighting:
    """A sighting of the slot at `index` after the start, one second in."""
    slot = FIRST + index
    return Sighting(
        PLACE, slot, slot * PERIOD_US + 1_000_000, delivered_us, event_id or f"event-{index}", "a/b.json.gz"
    )


def alive(minutes: Iterable[int]) -> tuple[Pulse, ...]:
    """Readable deliveries of another account, by minute after the start."""
    return tuple(Pulse("444455556666", "us-east-1", START_US + minute * MINUTE_US, readable=True) for minute in minutes)


def run(
    world: World,
    lake: Lake,
    as_of_us: int,
    *,
    canary: Canary = CANARY,
    lateness_us: int = DAY_US,
    window_us: int = DAY_US,
) -> list[SlotVerdict]:
    """One run at `as_of_us` over everything delivered by then; adds to the lake and returns its verdicts."""
    judged = judged_from(lake.verdicts)
    delivered = [pulse for pulse in world.pulses if pulse.delivered_us <= as_of_us]
    first_us = min((pulse.delivered_us for pulse in delivered), default=None)
    expected = list(expected_slots([canary], judged, Horizon(as_of_us, first_us, window_us, lateness_us)))
    pulses = summarise(delivered)
    arrivals = earliest(
        (canary.slot_of(each.event_us), each.delivered_us, each.event_id or "")
        for each in world.sightings
        if each.delivered_us <= as_of_us
    )
    rules = Rules(canary, lateness_us, alive_slots(canary, pulses.readable), pulses.lost_at(PLACE))
    verdicts = list(judge(rules, expected, arrivals))
    before = untold([canary], lake.alerts.values(), judged)
    for alert in track(canary, verdicts, before):
        assert lake.alerts.setdefault(alert.alert_id, alert) == alert
    run_id = f"run-{as_of_us}"
    lake.verdicts = pa.concat_tables([lake.verdicts, verdicts_table(verdicts, [canary], run_id, as_of_us)])
    return verdicts


def verdict_of_each_slot(lake: Lake) -> dict[int, Verdict]:
    """The newest verdict of each slot."""
    newest: dict[int, Verdict] = {}
    for row in lake.verdicts.sort_by([("judged_at", "ascending"), ("run_id", "ascending")]).to_pylist():
        newest |= dict.fromkeys(range(row["first_slot"], row["last_slot"] + 1), Verdict(row["verdict"]))
    return newest


def by_index(verdicts: Sequence[SlotVerdict]) -> list[tuple[int, int, str]]:
    """Verdicts as (first, last, verdict), counted from the start."""
    return [(each.first - FIRST, each.last - FIRST, each.verdict.value) for each in verdicts]


def offsets(most_minutes: int) -> st.SearchStrategy[int]:
    """Times, by the second."""
    return st.integers(0, most_minutes * 60).map(lambda seconds: START_US + seconds * 1_000_000)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Slots heard in time, late, very late or never; other deliveries with gaps; some of them unreadable."""
    delays = draw(st.lists(st.none() | st.integers(0, 60) | st.integers(0, 200), min_size=SLOTS, max_size=SLOTS))
    sightings = tuple(
        sighting(index, START_US + index * PERIOD_US + delay * MINUTE_US)
        for index, delay in enumerate(delays)
        if delay is not None
    )
    minutes = draw(st.lists(st.integers(0, 200), max_size=25))
    lost = draw(st.lists(offsets(100), max_size=2))
    unreadable = (Pulse(None, "eu-west-1", at_us, readable=False, object_key=f"dead-{at_us}") for at_us in lost)
    heard = (Pulse("111122223333", "eu-west-1", each.delivered_us, readable=True) for each in sightings)
    return World(sightings, (*alive(minutes), *unreadable, *heard))
