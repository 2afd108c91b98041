"""Merging small files: rows are conserved, copies are removed, and nobody beside sees half of it."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_worlds import record
from compaction_worlds import (
    NOW_US,
    Interruptible,
    Killed,
    compacted,
    content,
    files,
    live_rows,
    session,
    without_copies,
    write_bundles,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.lake import read_lake, read_ledger
from pipeline.local_storage import LocalStorage
from schemas.archive import ARCHIVE_SCHEMA
from schemas.errors import LakeDamaged, UnbalancedRun, UsageError
from schemas.settings import Config
from schemas.times import HOUR_US
from transforms.compaction_plan import Sizes

TIMES = ("2026-11-01T00:00:00Z", "2026-11-01T23:59:59Z", "2026-11-02T00:00:00Z")
SMALL = Sizes(file_bytes=50_000, part_bytes=30_000, group_bytes=60_000, group_part_bytes=60_000)
# Few values, so that copies, disputes and rows without an id are common, within bundles and between.
records = st.builds(
    lambda number, at, members: {**record(number), **members, "eventTime": at},
    st.integers(0, 5),
    st.sampled_from(TIMES),
    st.fixed_dictionaries(
        {},
        optional={
            "eventID": st.none(),
            "eventName": st.sampled_from(["RunInstances", "StopLogging"]),
            "userIdentity": st.sampled_from([{"type": "Root"}, {}]),
            "resources": st.sampled_from([[{"ARN": "a"}], []]),
            "requestParameters": st.just({"a": 1}),
        },
    ),
)
bundles = st.lists(st.lists(st.lists(records, max_size=4), min_size=1, max_size=3), min_size=1, max_size=6)
WORLD: list[list[Any]] = [
    [[record(1), record(2, eventName="RunInstances")], b"no gzip"],
    [[record(1), record(3)], [record(4), {"eventID": "timeless"}]],
    [[{**record(5), "eventTime": TIMES[2]}]],
    [[{**record(5), "eventTime": TIMES[2]}, record(2, eventName="RunInstances")]],
]
ROWS, COPIES = 8, 3


@pytest.fixture
def lake(tmp_path: Path) -> LocalStorage:
    """Four bundles of two days with copies between them, dead letters, sightings and verdicts."""
    return write_bundles(tmp_path, WORLD)


@given(bundles=bundles, sizes=st.sampled_from([Sizes(), SMALL]))
@settings(max_examples=25)
def test_rows_are_conserved(bundles: list[list[list[dict[str, Any]]]], sizes: Sizes) -> None:
    """Any rows in any split: the same contents after, in order of time; what is merged together has copies once.

    Totals close: rows written by runs − copies removed = rows there, and the ledger agrees, object by object.
    """
    with tempfile.TemporaryDirectory() as folder:
        lake = write_bundles(Path(folder), bundles)
        before = live_rows(lake)
        report = compacted(lake, sizes=sizes)
        after = live_rows(lake)
        assert without_copies(after) == without_copies(before)
        assert len(after) == len(before) - report.copies_removed
        if sizes == Sizes():
            assert Counter(map(content, after)) == without_copies(before)
            assert report.after["objects"].files == 1
        assert report.rows_read == report.rows_written + report.copies_removed
        connection = session(lake)
        assert connection.execute("FROM audit").fetchall() == []
        [(written,)] = connection.execute("SELECT sum(rows_written) FROM runs").fetchall()
        removed = connection.execute("SELECT sum(copies_removed + copies_before) FROM compactions").fetchall()
        assert written - (removed[0][0] or 0) == len(after)
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (len(after),)
        assert read_ledger(lake).num_rows == sum(map(len, bundles))


def test_merged_files_are_sorted_and_split(tmp_path: Path) -> None:
    """A merged day is in order of time over its files, each begun when the one before is full."""
    times = [f"2026-11-01T00:{minute:02}:00Z" for minute in range(60)]
    world = [
        [[{**record(n * 100 + i, requestParameters={"a": "é" * 9}), "eventTime": at} for i, at in enumerate(times)]]
        for n in range(6)
    ]
    lake = write_bundles(tmp_path, world)
    # Every chunk is a row group; with chunks of one minute each, files fill up one after the other.
    sizes = Sizes(file_bytes=40_000, group_bytes=10**9)
    assert all(stat.size < 20_000 for stat in lake.list("events/"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transforms.compaction_events.CHUNK_BYTES", 5_000)
        patch.setattr("transforms.compaction_events.RUN_BYTES", 100_000)
        compacted(lake, sizes=sizes, keep_us=0)
    rows = live_rows(lake)
    assert len(rows) == 360
    assert all(one["event_time"] <= other["event_time"] for one, other in pairwise(rows))
    merged = sorted(stat.path for stat in lake.list("events/") if "/merged-" in stat.path)
    assert len(merged) > 1
    assert all(len(lake.read(path).body) > sizes.file_bytes for path in merged[:-1])


def test_same_id_with_other_content_stays(tmp_path: Path) -> None:
    """It is counted as a conflict, not removed."""
    lake = write_bundles(tmp_path, [[[record(1)]], [[record(1, eventName="Other")]]])
    report = compacted(lake)
    assert (report.rows_written, report.copies_removed, report.conflicts) == (2, 0, 1)


def test_the_lake_is_small_and_the_same(lake: LocalStorage) -> None:
    """One part of the ledger, one file a day; sightings, letters, deliveries and verdicts are what they were."""
    state = read_lake(lake, Config())
    sightings, spans = (
        session(lake).execute(f"FROM {view} ORDER BY ALL").fetchall() for view in ("sightings", "canary_spans")
    )
    report = compacted(lake)
    assert (report.before["events"].files, report.before["objects"].files, report.before["canaries"].files) == (5, 4, 4)
    assert (report.after["events"].files, report.after["objects"].files, report.after["canaries"].files) == (2, 1, 2)
    assert (report.rows_written, report.copies_removed) == (ROWS - COPIES, COPIES)
    for now_us in (NOW_US + HOUR_US, NOW_US + HOUR_US):
        removed = compacted(lake, now_us=now_us)
    assert (removed.merges, removed.files_removed, removed.files_waiting) == (0, 0, 0)
    assert len(list(lake.list("events/"))) == 2
    assert len(list(lake.list("dead_letters/"))) == 2
    assert read_lake(lake, Config()) == state
    assert len(list(lake.list("dead_letters/"))) == 2
    connection = session(lake)
    assert connection.execute("FROM sightings ORDER BY ALL").fetchall() == sightings
    assert connection.execute("FROM canary_spans ORDER BY ALL").fetchall() == spans


def test_merged_parts_are_merged_again(tmp_path: Path, lake: LocalStorage) -> None:
    """What comes later joins what was merged before, and the copies of both count."""
    compacted(lake)
    more = write_bundles(tmp_path / "more", [[[record(1), record(9)]]])
    for path, body in files(more).items():
        if path.startswith(("events/", "objects/")):
            lake.write(path, body)
    report = compacted(lake)
    assert (report.after["objects"].files, report.copies_removed) == (1, 1)
    counts = session(lake).execute("SELECT copies_removed, copies_before FROM compactions ORDER BY ALL").fetchall()
    assert counts == [(0, 0), (1, COPIES)]
    assert len(live_rows(lake)) == ROWS + 2 - COPIES - 1
    compacted(lake, now_us=NOW_US + HOUR_US)
    assert len(live_rows(lake)) == ROWS + 2 - COPIES - 1
    assert len(list(lake.list("compactions/"))) == 2  # of the parts, and of the verdicts
    assert len(list(lake.list("dead_letters/"))) == 2
    read_lake(lake, Config())
    assert len(list(lake.list("dead_letters/"))) == 2


def test_a_row_that_is_lost_stops_it(lake: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that go in and do not come out: nothing is committed, and the next compaction removes what was written."""
    before = live_rows(lake)
    with monkeypatch.context() as patch:
        patch.setattr("transforms.compaction_events._FullFiles.write", lambda *_: None)
        with pytest.raises(UnbalancedRun, match="8 rows read ≠ 0 written \\+ 3 copies removed; nothing was committed"):
            compacted(lake)
    assert live_rows(lake) == before
    assert not list(lake.list("compactions/"))


def dying(lake: LocalStorage, at: int) -> Interruptible:
    """The lake of a process that is killed ahead of some write."""

    def die(_path: str, done: int) -> None:
        if done == at:
            raise Killed

    return Interruptible(lake, die)


def killed_everywhere(lake: LocalStorage, folder: Path, now_us: int) -> Iterator[LocalStorage]:
    """Copies of a lake whose compaction was killed at each of its writes and removals."""
    at = 0
    while True:
        copy = LocalStorage(str(folder / f"killed-{at}"))
        shutil.copytree(lake.root, copy.root)
        try:
            compacted(dying(copy, at), now_us=now_us)
        except Killed:
            yield copy
        else:
            assert at
            return
        at += 1


def test_killed_at_each_write(tmp_path: Path, lake: LocalStorage) -> None:
    """Every reader sees the lake as before or as after; compacting again makes what an undisturbed one makes."""
    clean = LocalStorage(str(tmp_path / "clean"))
    shutil.copytree(lake.root, clean.root)
    compacted(clean)
    expected, contents = files(clean), set(map(content, live_rows(lake)))
    kills = 0
    for copy in killed_everywhere(lake, tmp_path, NOW_US):
        [(count, distinct)] = session(copy).execute("SELECT count(*), count(DISTINCT event_id) FROM events").fetchall()
        assert (count, distinct) in {(ROWS, ROWS - COPIES), (ROWS - COPIES, ROWS - COPIES)}
        assert set(map(content, live_rows(copy))) == contents
        assert session(copy).execute("FROM audit").fetchall() == []
        read_lake(copy, Config())  # a run in between leaves alone what is not its own
        compacted(copy)
        assert {path: body for path, body in files(copy).items() if path != "views.sql"} == {
            path: body for path, body in expected.items() if path != "views.sql"
        }
        kills += 1
    assert kills == 7  # two archive files, sightings, the part, its commit; verdicts and their commit


def test_killed_while_removing(tmp_path: Path, lake: LocalStorage) -> None:
    """Half removed is as good as there: nobody reads it, and the next compaction removes the rest."""
    compacted(lake)
    rows, now_us = live_rows(lake), NOW_US + HOUR_US
    for copy in killed_everywhere(lake, tmp_path, now_us):
        assert live_rows(copy) == rows
        assert session(copy).execute("SELECT count(*) FROM events").fetchone() == (len(rows),)
        read_lake(copy, Config())
        compacted(copy, now_us=now_us)
        assert {stat.path.partition("/")[0] for stat in copy.list("events/")} == {"events"}
        assert len(list(copy.list("events/"))) == 2


def test_a_session_beside(lake: LocalStorage) -> None:
    """A session that loaded the views before the first compaction sees each row at any moment, and never two."""
    connection = session(lake)
    seen: dict[str, list[int]] = {"events": [], "objects": [], "sightings": [], "canary_spans": []}

    def look(_path: str, _done: int) -> None:
        for view in seen:
            seen[view] += connection.table(view).count("*").fetchall()[0]
        assert connection.execute("SELECT count(DISTINCT event_id) FROM events").fetchone() == (ROWS - COPIES,)
        assert connection.execute("FROM audit").fetchall() == []

    compacted(Interruptible(lake, look))
    compacted(Interruptible(lake, look), now_us=NOW_US + HOUR_US)
    look("", 0)
    assert sorted(set(seen["events"]), reverse=True) == [ROWS, ROWS - COPIES]
    assert seen["events"] == sorted(seen["events"], reverse=True)
    assert (set(seen["objects"]), set(seen["sightings"]), set(seen["canary_spans"])) == ({6}, {2}, {2})


def test_a_ledger_reader_that_began_before(lake: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge that commits between two of a run's listings is not seen at all, rather than half."""
    state = read_lake(lake, Config())
    counted = LocalStorage.list

    def slow(storage: LocalStorage, prefix: str = "") -> Any:
        if prefix == "objects/":
            monkeypatch.setattr(LocalStorage, "list", counted)
            compacted(storage)
        return counted(storage, prefix)

    monkeypatch.setattr(LocalStorage, "list", slow)
    assert read_lake(lake, Config()) == state
    assert list(lake.list("compactions/"))
    assert read_lake(lake, Config()) == state


def test_a_ledger_reader_that_is_very_slow(lake: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was superseded and removed between its listings is no damage."""
    state = read_lake(lake, Config())
    counted = LocalStorage.list

    def slow(storage: LocalStorage, prefix: str = "") -> Any:
        if prefix == "events/":
            monkeypatch.setattr(LocalStorage, "list", counted)
            compacted(storage)
            compacted(storage, now_us=NOW_US + HOUR_US)
        return counted(storage, prefix)

    monkeypatch.setattr(LocalStorage, "list", slow)
    assert read_lake(lake, Config()).left == state.left
    assert len(live_rows(lake)) == ROWS - COPIES
    assert read_lake(lake, Config()) == state


def test_no_lake(tmp_path: Path) -> None:
    """It says so, and makes none."""
    with pytest.raises(UsageError, match="no lake there"):
        compacted(LocalStorage(str(tmp_path / "nothing")))
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("lost", ["compactions", "objects", "events"])
def test_damage(lake: LocalStorage, lost: str) -> None:
    """A run refuses a lake that lost a compaction, or what one made; and so one whose compaction cannot be read."""
    compacted(lake)
    compacted(lake, now_us=NOW_US + HOUR_US)
    for stat in [*lake.list(f"{lost}/")]:
        lake.delete(stat.path)
    with pytest.raises(LakeDamaged):
        read_lake(lake, Config())
    lake.write("compactions/merged-x.json", b"{")
    with pytest.raises(LakeDamaged, match=r"compactions/merged-x\.json"):
        read_ledger(lake)


def test_damaged_input(lake: LocalStorage) -> None:
    """An archive file that is not what the ledger says is damage, and nothing is committed."""
    path = next(stat.path for stat in lake.list("events/"))
    lake.write(path, lake.read(path).body + b"x")
    with pytest.raises(LakeDamaged, match=r"events/.*\.parquet"):
        compacted(lake)
    lake.write(path, b"x")
    with pytest.raises(LakeDamaged, match=r"events/.*\.parquet"):
        compacted(lake)
    assert not list(lake.list("compactions/"))


def test_arrow_types_survive(lake: LocalStorage) -> None:
    """Merged files have the columns, types, statistics and order of a bundle's."""
    compacted(lake)
    [one, *_] = [stat.path for stat in lake.list("events/") if "/merged-" in stat.path]
    merged = pq.ParquetFile(pa.BufferReader(lake.read(one).body))
    assert merged.schema_arrow.equals(ARCHIVE_SCHEMA)
    assert merged.metadata.row_group(0).sorting_columns == (pq.SortingColumn(0),)
