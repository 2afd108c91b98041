"""A compaction beside a job: its lock, bundles done again, runs that died, canaries declared later, buckets."""

from __future__ import annotations

import ctypes
import io
import os
import struct
import sys
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from archive_worlds import CANARY, bundle_of, fill, job_of, key, record
from compaction_worlds import (
    NOW_US,
    Interruptible,
    compacted,
    files,
    finish,
    later,
    live_rows,
    session,
    write_bundles,
)
from test_lake import TAMPERING, Found

from pipeline.compact import Options, plan_of
from pipeline.compactions import read_compactions
from pipeline.export import export_records
from pipeline.lake import read_lake
from pipeline.local_storage import LocalStorage
from pipeline.lock import hold_lake
from pipeline.query import run_query
from pipeline.s3_storage import S3Storage
from schemas.canaries import Match
from schemas.errors import LakeLocked
from schemas.objects import LEDGER_SCHEMA
from schemas.settings import Config
from schemas.storage import Fetched
from schemas.times import HOUR_US
from transforms.archive_job import archive_bundle
from transforms.compaction import Merging, merge_parts
from transforms.compaction_plan import Sizes
from transforms.ledger_part import LedgerPart, decode_ledger_part, encode_ledger_part
from transforms.repeated_objects import RepeatedObjects

WORLD = [[[record(1, eventName="RunInstances")]], [[record(1, eventName="RunInstances"), record(2)]], [[record(3)]]]


@pytest.fixture
def lake(tmp_path: Path) -> LocalStorage:
    """Three bundles with a copy between them."""
    return write_bundles(tmp_path, WORLD)


def test_a_run_may_hold_the_lake_but_no_compaction(lake: LocalStorage) -> None:
    """Compactions exclude each other, and nobody else."""
    with hold_lake(lake, "run-9", lambda: NOW_US):
        assert compacted(lake).merges == 2
    refused: list[str] = []

    def second(_path: str, _done: int) -> None:
        with pytest.raises(LakeLocked, match=f"{lake.root} is held by run compact-"):
            compacted(lake)
        refused.append(_path)

    compacted(Interruptible(lake, second), now_us=NOW_US + HOUR_US)
    assert refused


def test_a_run_that_starts_spares_our_temporary_files(lake: LocalStorage) -> None:
    """And we spare those of a run; a compaction that was killed leaves none for long."""
    ours, theirs = (Path(lake.root, "events", f".tmp-{name}{'0a' * 12}") for name in ("compact-", ""))
    for path in (ours, theirs):
        path.write_bytes(b"half")
    with hold_lake(lake, "run-9", lambda: NOW_US):
        assert (ours.exists(), theirs.exists()) == (True, False)
    theirs.write_bytes(b"half")
    compacted(lake)
    assert (ours.exists(), theirs.exists()) == (False, True)


@pytest.mark.parametrize("removed", [False, True])
def test_a_bundle_that_is_done_again(lake: LocalStorage, removed: bool) -> None:  # noqa: FBT001 - a parameter
    """A job that restarts from a checkpoint writes its bundle anew: it does not come alive, and is removed again."""
    bundles = {
        path: body for path, body in files(lake).items() if path.startswith(("events/", "objects/", "canaries/s"))
    }
    compacted(lake)
    if removed:
        compacted(lake, now_us=NOW_US + HOUR_US)
    rows = live_rows(lake)
    state = read_lake(lake, Config((CANARY,)))
    for path, body in bundles.items():
        lake.write(path, body)
    assert live_rows(lake) == rows
    assert session(lake).execute("SELECT count(*) FROM events").fetchone() == (len(rows),)
    assert session(lake).execute("SELECT count(*) FROM sightings").fetchone() == (2,)
    assert read_lake(lake, Config((CANARY,))) == state
    assert set(bundles) <= set(files(lake))
    compacted(lake, now_us=later(6))
    assert not set(bundles) & set(files(lake))
    assert live_rows(lake) == rows


def test_names_are_forgotten(lake: LocalStorage) -> None:
    """After a week compactions no longer name what was removed, so that they stay small."""
    compacted(lake)
    compacted(lake, now_us=later(7))
    assert read_compactions(lake).superseded
    compacted(lake, now_us=later(8))
    assert not read_compactions(lake).superseded
    assert session(lake).execute("SELECT count(*) FROM events").fetchone() == (3,)
    assert read_lake(lake, Config()).died == ()


def test_findings_of_a_run_that_died_survive(tmp_path: Path) -> None:
    """Parts of a run without a sheet are merged with others'; the next run still raises what it owes, and once."""
    lake = write_bundles(tmp_path, WORLD)
    source = fill(tmp_path / "died", {key(7): [record(7)]})
    report = archive_bundle(job_of(source, lake, rules=Found(), run_id="run-2"), bundle_of(source))
    state = read_lake(lake, Config())
    compacted(lake)
    assert (state.died, state.left, state.left_tamperings) == (("run-2",), report.rows, (TAMPERING,))
    assert read_lake(lake, Config()) == state
    finish(lake, 1, "run-2")
    assert read_lake(lake, Config()).left_tamperings == ()


def test_findings_of_finished_runs_are_dropped(tmp_path: Path) -> None:
    """Their alerts are raised."""
    lake = write_bundles(tmp_path, WORLD, rules=Found())
    compacted(lake)
    [path] = [path for path in read_compactions(lake).named if path.startswith("objects/")]
    assert decode_ledger_part(lake.read(path).body).tamperings == ()


def test_a_canary_that_is_declared_later(lake: LocalStorage) -> None:
    """The merged archive is searched once, as a bundle's is; what is found counts, also after the next merge."""
    later_canary = msgspec.structs.replace(CANARY, name="later", match=(Match("event_name", ("Run*",)),))
    compacted(lake)
    found = read_lake(lake, Config((later_canary,))).sightings
    assert len(found) == 1
    assert read_lake(lake, Config((later_canary,))).sightings == found
    assert session(lake).execute("SELECT count(*) FROM sightings WHERE canary = 'later'").fetchone() == (1,)
    compacted(lake, now_us=NOW_US + HOUR_US)
    assert read_lake(lake, Config((later_canary,))).sightings == found


def test_rows_whose_object_is_booked_elsewhere_stay(lake: LocalStorage) -> None:
    """A part outside the merge has a newer row of the object: the copy stays, and so the ledger stays right."""
    parts = sorted(stat.path for stat in lake.list("objects/"))
    tables = {path: decode_ledger_part(lake.read(path).body).table for path in parts}
    newer = [row | {"run_id": "run-2"} for table in tables.values() for row in table.to_pylist()]
    table = pa.Table.from_pylist(newer, schema=LEDGER_SCHEMA)
    lake.write(f"objects/{'f' * 24}.parquet", encode_ledger_part(LedgerPart(table, (), ())))
    plan = plan_of(lake, read_compactions(lake), Options(), NOW_US)
    [group] = plan.parts
    merged = merge_parts(
        Merging(lake, Sizes(), frozenset(), plan.repeated), [part for part in group if part.event_files]
    )
    assert (merged.rows_read, merged.copies) == (4, 0)
    report = compacted(lake)
    assert report.copies_removed == 1
    assert session(lake).execute("FROM audit").fetchall() == []


def test_a_compaction_that_is_removed_while_it_is_read(lake: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was superseded: who listed it and does not find it has read what superseded it."""
    compacted(lake)
    lake.write("compactions/merged-old.json", b"")
    read = LocalStorage.read

    def vanishing(storage: LocalStorage, path: str) -> Fetched:
        storage.delete("compactions/merged-old.json")
        return read(storage, path)

    monkeypatch.setattr(LocalStorage, "read", vanishing)
    assert len(read_compactions(lake).all) == 2


def test_a_query_under_way(lake: LocalStorage) -> None:
    """A query that was prepared before a merge commits gives the rows of before, or of after."""
    connection = session(lake)
    connection.execute("PREPARE q AS SELECT count(DISTINCT event_id), count(*) FROM events")
    compacted(lake)
    assert connection.execute("EXECUTE q").fetchall() in ([(3, 4)], [(3, 3)])


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_duckdb_lists_compactions_first(lake: LocalStorage) -> None:
    """What the views rely on: of a view's FROM clause the compactions are listed before the files they are about."""
    compacted(lake)
    connection = session(lake)
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    folders = ("compactions", "events", "objects", "canaries")
    numbers = {libc.inotify_add_watch(watch, f"{lake.root}/{name}".encode(), 0x20): name for name in folders}
    for view, folder in (("events", "events"), ("objects", "objects"), ("sightings", "canaries")):
        connection.execute(f"FROM {view}").fetchall()
        opened, noted = [], io.BytesIO(os.read(watch, 1 << 16))
        while head := noted.read(16):
            number, mask, _, length = struct.unpack("iIII", head)
            if not noted.read(length).strip(b"\0") and mask & 0x40000000:
                opened.append(numbers[number])
        assert opened[:2] == ["compactions", folder]
    os.close(watch)


def test_in_a_bucket(tmp_path: Path, s3_bucket: str) -> None:
    """The same in a bucket: a compaction, its removals, and what a query and an export then read."""
    local = write_bundles(tmp_path, WORLD)
    bucket = S3Storage(s3_bucket, "lake")
    for path, body in files(local).items():
        bucket.write(path, body)
    report = compacted(bucket)
    assert (report.rows_written, report.copies_removed, report.files_waiting) == (2 + 1, 1, 10)

    def answers() -> tuple[str, int]:
        out, lines = io.StringIO(), io.BytesIO()
        run_query(bucket, "SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM events", "csv", out)
        return out.getvalue(), export_records(bucket, None, lines)

    assert answers() == ("n,ids\n3,3\n", 3)
    read_lake(bucket, Config())
    assert compacted(bucket, now_us=NOW_US + HOUR_US).files_removed == 10
    assert answers() == ("n,ids\n3,3\n", 3)


def test_hashes_of_objects() -> None:
    """Objects that another part has a row of too, and no others."""
    repeated = RepeatedObjects()
    for path, uris in (("a", ["x", "y"]), ("b", ["y", "z"]), ("c", ["v", "v"])):
        repeated.add(path, pa.chunked_array([uris]))
    assert repeated.outside({"a"}, pa.chunked_array([["x", "y"]])).to_pylist() == ["y"]
    assert repeated.outside({"a", "b"}, pa.chunked_array([["x", "y", "y", "z"]])).to_pylist() == []
    assert repeated.outside({"a", "b", "c"}, pa.chunked_array([["x"]])).to_pylist() == []
