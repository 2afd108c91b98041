"""A stream over a simulated bucket gives what one bounded run gives: rows, verdicts, alerts, and sheets that close."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import apache_beam as beam
import duckdb
import msgspec
import orjson
import pytest
from apache_beam.coders import PickleCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline, test_stream
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from pipeline.config import load_config
from pipeline.graph import Plan
from pipeline.intake import _LOOKERS, LakeIntake
from pipeline.lake import read_lake
from pipeline.local_storage import LocalStorage
from pipeline.rule_files import load_rules
from pipeline.run import run
from pipeline.simulate import write_simulation
from pipeline.stream_graph import StreamPlan, build_stream
from schemas.balance import BalanceSheet
from schemas.intake import Offered, Taken, Tick
from schemas.keys import parse_key
from schemas.settings import MIB, Clock, Settings
from schemas.times import SECOND_US, parse_iso_us
from transforms.intake import AHEAD_US, TICKS, offered_of
from transforms.simulation import Scenario

START_US = parse_iso_us("2026-11-01T00:00:00Z")
END = "2026-11-01T01:32:00Z"
END_US = parse_iso_us(END)
ATTACKS = ("stop-logging", "drop-canary", "lifecycle", "stop-and-start", "cancel-key-deletion")


class Played(beam.PTransform):
    """What a source would have told, element by element, as `TakeIn` does on a cluster."""

    def __init__(self, told: list[Taken]) -> None:
        super().__init__()
        self._told = told

    def expand(self, root: beam.pvalue.PBegin) -> Any:
        stream = test_stream.TestStream(coder=PickleCoder())
        for before, taken in pairwise([None, *self._told]):
            from_us = None if before is None else before.complete_us + AHEAD_US
            tick = Tick(from_us, taken.complete_us + AHEAD_US, taken.first_delivery_us)
            elements = [TimestampedValue(tick, Timestamp(micros=taken.complete_us))]
            if taken.entry is not None:
                elements += offered_of(taken.entry, None if before is None else before.complete_us, again=taken.again)
            stream = stream.add_elements(elements).advance_watermark_to(Timestamp(micros=taken.complete_us))
        elements = root | stream.advance_watermark_to_infinity()
        return elements | beam.ParDo(_Tagged()).with_outputs(TICKS, main="bundles")


class _Tagged(beam.DoFn):
    def process(self, element: Offered | Tick) -> Iterator[Any]:
        yield beam.pvalue.TaggedOutput(TICKS, element) if isinstance(element, Tick) else element


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bucket with attacks in it, and one object that cannot be read."""
    folder = tmp_path_factory.mktemp("source")
    scenario = Scenario(7, START_US, 1.5, 2, ("us-east-1",), 400, ATTACKS)
    write_simulation(LocalStorage(str(folder)), scenario, io.StringIO())
    logs = sorted(folder.rglob("*_CloudTrail_*.json.gz"))
    logs[len(logs) // 2].write_bytes(gzip.compress(b"{}")[:-4])
    return folder


def told_of(source: Path, bucket: LocalStorage, lake: LocalStorage, every_s: int) -> list[Taken]:
    """Objects appear when they are delivered, and a looker looks every so often."""
    clock = [START_US]
    intake = LakeIntake((bucket,), lake, "stream", 16 * MIB, 1, 0, None, lambda: clock[0])
    paths = [path for path in source.rglob("*") if path.is_file() and path.name.endswith(".json.gz")]
    due = {path: parse_key(path.relative_to(source).as_posix()).delivered_us or START_US for path in paths}
    told = []
    for number, now_us in enumerate(range(START_US + every_s * SECOND_US, END_US + 1, every_s * SECOND_US)):
        for path in [path for path, at_us in due.items() if at_us <= now_us]:
            bucket.write(path.relative_to(source).as_posix(), path.read_bytes())
            del due[path]
        clock[0] = now_us
        told.append(intake.look(number))
    _LOOKERS.pop((lake.root, "stream"))._held.close()
    return told


def alerts_of(lake: Path) -> dict[str, Any]:
    """Alerts that were due by the end, by id, as far as a stream and a run must agree."""
    lines = (line for path in lake.glob("alerts/*.jsonl") for line in path.read_bytes().splitlines())
    alerts = [orjson.loads(line) for line in lines]
    kept = ("incident_id", "kind", "status", "severity", "title", "window_start", "detected_at", "resource", "canary")
    return {alert["alert_id"]: {name: alert[name] for name in kept} for alert in alerts}


def asked(lake: Path, sql: str) -> list[tuple[Any, ...]]:
    """A query over the lake's own views."""
    with duckdb.connect() as connection:
        connection.execute((lake / "views.sql").read_text("utf-8"))
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("every_s", [120, 287])
def test_a_stream_gives_what_a_run_gives(source: Path, tmp_path: Path, every_s: int) -> None:
    """However the day is cut into looks."""
    bucket, lake = LocalStorage(str(tmp_path / "bucket")), LocalStorage(str(tmp_path / "lake"))
    Path(bucket.root).mkdir()
    config = load_config((source / "trailcanary.toml").read_text("utf-8"), str(source / "trailcanary.toml"))
    told = told_of(source, bucket, lake, every_s)
    settings = Settings("stream", (bucket.root,), lake.root, Clock(START_US, None), config)
    plan = Plan(settings, (bucket,), lake, load_rules(()), read_lake(lake, config))
    options = PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])
    with test_pipeline.TestPipeline(options=options) as pipeline:
        build_stream(pipeline, StreamPlan(plan, Played(told)))
    once = tmp_path / "once"
    last_us = told[-1].complete_us
    outcome = run(Settings("run", (bucket.root,), str(once), Clock(END_US, last_us), config))
    (tmp_path / "lake" / "views.sql").write_text((once / "views.sql").read_text("utf-8").replace(str(once), lake.root))

    rows = "SELECT DISTINCT event_id, event_time, event_name FROM events ORDER BY ALL"
    assert asked(tmp_path / "lake", rows) == asked(once, rows)
    slots = "SELECT canary, account_id, region, slot_start, verdict FROM canary_slots ORDER BY ALL"
    assert asked(tmp_path / "lake", slots) == asked(once, slots)
    found = {each: alert for each, alert in alerts_of(tmp_path / "lake").items() if alert["detected_at"] <= END}
    assert found == alerts_of(once)
    assert alerts_of(tmp_path / "lake").keys() - found.keys()  # a deadline's, as all of time passes in the end
    expected = {"trail.tampered", "trail.time_bomb", "canary.missing", "ingest.unreadable"}
    assert expected <= {a["kind"] for a in alerts_of(once).values()}

    sheets = [orjson.loads(path.read_bytes()) for path in (tmp_path / "lake" / "runs").glob("*.json")]
    total = sum((msgspec.convert(sheet["balance"], BalanceSheet) for sheet in sheets), BalanceSheet())
    bounded = outcome.report.balance
    assert total.faults() == () == bounded.faults()
    assert (total.objects_listed, total.records_read) == (bounded.objects_listed, bounded.records_read)
    assert len([sheet for sheet in sheets if sheet["started_at"] <= END]) == 2
    assert sum(sheet["alerts"] for sheet in sheets) == len(alerts_of(tmp_path / "lake"))
    assert all(sheet["faults"] == [] for sheet in sheets)
