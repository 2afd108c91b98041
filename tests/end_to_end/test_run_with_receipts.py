"""`run --receipts`: an alert of a silent canary says whether its call was made."""

from __future__ import annotations

from pathlib import Path

from folders import CONFIG, alerts, run, simulated, trailcanary

from pipeline.config import load_config
from pipeline.emit_receipts import Receipts
from pipeline.local_storage import LocalStorage
from schemas.receipts import Outcome, Receipt
from transforms.expected import places

VICTIM = "444455556666"
UNCALIBRATED = " (not calibrated: no test call was found in the log)"


def test_receipts_tell_a_blind_trail_from_a_dead_emitter(tmp_path: Path) -> None:
    """The same silence: critical where there are receipts, the emitter's fault where there are none."""
    bucket = simulated(tmp_path / "bucket", "drop-canary", rate=100)
    (canary,) = load_config((bucket / CONFIG).read_text(), str(bucket / CONFIG)).canaries
    assert canary.since_us is not None
    kept = Receipts(LocalStorage(str(tmp_path / "receipts")), [canary])
    for slot in range(canary.slot_of(canary.since_us), canary.slot_of(canary.since_us) + 24):
        at_us = canary.slot_start_us(slot) + 7_000_000
        for place in places(canary):
            kept.add(Receipt(place, slot, at_us, "ec2:RunInstances", Outcome.REFUSED, "UnauthorizedOperation", "r-1"))
        kept.flush()
    (tmp_path / "nothing").mkdir()
    told = {}
    for receipts in ("receipts", "nothing"):
        options = ("--config", bucket / CONFIG, "--as-of", "2026-11-01T02:15:00Z", "--receipts", tmp_path / receipts)
        run(bucket, tmp_path / f"lake-{receipts}", *options)
        (told[receipts],) = [
            (alert["severity"], alert["title"].partition("; ")[2].removesuffix(UNCALIBRATED))
            for alert in alerts(tmp_path / f"lake-{receipts}").values()
            if alert["kind"] == "canary.missing" and alert["account_id"] == VICTIM
        ]
    assert told["receipts"][0] == "critical"
    assert told["receipts"][1].endswith(":07Z (request r-1), and is not in the log")
    assert told["nothing"] == ("high", "the call was never made: there is no receipt: look at the emitter first")


def test_receipts_somewhere_impossible(tmp_path: Path) -> None:
    """Are refused before anything is read."""
    done = trailcanary("run", "--input", tmp_path, "--output", tmp_path / "lake", "--receipts", "ftp://x/y")
    assert done.code == 2
    assert "ftp://x/y: unknown scheme ftp://" in done.err
