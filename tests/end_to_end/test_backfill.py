"""Canaries that are declared when the lake already holds their past."""

from __future__ import annotations

from pathlib import Path

from folders import CONFIG, run, simulated


def test_a_canary_declared_later_has_its_past(tmp_path: Path) -> None:
    """Verdicts are those of a lake that knew the canary from the start: no alarm for what was never looked for."""
    bucket = simulated(tmp_path / "bucket")
    at_once = run(bucket, tmp_path / "known", "--config", bucket / CONFIG, "--as-of", "data")
    run(bucket, tmp_path / "later", "--as-of", "data")
    later = run(bucket, tmp_path / "later", "--config", bucket / CONFIG, "--as-of", "data")
    assert later["balance"]["records_read"] == 0
    assert later["slots"] == at_once["slots"]
    assert set(later["slots"]) == {"seen"}


def test_a_match_that_changes_is_searched_for_again(tmp_path: Path) -> None:
    """Sightings of the old match are void: slots judged from now on are judged by the new one."""
    bucket = simulated(tmp_path / "bucket")
    narrower = bucket / "other.toml"
    narrower.write_text((bucket / CONFIG).read_text().replace('"tc-*"', '"nothing-*"'))
    run(bucket, tmp_path / "lake", "--config", bucket / CONFIG, "--as-of", "2026-11-01T01:00:00Z")
    changed = run(bucket, tmp_path / "lake", "--config", narrower, "--as-of", "data")
    assert set(changed["slots"]) == {"missing"}
