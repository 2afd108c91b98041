"""Real CloudTrail data, read where it lies."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from folders import alerts, ask, run

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = [pytest.mark.data, pytest.mark.skipif(not DATA.exists(), reason="no real data beside the checkout")]

ACCOUNT, REGION = "342082656213", "us-west-1"
_REFUSAL = (b"vpcflowlogs", b'"AccessDenied"')
_CANARY = f"""
[[canary]]
name = "flow-logs"
accounts = ["{ACCOUNT}"]
regions = ["{REGION}"]
period = "5m"
grace = "15m"
since = 2021-07-30T00:00:00Z
[canary.match]
event_source = "s3.amazonaws.com"
event_name = "PutObject"
error_code = "AccessDenied"
"user_identity.invoked_by" = "delivery.logs.amazonaws.com"
"""
"""A service that tried every few minutes for days to write where it may not: a canary by nature."""


_HARMFUL = ("StopLogging", "DeleteTrail", "UpdateTrail", "CreateTrail")
"""Calls on trails that are told whatever they say; others by what they leave out (`_narrows`)."""


def _records() -> Iterator[dict[str, Any]]:
    """Every record of every file that is one JSON document, by nothing but gzip and orjson."""
    for path in sorted(each for each in DATA.rglob("*") if each.is_file()):
        body = path.read_bytes()
        if body.startswith(b"\x1f\x8b"):
            try:
                body = gzip.decompress(body)
            except (OSError, EOFError, zlib.error):
                continue
        try:
            whole = orjson.loads(body)
        except orjson.JSONDecodeError:
            continue
        found = whole.get("Records") if isinstance(whole, dict) else whole
        yield from (each for each in found or [] if isinstance(each, dict))


def _narrows(record: Mapping[str, Any]) -> bool:
    """Selectors that leave out management events, or Insights without any type."""
    sent = record.get("requestParameters") or {}
    if record["eventName"] == "PutInsightSelectors":
        return not sent.get("insightSelectors")
    selectors = sent.get("eventSelectors") or []
    whole = [each for each in selectors if each["readWriteType"] == "All" and each["includeManagementEvents"]]
    return record["eventName"] == "PutEventSelectors" and not whole


def _trail_changes() -> dict[bool, set[str]]:
    """Ids of harmful calls on trails: those that succeeded (True), and those that did not."""
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for record in _records():
        if record.get("eventSource") == "cloudtrail.amazonaws.com" and (
            record["eventName"] in _HARMFUL or _narrows(record)
        ):
            found[not record.get("errorCode")].add(record["eventID"])
    return found


def test_all_there_is(tmp_path: Path) -> None:
    """Nothing of it crashes a run or alarms a canary, and every change of a trail in it is found exactly once."""
    (tmp_path / "canary.toml").write_text(_CANARY)
    options = ("--config", tmp_path / "canary.toml", "--as-of", "2021-08-02T10:00:00Z")
    summary = run(DATA, tmp_path / "lake", *options)
    assert summary["faults"] == []
    assert set(summary["slots"]) == {"seen"}
    raised = list(alerts(tmp_path / "lake").values())
    assert not [alert for alert in raised if alert["kind"].startswith("canary.")]
    changes = _trail_changes()
    assert (len(changes[True]), len(changes[False])) == (6, 7)
    for succeeded, kind in ((True, "trail.tampered"), (False, "trail.attempted")):
        of_rules = [alert for alert in raised if alert["kind"] == kind and alert["rule"] is not None]
        told = Counter(event_id for alert in of_rules for event_id in alert["evidence"]["event_ids"])
        assert {event_id: told[event_id] for event_id in changes[succeeded]} == dict.fromkeys(changes[succeeded], 1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Mapping[str, Any]]:
    """Configuration, lake and summary of one run over all of sans504."""
    top = tmp_path_factory.mktemp("real")
    (top / "canary.toml").write_text(_CANARY)
    options = ("--config", top / "canary.toml", "--as-of", "data")
    return top / "canary.toml", top / "lake", run(DATA / "sans504", top / "lake", *options)


def test_all_records_are_archived(world: tuple[Path, Path, Mapping[str, Any]]) -> None:
    """As many objects, records and ids as an independent count has; the second run reads none."""
    config, lake, summary = world
    sheet = summary["balance"]
    assert (sheet["objects_read"], sheet["objects_dead"], sheet["records_read"]) == (3_872, 0, 30_477)
    assert sheet["records_archived"] + sheet["records_duplicate"] == 30_477
    assert ask(lake, "SELECT count(DISTINCT event_id) FROM events") == [(23_981,)]
    assert ask(lake, "SELECT * FROM audit") == []
    again = run(DATA / "sans504", lake, "--config", config, "--as-of", "data")
    assert (again["balance"]["objects_read"], again["alerts"]) == (0, [])


def test_natural_canary_raises_no_false_alarm(world: tuple[Path, Path, Mapping[str, Any]]) -> None:
    """Three and a half days in slots of five minutes, each of them seen."""
    _, lake, summary = world
    assert summary["slots"] == {"seen": 980}
    assert not [alert for alert in alerts(lake).values() if alert["kind"].startswith("canary.")]


def test_natural_canary_that_is_withheld(world: tuple[Path, Path, Mapping[str, Any]], tmp_path: Path) -> None:
    """Without the objects that hold its calls of two hours, it is missed for two hours, and heard again."""
    config, _, _ = world
    source = tmp_path / "in"
    for path in DATA.joinpath("sans504").rglob("*_20210731T*.json.gz"):
        stamp = path.name.split("_")[3]
        held = "20210731T1200Z" < stamp <= "20210731T1400Z"
        if "20210731T0800Z" < stamp <= "20210731T1800Z" and not (held and _sings(path)):
            source.mkdir(exist_ok=True)
            (source / path.name).symlink_to(path)
    config = tmp_path / "canary.toml"
    config.write_text(_CANARY.replace("2021-07-30T00:00:00Z", "2021-07-31T08:05:00Z"))
    summary = run(source, tmp_path / "lake", "--config", config, "--as-of", "data")
    found = [alert for alert in summary["alerts"] if alert["kind"] == "canary.missing"]
    assert [(alert["status"], alert["account_id"], alert["region"]) for alert in found] == [
        ("opened", ACCOUNT, REGION),
        ("resolved", ACCOUNT, REGION),
    ]
    assert "2021-07-31T11:50:00Z" <= found[0]["window_start"] <= "2021-07-31T12:05:00Z"
    assert "2021-07-31T13:50:00Z" <= found[1]["window_end"] <= "2021-07-31T14:05:00Z"
    assert 21 <= summary["slots"]["missing"] <= 24


def _sings(path: Path) -> bool:
    body = gzip.decompress(path.read_bytes())
    return all(word in body for word in _REFUSAL)


@pytest.mark.parametrize(
    ("source", "kind"), [("stratus_red_team", "trail.tampered"), ("traildiscover", "trail.attempted")]
)
def test_known_attacks(tmp_path: Path, source: str, kind: str) -> None:
    """Calls that blind a trail are found where they succeeded, and as attempts where they were refused."""
    lake = tmp_path / "lake"
    run(DATA / source, lake)
    ids = {event_id: alert["kind"] for alert in alerts(lake).values() for event_id in alert["evidence"]["event_ids"]}
    named = ask(
        lake, "SELECT DISTINCT event_name, event_id FROM events WHERE event_source = 'cloudtrail.amazonaws.com'"
    )
    found = {name: ids.get(event_id) for name, event_id in named}
    calls = {"StopLogging", "DeleteTrail"} | ({"PutEventSelectors"} if kind == "trail.tampered" else set())
    assert {call: found[call] for call in calls} == dict.fromkeys(calls, kind)
