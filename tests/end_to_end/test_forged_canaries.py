"""Canaries that are imitated, or no longer refused: a watch says what a run says, and no output holds the secret."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline
from folders import CONFIG, alerts, run, simulated, slots
from test_stream_equals_run import Played, told_of
from watch_worlds import Watched, config_of, deliver, deliveries

from pipeline.graph import Plan
from pipeline.lake import read_lake
from pipeline.local_storage import LocalStorage
from pipeline.run import load_rules
from pipeline.run import run as run_job
from pipeline.simulate import write_simulation
from pipeline.stream_graph import StreamPlan, build_stream
from schemas.settings import Clock, Settings
from schemas.times import MINUTE_US, format_us, parse_iso_us
from transforms.simulation import SECRET_NAME, Scenario

START_US = parse_iso_us("2026-11-01T00:00:00Z")


def told(found: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Each alert's status, and what suppresses it."""
    return {each: (alert["status"], alert["suppressed_by"]) for each, alert in found.items()}


@pytest.mark.parametrize(
    ("attack", "kind", "missing"),
    [
        ("forge-canary", "canary.forged", True),
        ("replay-canary", "canary.replayed", True),
        ("canary-allowed", "canary.allowed", False),
    ],
)
def test_a_watch_says_what_a_run_says(tmp_path: Path, attack: str, kind: str, missing: bool) -> None:  # noqa: FBT001
    """Every call of the imitator is an alert, none of them is heard, and the canary's own silence is told too."""
    bucket = simulated(tmp_path / "bucket", attack, rate=100)
    watched = Watched(tmp_path, config_of(bucket))
    left = deliveries(bucket)
    until_us = left[-1][0] + 4 * MINUTE_US  # the last slot of the bucket is due, the one after it is not
    for now_us in range(left[0][0], until_us + 1, 10 * MINUTE_US):
        while left and left[0][0] <= now_us:
            deliver(left.pop(0)[1], bucket, watched.source)
        watched.cycle(now_us)
    watched.cycle(until_us)
    once = tmp_path / "once"
    run(bucket, once, "--config", bucket / CONFIG, "--as-of", format_us(until_us))
    lake = Path(watched.lake.root)
    assert told(alerts(lake)) == told(alerts(once))
    pages = [alert for alert in alerts(once).values() if alert["kind"] == kind and alert["suppressed_by"] is None]
    assert [alert["status"] for alert in pages] == ["opened"]
    assert slots(lake) == slots(once)
    kinds = [alert["kind"] for alert in alerts(once).values()]
    assert kinds.count(kind) == 10
    assert ("canary.missing" in kinds) == missing == any(verdict == "missing" for *_, verdict in slots(once))

    secret = (bucket / SECRET_NAME).read_bytes().strip()
    assert len(secret) == 64
    written = [path for top in (lake, once) for path in top.rglob("*") if path.is_file()]
    assert len(written) > 20
    assert not [path for path in written if secret in path.read_bytes()]


def test_a_stream_says_what_a_run_says(tmp_path: Path) -> None:
    """The same alerts of imitated calls, whichever way they are read."""
    source, bucket, lake = (tmp_path / name for name in ("source", "bucket", "lake"))
    bucket.mkdir()
    scenario = Scenario(7, START_US, 1.5, 2, ("us-east-1",), 100, ("replay-canary",))
    write_simulation(LocalStorage(str(source)), scenario, io.StringIO())
    config = config_of(source)
    looks = told_of(source, LocalStorage(str(bucket)), LocalStorage(str(lake)), 287)
    settings = Settings("stream", (str(bucket),), str(lake), Clock(START_US, None), config)
    storage = LocalStorage(str(lake))
    plan = Plan(settings, (LocalStorage(str(bucket)),), storage, load_rules(()), read_lake(storage, config))
    options = PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])
    with test_pipeline.TestPipeline(options=options) as pipeline:
        build_stream(pipeline, StreamPlan(plan, Played(looks)))
    once = tmp_path / "once"
    last_us = looks[-1].complete_us
    run_job(Settings("run", (str(bucket),), str(once), Clock(last_us, last_us), config))

    def replayed(where: Path) -> dict[str, Any]:
        return {each: alert for each, alert in alerts(where).items() if alert["kind"] == "canary.replayed"}

    due = {each: said for each, said in replayed(lake).items() if said["detected_at"] <= format_us(last_us)}
    assert due == replayed(once)
    assert len(due) == 7
    (over,) = (said for each, said in replayed(lake).items() if each not in due)  # the end of the test is that of time
    assert (over["status"], over["suppressed_by"]) == ("resolved", None)
