"""The log path's state from run to run: what earlier runs learned counts, and nothing is raised twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folders import ACCOUNT, REGION, alerts, ask, event, fill, log_key, packed, run

from pipeline.compact import Options, compact
from pipeline.local_storage import LocalStorage
from schemas.times import parse_iso_us

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
CONFIG = f"""
[[trail]]
name = "org-trail"
account = "{ACCOUNT}"
home_region = "{REGION}"
bucket = "security-logs"
kms_key = "{KEY}"
"""
LATER_US = parse_iso_us("2100-01-01T00:00:00Z")


def _key_call(name: str, day: int) -> dict[str, Any]:
    return event(
        f"{name}-{day}",
        f"2026-11-{day:02}T12:00:00Z",
        eventSource="kms.amazonaws.com",
        eventName=name,
        requestParameters={"keyId": KEY},
        resources=[{"ARN": KEY, "accountId": ACCOUNT, "type": "AWS::KMS::Key"}],
        readOnly=False,
    )


DAYS = {
    1: [_key_call("ScheduleKeyDeletion", 1)],
    25: [_key_call("CancelKeyDeletion", 25)],
    26: [_key_call("EnableKey", 26)],
    28: [_key_call("DisableKey", 28)],
}
WHOLE = [
    ("trail.coverage_lost", "critical", "opened", "2026-11-01T12:05:00Z"),
    ("trail.tampered", "critical", "opened", "2026-11-01T12:05:00Z"),
    ("trail.time_bomb", "high", "opened", "2026-11-01T12:05:00Z"),
    ("trail.time_bomb", "critical", "updated", "2026-11-24T12:00:00Z"),
    ("trail.time_bomb", "high", "resolved", "2026-11-25T12:05:00Z"),
    ("trail.coverage_lost", "critical", "resolved", "2026-11-26T12:05:00Z"),
    ("trail.tampered", "critical", "resolved", "2026-11-26T12:05:00Z"),
    ("trail.coverage_lost", "critical", "opened", "2026-11-28T12:05:00Z"),
    ("trail.tampered", "critical", "opened", "2026-11-28T12:05:00Z"),
]


def deliver(source: Path, day: int) -> None:
    """What is delivered on a day."""
    fill(source, {log_key(f"day{day}", f"202611{day:02}T1205Z"): packed(*DAYS[day])})


def told(lake: Path) -> list[tuple[str, str, str, str]]:
    """What was raised, in the order in which it was due."""
    found = [(each["kind"], each["severity"], each["status"], each["detected_at"]) for each in alerts(lake).values()]
    return sorted(found, key=lambda each: (each[3], each[0], each[2]))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A declared trail."""
    path = tmp_path / "trailcanary.toml"
    path.write_text(CONFIG)
    return path


def test_one_run_tells_the_whole_story(tmp_path: Path, config: Path) -> None:
    """Harm, the warning that was due before anyone cancelled, recovery, and harm again."""
    for day in DAYS:
        deliver(tmp_path / "in", day)
    run(tmp_path / "in", tmp_path / "lake", "--config", config, "--as-of", "2026-12-24")
    assert told(tmp_path / "lake") == WHOLE
    incidents = "SELECT kind, is_open, severity FROM incidents ORDER BY ALL"
    assert ask(tmp_path / "lake", incidents) == [
        ("trail.coverage_lost", False, "critical"),
        ("trail.coverage_lost", True, "critical"),
        ("trail.tampered", True, "critical"),
        ("trail.time_bomb", False, "high"),
    ]


@pytest.mark.parametrize("compacted", [False, True])
def test_many_runs_tell_the_same(tmp_path: Path, config: Path, compacted: bool) -> None:  # noqa: FBT001
    """Each run tells what is due by then, merged parts or not, and a run with nothing new the deadlines."""
    source, lake = tmp_path / "in", tmp_path / "lake"
    counts = []
    for day in (1, 2, 24, 25, 26, 28, 29):
        if day in DAYS:
            deliver(source, day)
        as_of = f"2026-11-{day:02}T13:00:00Z"
        counts.append(len(run(source, lake, "--config", config, "--as-of", as_of)["alerts"]))
        if compacted:
            compact(LocalStorage(str(lake)), Options(keep_us=0, settle_us=0), lambda: LATER_US)
    assert counts == [3, 0, 1, 1, 2, 2, 0]
    assert told(lake) == WHOLE


def _bucket_call(name: str, clock: str, **sent: Any) -> dict[str, Any]:
    return event(
        f"{name}-{clock}",
        f"2026-11-02T{clock}:00Z",
        eventSource="s3.amazonaws.com",
        eventName=name,
        requestParameters={"bucketName": "learned-logs", **sent},
        readOnly=False,
    )


LEARNED = {
    "1205": [_bucket_call("DeleteBucket", "12:00")],
    "1405": [
        event(
            "created",
            "2026-11-02T14:00:00Z",
            eventSource="cloudtrail.amazonaws.com",
            eventName="CreateTrail",
            requestParameters={"name": "second", "s3BucketName": "learned-logs"},
            readOnly=False,
        )
    ],
    "1605": [_bucket_call("DeleteBucket", "16:00")],
}
ESCALATED = [
    ("trail.tampered", "info", "opened", "2026-11-02T12:05:00Z"),
    ("trail.tampered", "critical", "updated", "2026-11-02T14:05:00Z"),
    ("trail.tampered", "critical", "updated", "2026-11-02T16:05:00Z"),
]


@pytest.mark.parametrize("runs", ["at once", "each", "compacted"])
def test_finding_is_escalated_once(tmp_path: Path, config: Path, runs: str) -> None:
    """Told as a trifle elsewhere, told again in full when a trail that delivers there is seen, and never again."""
    source, lake = tmp_path / "in", tmp_path / "lake"
    for clock, records in LEARNED.items():
        fill(source, {log_key(f"at{clock}", f"20261102T{clock}Z"): packed(*records)})
        if runs != "at once":
            run(source, lake, "--config", config, "--as-of", "data")
        if runs == "compacted":
            compact(LocalStorage(str(lake)), Options(keep_us=0, settle_us=0), lambda: LATER_US)
    run(source, lake, "--config", config, "--as-of", "data")
    of_bucket = [each for each in alerts(lake).values() if each["resource"] == "learned-logs"]
    found = sorted((each["kind"], each["severity"], each["status"], each["detected_at"]) for each in of_bucket)
    assert sorted(found, key=lambda each: each[3]) == ESCALATED
    (again,) = [each for each in of_bucket if each["detected_at"] == "2026-11-02T14:05:00Z"]
    assert again["title"].startswith("On the log path, as CreateTrail shows: ")
    assert again["evidence"]["event_ids"] == ["DeleteBucket-12:00", "created"]
