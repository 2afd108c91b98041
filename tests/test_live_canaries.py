"""A stream's verdicts and incidents, against those of a bounded run over the same deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.coders import PickleCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline, test_stream
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from canary_worlds import (
    CANARY,
    FIRST,
    PLACE,
    START_US,
    World,
    alive,
    empty_lake,
    run,
    sighting,
    verdict_of_each_slot,
)
from direct_runner import direct_runner

from pipeline.live_sinks import WriteVerdicts
from pipeline.local_storage import LocalStorage
from schemas.alerts import Alert
from schemas.canaries import Expected, Pulse, Sighting, SlotVerdict
from schemas.intake import Tick
from schemas.settings import Clock, Config, Settings
from schemas.times import DAY_US, MINUTE_US
from transforms.expected import Horizon, due_between, expected_slots
from transforms.live_canaries import SPAN_US, DetectMissingCanariesLive
from transforms.live_incidents import VERDICTS, TrackIncidentsLive

OPTIONS = ["--runner=BundleBasedDirectRunner", "--streaming"]
ALWAYS = alive(range(1, 120))


def at_minute(minute: float) -> int:
    """Microseconds."""
    return START_US + int(minute * MINUTE_US)


def played(world: World, end_us: int, every_us: int = MINUTE_US) -> Any:
    """Everything in the order of its delivery, a tick and a watermark every so often: what a source would say."""
    delivered = sorted([*world.sightings, *world.pulses], key=lambda each: each.delivered_us)
    looks = range(START_US, end_us + 1, every_us)
    stream = test_stream.TestStream(coder=PickleCoder())
    for before, now in pairwise(looks):
        tick = Tick(None if before == START_US else before + MINUTE_US, now + MINUTE_US, START_US)
        new = [each for each in delivered if before < each.delivered_us <= now]
        stamp = Timestamp(micros=now)
        stream = stream.add_elements([TimestampedValue(each, stamp) for each in (tick, *new)])
        stream = stream.advance_watermark_to(stamp)
    return stream  # and no further: a drain would judge what is not due


def expect(tick: Tick) -> list[Expected]:
    """Slots of a tick, as the graph expects them."""
    horizon = Horizon(tick.to_us, tick.first_delivery_us, SPAN_US, DAY_US, tick.to_us - MINUTE_US)
    return list(
        expected_slots([CANARY], [], horizon) if tick.from_us is None else due_between([CANARY], tick.from_us, horizon)
    )


def keep(element: Alert | SlotVerdict, folder: str) -> None:
    """Write an element down, numbered: the runner copies what a closure would collect."""
    path = Path(folder, type(element).__name__)
    with path.open("ab") as file:
        file.write(orjson.dumps(msgspec.to_builtins(element)) + b"\n")


def told(folder: Path, kind: type[Any]) -> list[Any]:
    """What was written down, in order."""
    path = folder / kind.__name__
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.convert(orjson.loads(line), kind) for line in lines]


def outcome_of(elements: Any) -> Any:
    """Alerts and verdicts of what a source says."""
    slots = {
        "expected": elements | "Ticks" >> beam.Filter(isinstance, Tick) | beam.FlatMap(expect),
        "sightings": elements | "Sightings" >> beam.Filter(isinstance, Sighting),
        "pulses": elements | "Pulses" >> beam.Filter(isinstance, Pulse),
    }
    return slots | DetectMissingCanariesLive([CANARY], DAY_US) | TrackIncidentsLive([CANARY], DAY_US, (), ())


def streamed(world: World, end_us: int, folder: Path, every_us: int) -> tuple[list[SlotVerdict], list[Alert]]:
    """The verdicts and alerts of a stream over a world."""
    with direct_runner() as options:
        pipeline = test_pipeline.TestPipeline(options=options)
        outcome = outcome_of(pipeline | played(world, end_us, every_us))
        _ = outcome.alerts | "KeepAlerts" >> beam.Map(keep, str(folder))
        _ = outcome[VERDICTS] | "KeepVerdicts" >> beam.Map(keep, str(folder))
        pipeline.run().wait_until_finish()
    return told(folder, SlotVerdict), told(folder, Alert)


def slots_of(verdicts: Sequence[SlotVerdict], end_us: int) -> dict[int, str]:
    """The last word on each slot that is due, by index."""
    due = CANARY.last_slot_due(end_us)
    return {
        slot - FIRST: each.verdict.value for each in verdicts for slot in range(each.first, min(each.last, due) + 1)
    }


HEARD = [sighting(index, at_minute(5 * index + 8)) for index in range(30)]


def without(*indexes: int) -> tuple[Sighting, ...]:
    """All sightings but some."""
    return tuple(each for each in HEARD if each.slot - FIRST not in indexes)


WORLDS = {
    "heard": World(tuple(HEARD), ALWAYS),
    "silent and back": World(without(3, 4, 5), ALWAYS),
    "late": World((*without(3), sighting(3, at_minute(47))), ALWAYS),
    "late in the minute of its deadline": World((*without(3), sighting(3, at_minute(30.5))), ALWAYS),
    "nothing from anywhere": World(tuple(each for each in HEARD if each.slot - FIRST < 3), alive(range(1, 20))),
    "unreadable": World(
        without(6),
        (*ALWAYS, Pulse(PLACE.account_id, PLACE.region, at_minute(33), readable=False, object_key="dead")),
    ),
    "one late of two": World((*without(3, 4), sighting(4, at_minute(41))), ALWAYS),
}


@pytest.mark.parametrize(("minutes", "every_min"), [(60, 1), (62, 1), (60, 20), (60, 60)])
@pytest.mark.parametrize("name", WORLDS)
def test_a_stream_says_what_a_bounded_run_says(name: str, minutes: int, every_min: int, tmp_path: Path) -> None:
    """Slot by slot, and alert by alert, whatever is silent, late, unreadable or dead; also at a deadline itself.

    And after a gap of the clock, when what was heard and what was not is judged together.
    """
    world, end_us = WORLDS[name], at_minute(minutes)
    assert (CANARY.deadline_us(CANARY.last_slot_due(end_us)) == end_us) == (minutes == 60)
    verdicts, alerts = streamed(world, end_us, tmp_path, every_min * MINUTE_US)
    lake = empty_lake()
    run(world, lake, end_us)
    expected = {slot - FIRST: verdict.value for slot, verdict in verdict_of_each_slot(lake).items()}
    assert slots_of(verdicts, end_us) == expected
    assert {alert.alert_id: alert for alert in alerts} == lake.alerts
    assert len(alerts) == len(lake.alerts)


def test_a_correction_is_newer_than_what_it_corrects(tmp_path: Path) -> None:
    """Also after a gap of the clock, when slots of several minutes are called missing together."""
    world = World((*without(3, 4, 5), sighting(3, at_minute(40.5)), sighting(5, at_minute(60.5))), ALWAYS)
    lake = LocalStorage(str(tmp_path))
    settings = Settings("stream", (), lake.root, Clock(START_US, None), Config((CANARY,), allowed_lateness_us=DAY_US))
    with test_pipeline.TestPipeline(options=PipelineOptions(OPTIONS)) as pipeline:
        verdicts = outcome_of(pipeline | played(world, at_minute(80), 20 * MINUTE_US))[VERDICTS]
        _ = verdicts | WriteVerdicts(lake, settings)
    parts = [pq.read_table(path) for path in tmp_path.rglob("verdicts-*.parquet")]
    rows = sorted(pa.concat_tables(parts).to_pylist(), key=lambda row: row["judged_at"])
    last = {slot - FIRST: row["verdict"] for row in rows for slot in range(row["first_slot"], row["last_slot"] + 1)}
    assert [last[index] for index in range(3, 6)] == ["late", "missing", "late"]
