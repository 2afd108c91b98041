"""Rows that get lost: on disk after a run, or inside of one. Neither stays unnoticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from folders import ask, event, fill, log_key, packed, run, trailcanary

from transforms.event_files import EventFiles

_OBJECTS = {
    log_key("a"): packed(event("a1"), event("a2")),
    log_key("b"): packed(event("b1"), event("yesterday", "2026-10-31T23:59:59Z")),
}


def _without_an_object(path: Path) -> None:
    table = pq.read_table(pa.BufferReader(path.read_bytes()))
    pq.write_table(table.filter(pc.invert(pc.ends_with(table["object_key"], "_b.json.gz"))), path)


@pytest.mark.parametrize(
    ("damage", "message", "lost"),
    [
        (Path.unlink, "is missing", [("_a", 0, 2), ("_b", 1, 2)]),
        (_without_an_object, "bytes instead of", [("_b", 1, 2)]),
    ],
)
def test_damaged_archive(
    tmp_path: Path, damage: Callable[[Path], None], message: str, lost: list[tuple[str, int, int]]
) -> None:
    """A file that is gone or was rewritten: the view `audit` names the objects, the next run refuses and says which."""
    source, lake = fill(tmp_path / "in", _OBJECTS), tmp_path / "lake"
    run(source, lake)
    assert ask(lake, "SELECT * FROM audit") == []
    (path,) = lake.glob("events/event_date=2026-11-01/*.parquet")
    damage(path)
    found = ask(lake, "SELECT object_key, rows_in_events, rows_in_ledger FROM audit")
    assert [(key.removesuffix(".json.gz")[-2:], *counts) for key, *counts in found] == lost
    done = trailcanary("run", "--input", source, "--output", lake)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("trailcanary: 1 of 2 archive files are not as the ledger has them: ")
    assert f"{path} " in done.err
    assert message in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_rows_lost_within_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:  # noqa: FBT001
    """Rows that do not reach their file make the run fail, and its sheet says how many."""
    write = EventFiles.write
    monkeypatch.setattr(EventFiles, "write", lambda files, rows: write(files, rows.slice(1)))
    source, lake = fill(tmp_path / "in", _OBJECTS), tmp_path / "lake"
    done = trailcanary("run", "--input", source, "--output", lake, *(["--json"] if as_json else []))
    assert (done.code, done.err) == (1, "")
    fault = "records archived 4 ≠ 3 rows in the files written"
    if as_json:
        assert json.loads(done.out)["faults"] == [fault]
    else:
        assert f"FAULT    {fault}\n" in done.out
    assert len(ask(lake, "SELECT * FROM audit")) == 1
