"""Every simulated attack, from the command line to the alerts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from folders import CONFIG, alerts, kinds, run, simulated

from transforms.simulation import ATTACKS

MEMBER, VICTIM, SECURITY = "111122223333", "444455556666", "999999999999"
BEYOND = "2026-11-01T03:00:00Z"  # late enough for silence to show
BEFORE_END = "2026-11-01T02:15:00Z"  # the last slots' calls come in time, held ones after them

_UNCOVERED = [("trail.coverage_lost", MEMBER, "critical", "opened")]
_SILENT = [("canary.missing", VICTIM, "critical", "opened")]
_BLIND = [("canary.unsure", account, "high", "opened") for account in (MEMBER, VICTIM, SECURITY)]


def _tampered(account: str = VICTIM, severity: str = "critical") -> list[tuple[str, str, str, str]]:
    return [("trail.tampered", account, severity, "opened")]


def _each_slot(kind: str, severity: str) -> list[tuple[str, str, str, str]]:
    """One incident, with an alert for each of the calls that are left."""
    return [(kind, VICTIM, severity, "opened"), *[(kind, VICTIM, severity, "updated")] * 9]


EXPECTED = {
    "stop-logging": _SILENT + _tampered() + _UNCOVERED,
    "delete-trail": _SILENT + _tampered() + _UNCOVERED,
    "narrow-selectors": _SILENT + _tampered() + _UNCOVERED,
    "advanced-selectors": _SILENT + _tampered() + _UNCOVERED,
    "redirect-bucket": _SILENT + _tampered() + _UNCOVERED,
    "disable-key": _BLIND + _tampered(SECURITY),
    "schedule-key-deletion": [*_BLIND, *_tampered(SECURITY), ("trail.time_bomb", SECURITY, "high", "opened")],
    "kms-policy": _BLIND + _tampered(SECURITY),
    "bucket-policy": _BLIND + _tampered(SECURITY),
    "lifecycle": [*_tampered(SECURITY), ("trail.time_bomb", SECURITY, "critical", "opened")],
    "delete-objects": _tampered(SECURITY) * 2,
    "stop-and-start": [*_tampered(), ("trail.tampered", VICTIM, "critical", "resolved")],
    "cancel-key-deletion": [*_tampered(SECURITY), ("trail.tampered", SECURITY, "critical", "resolved")],
    "attempted-stop": [("trail.attempted", VICTIM, "high", "opened")],
    "silent": _BLIND,
    "silent-account": _SILENT,
    "drop-region": _SILENT,
    "drop-canary": _SILENT,
    "canary-allowed": _each_slot("canary.allowed", "high"),
    "forge-canary": _SILENT + _each_slot("canary.forged", "critical"),
    "replay-canary": _SILENT + _each_slot("canary.replayed", "critical"),
    "corrupt-objects": [
        ("canary.unsure", VICTIM, "high", "opened"),
        ("canary.unsure", VICTIM, "high", "resolved"),
        ("ingest.unreadable", VICTIM, "medium", "opened"),
    ],
    "late-delivery": [
        ("canary.missing", VICTIM, "critical", "opened"),
        ("canary.missing", VICTIM, "critical", "resolved"),
    ],
}


def test_every_attack_has_an_expectation() -> None:
    """An attack that the simulation gains must be expected here."""
    assert set(EXPECTED) == set(ATTACKS)


@pytest.mark.parametrize("attack", EXPECTED)
def test_attack_raises_its_alerts(tmp_path: Path, attack: str) -> None:
    """Each attack is alerted on with its kind, account and severity, and nothing else is, but for trifles."""
    source, lake = simulated(tmp_path / "in", attack), tmp_path / "lake"
    as_of = BEYOND if _BLIND[0] in EXPECTED[attack] else BEFORE_END
    summary = run(source, lake, "--config", source / CONFIG, "--as-of", as_of)
    found = _serious(lake)
    assert kinds(found) == sorted(EXPECTED[attack])
    first = [alert for alert in found if alert["status"] != "updated"]
    assert all("2026-11-01T01:10:00Z" <= alert["window_start"] <= "2026-11-01T01:20:00Z" for alert in first)
    assert summary["faults"] == []
    assert summary["alerts"] == list(alerts(lake).values())


def test_quiet_bucket_raises_nothing_serious(tmp_path: Path) -> None:
    """Without an attack every slot is seen, and no alert is above low."""
    source, lake = simulated(tmp_path / "in", rate=600), tmp_path / "lake"
    summary = run(source, lake, "--config", source / CONFIG, "--as-of", BEFORE_END)
    assert summary["slots"] == {"seen": 72}
    assert _serious(lake) == []


def _serious(lake: Path) -> list[Mapping[str, Any]]:
    return [alert for alert in alerts(lake).values() if alert["severity"] not in ("low", "info")]
