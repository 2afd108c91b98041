"""Run after run: only what is new is read, and many runs say what one says."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from folders import CONFIG, alerts, ask, delivered, event, fill, log_key, packed, rows, run, simulated, slots

STEPS = ("20261101T0125Z", "20261101T0145Z", "20261101T0230Z")
"""Up to when objects are revealed, run by run: on both sides of the attacks, with slots that span two runs."""

_JUDGED_TWICE = """
SELECT canary, account_id, region, slot
FROM (SELECT *, unnest(generate_series(first_slot, last_slot)) AS slot FROM canary_spans WHERE prior IS NULL)
GROUP BY ALL HAVING count(*) > 1
"""


def test_second_run_reads_nothing_and_third_what_is_new(tmp_path: Path) -> None:
    """What the ledger knows is not read again; an added object is."""
    source, lake = fill(tmp_path / "in", {log_key("a"): packed(event("a")), "notes.txt": b""}), tmp_path / "lake"
    run(source, lake)
    before = rows(lake)
    again = run(source, lake)
    assert _nonzero(again) == {"objects_listed": 2, "objects_known": 2}
    assert (rows(lake), again["alerts"]) == (before, [])
    fill(source, {log_key("b", "20261101T1300Z"): packed(event("a"), event("b"))})
    assert _nonzero(run(source, lake)) == {
        "objects_listed": 3,
        "objects_known": 2,
        "objects_read": 1,
        "records_read": 2,
        "records_archived": 2,
        "rows_written": 2,
    }
    assert [row["event_id"] for row in rows(lake)] == ["a", "a", "b"]


def test_changed_objects(tmp_path: Path) -> None:
    """An overwritten object is archived beside the old one and alerted on; one that was merely touched is neither."""
    keys = {name: log_key(name) for name in ("same-size", "other-size", "touched", "left")}
    source = fill(tmp_path / "in", {key: gzip_stored(name) for name, key in keys.items()})
    lake = tmp_path / "lake"
    run(source, lake)
    fill(source, {keys["same-size"]: gzip_stored("SAME-size"), keys["other-size"]: gzip_stored("another, longer")})
    for name, at_s in (("same-size", 1), ("other-size", 2), ("touched", 3)):
        os.utime(source / keys[name], (2_000_000_000 + at_s, 2_000_000_000 + at_s))
    summary = run(source, lake)
    changed = {alert["resource"].removeprefix(f"{source}/"): alert for alert in alerts(lake).values()}
    assert set(changed) == {keys["same-size"], keys["other-size"]}
    assert {(each["kind"], each["severity"]) for each in changed.values()} == {("ingest.object_changed", "high")}
    assert (summary["balance"]["objects_read"], summary["balance"]["objects_known"]) == (2, 2)
    assert len(rows(lake)) == 6
    assert ask(lake, "SELECT * FROM audit") == []
    assert run(source, lake)["balance"]["objects_known"] == 4
    assert len(alerts(lake)) == 2


def gzip_stored(event_id: str) -> bytes:
    """A log object whose size depends on the length of its record only: nothing in it is compressed."""
    return gzip.compress(orjson.dumps({"Records": [event(event_id)]}), compresslevel=0, mtime=0)


@pytest.mark.parametrize("attacks", [("late-delivery", "attempted-stop"), ("corrupt-objects", "drop-canary")])
def test_many_runs_say_what_one_says(tmp_path: Path, attacks: tuple[str, ...]) -> None:
    """Objects that come to light step by step, judged at each step, end in the same rows, alerts and verdicts."""
    bucket = simulated(tmp_path / "bucket", *attacks)
    source, stepwise, whole = tmp_path / "in", tmp_path / "stepwise", tmp_path / "whole"
    source.mkdir()
    for until in STEPS:
        _reveal(bucket, source, until)
        run(source, stepwise, "--config", bucket / CONFIG, "--as-of", _iso(until))
    run(source, whole, "--config", bucket / CONFIG, "--as-of", _iso(STEPS[-1]))
    assert len(rows(whole)) > 300
    assert rows(stepwise) == rows(whole)
    assert alerts(stepwise) == alerts(whole)
    assert slots(stepwise) == slots(whole)
    assert ask(stepwise, _JUDGED_TWICE) == []
    assert ask(stepwise, "SELECT * FROM audit") == []


def _reveal(bucket: Path, source: Path, until: str) -> None:
    for path in bucket.rglob("*.gz"):
        target = source / path.relative_to(bucket)
        if delivered(path) <= until and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def _iso(stamp: str) -> str:
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:11]}:{stamp[11:13]}:00Z"


def _nonzero(summary: Mapping[str, Any]) -> dict[str, int]:
    return {name: count for name, count in summary["balance"].items() if count}
