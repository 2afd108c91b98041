"""A month without an attack: what administrators do raises no canary, and one alert for each change of the log path."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from folders import CONFIG, alerts, ask, fill, run

from schemas.times import parse_iso_us
from transforms.simulation import SECRET_NAME, Scenario, canary_config, canary_secret, simulate

START_US = parse_iso_us("2026-11-01T00:00:00Z")
MONTH = Scenario(
    seed=5,
    start_us=START_US,
    hours=30 * 24,
    accounts=1,
    regions=("us-east-1",),
    rate=48,
    attacks=(),
    administration=True,
)
AFTER = "2026-12-01T00:15:00Z"  # the last slot's deadline
SLOTS = 2 * 30 * 24 * 12
QUIET = ("info", "low")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The month, handled by one run."""
    top = tmp_path_factory.mktemp("month")
    source = fill(top / "in", {each.path: each.body for each in simulate(MONTH)})
    fill(source, {SECRET_NAME: canary_secret(MONTH), CONFIG: canary_config(MONTH).encode()})
    summary = run(source, top / "lake", "--config", source / CONFIG, "--as-of", AFTER)
    assert summary["slots"] == {"seen": SLOTS}
    return top / "lake"


def test_month_is_full_of_administration(lake: Path) -> None:
    """Every day somebody does what an intruder might: on buckets, keys, roles, topics, queues, trails, alarms."""
    names = "SELECT DISTINCT event_name FROM events WHERE user_identity.arn LIKE '%/platform-deploy/terraform'"
    made = {name for (name,) in ask(lake, names)}
    assert made >= {
        "PutBucketPolicy",
        "ScheduleKeyDeletion",
        "PutRolePolicy",
        "SetSubscriptionAttributes",
        "PurgeQueue",
    }
    assert made >= {"CreateTrail", "DescribeTrails", "DisableRule", "DisableAlarmActions", "UpdateTrail"}
    buckets = "SELECT count(DISTINCT resources[1].arn) FROM events WHERE event_name = 'PutBucketOwnershipControls'"
    assert ask(lake, buckets)[0][0] > 50


def test_month_has_throttled_and_late_calls(lake: Path) -> None:
    """Canary calls are throttled twice a day and made again, and an hour a day comes ten minutes late."""
    throttled = "SELECT count(*) FROM events WHERE error_code = 'Client.RequestLimitExceeded'"
    assert ask(lake, throttled) == [(2 * 30 * 2,)]
    lateness = "SELECT max(delivered_at - event_time) FROM sightings"
    assert ask(lake, lateness)[0][0] > dt.timedelta(minutes=14)


def test_no_canary_raises_an_alert(lake: Path) -> None:
    """Every slot of the month is seen, and nothing is said of canaries."""
    assert [each for each in alerts(lake).values() if each["kind"].startswith("canary.")] == []


def test_the_planned_change_is_one_alert(lake: Path) -> None:
    """Of the log path's own resources exactly the one change that was made is told, once."""
    (found,) = on_the_path(lake)
    assert (found["kind"], found["severity"], found["rule"]) == ("trail.tampered", "high", "trail_log_group_changed")
    assert found["resource"].endswith(":trail/org-trail")


def test_other_resources_stay_quiet(lake: Path) -> None:
    """A team's own trail is worth a look; all else that was touched is at most low."""
    own = {each["alert_id"] for each in on_the_path(lake)}
    louder = [each for each in alerts(lake).values() if each["severity"] not in QUIET and each["alert_id"] not in own]
    assert {(each["rule"], each["severity"]) for each in louder} == {("trail_created_elsewhere", "medium")}


def on_the_path(lake: Path) -> list[dict[str, Any]]:
    """Alerts on what the configuration declares."""
    declared = ("org-trail", "security-logs", "log-reader", MONTH.kms_key_arn)
    return [each for each in alerts(lake).values() if any(name in (each["resource"] or "") for name in declared)]
