"""What a run prints, where and when; and the records that `export` gives back."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from folders import CONFIG, ROOT, alerts, event, fill, log_key, packed, run, simulated, trailcanary

_OFTEN = """
import sys
import pipeline.progress
from pipeline.__main__ import main
pipeline.progress._EVERY_S = 0.005
sys.exit(main(sys.argv[1:]))
"""
"""The command line, but for a progress line that is painted often enough for a small input."""


def test_summary_for_people(tmp_path: Path) -> None:
    """Alerts, then the balance; nothing on standard error where it is no terminal; the same is in the sheet."""
    stop = event("s", eventName="StopLogging", eventSource="cloudtrail.amazonaws.com", requestParameters={"name": "t"})
    source = fill(tmp_path / "in", {log_key("a"): packed(stop), "AWSLogs/notes.txt": b""})
    done = trailcanary("run", "--input", source, "--output", tmp_path / "lake")
    assert (done.code, done.err) == (0, "")
    assert done.out.index("StopLogging") < done.out.index("objects  2 listed = 1 read + 0 dead + 0 already known + 1")
    assert "records  1 read = 1 archived + 0 duplicates + 0 dead\n" in done.out
    assert "\x1b" not in done.out
    (sheet,) = (tmp_path / "lake" / "runs").iterdir()
    assert json.loads(sheet.read_bytes())["balance"]["records_archived"] == 1


def test_summary_as_json(tmp_path: Path) -> None:
    """One JSON document: the sheet of `runs/`, and the alerts as `alerts/` has them."""
    source, lake = simulated(tmp_path / "in", "attempted-stop", hours=1, rate=60), tmp_path / "lake"
    summary = dict(run(source, lake, "--config", source / CONFIG, "--as-of", "data"))
    found = summary.pop("alerts")
    assert found == list(alerts(lake).values())
    assert [alert["kind"] for alert in found] == ["trail.attempted"]
    (sheet,) = (lake / "runs").iterdir()
    assert json.loads(sheet.read_bytes()) == summary | {"alerts": 1}
    assert set(summary) >= {"run_id", "started_at", "finished_at", "as_of", "inputs", "balance", "faults", "slots"}


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    """One line, painted over and erased at the end: the screen is left as it was."""
    source = fill(tmp_path / "in", {log_key(str(number)): packed(event(str(number))) for number in range(300)})
    leader, follower = pty.openpty()
    command = [sys.executable, "-c", _OFTEN, "run", "--input", str(source), "--output", str(tmp_path / "lake")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=follower) as process:
        os.close(follower)
        painted = _read_all(leader)
        assert process.stdout is not None
        out = process.stdout.read().decode()
    assert process.returncode == 0
    assert "\r\x1b[K" in painted
    assert " of 300 objects · " in painted
    assert painted.endswith("\r\x1b[K")
    assert "\n" not in painted
    assert "300 read" in out


def _read_all(handle: int) -> str:
    painted = b""
    try:
        while some := os.read(handle, 4096):
            painted += some
    except OSError:  # Linux says EIO when the last process has closed the terminal
        os.close(handle)
    return painted.decode()


@pytest.mark.parametrize("where", [None, "event_source = 'ec2.amazonaws.com'"])
def test_export_gives_back_every_record(tmp_path: Path, where: str | None) -> None:
    """Equal JSON up to the order of names and absent ≡ null, each record once."""
    source, lake = simulated(tmp_path / "in", rate=1500, hours=1), tmp_path / "lake"
    run(source, lake)
    done = trailcanary("export", "--output", lake, *(["--where", where] if where else []))
    assert (done.code, done.err) == (0, "")
    delivered: dict[str, Any] = {}
    for path in source.rglob("*_CloudTrail*.gz"):
        for record in json.loads(gzip.decompress(path.read_bytes())).get("Records", ()):
            if where is None or record.get("eventSource") == "ec2.amazonaws.com":
                delivered[record["eventID"]] = record
    exported = [json.loads(line) for line in done.out.splitlines()]
    assert len(delivered) > 100
    assert _sorted(exported) == _sorted(list(delivered.values()))


def _sorted(records: list[Any]) -> list[str]:
    some = ({name: value for name, value in record.items() if value is not None} for record in records)
    return sorted(json.dumps(record, sort_keys=True) for record in some)
