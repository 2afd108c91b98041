"""One bundle, from objects to committed files."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_worlds import WatchedLake, archive, bundle_of, event_table, files, fill, job_of, key, record

from pipeline.local_storage import LocalStorage
from schemas.archive import ARCHIVE_SCHEMA
from schemas.dead_letters import DeadLetter, Reason
from schemas.errors import StorageError, UnreadableContent
from schemas.objects import ObjectStatus
from schemas.settings import Limits
from transforms import bundle_reader
from transforms.archive_job import archive_bundle
from transforms.dead_letter_file import decode_dead_letters, encode_dead_letters
from transforms.event_files import EventFiles
from transforms.ledger_part import decode_ledger_part, encode_ledger_part, ledger_rows

MIXED = {
    key(0): [record(1, eventTime="2026-11-01T23:59:59Z"), record(2, eventTime="1969-12-31T23:59:59Z"), {}],
    key(5): [record(3, eventTime="9999-12-31T23:59:59Z"), record(1, eventTime="2026-11-01T23:59:59Z"), 7],
    key(6): [record(4, eventTime="0001-01-01T00:00:00Z", eventName="RunInstances")],
    key(7): b"no gzip",
    key(8): [],
    "AWSLogs/111122223333/Config/x.json.gz": b"{}",
}


def letters(lake: Path) -> list[DeadLetter]:
    """The dead letters of a lake with one bundle."""
    [path] = (lake / "dead_letters").iterdir()
    return decode_dead_letters(path.read_bytes())


def test_rows_lie_by_day_and_in_order_of_time(tmp_path: Path) -> None:
    """Also days before the epoch, the first and the last that there are; every column has its type."""
    archive(tmp_path, MIXED)
    found = sorted(path.parent.name for path in tmp_path.glob("lake/events/*/*.parquet"))
    days = ["0001-01-01", "1969-12-31", "2026-11-01", "9999-12-31"]
    assert found == [f"event_date={day}" for day in days]
    assert event_table(tmp_path / "lake").schema.equals(ARCHIVE_SCHEMA)
    assert event_table(tmp_path / "lake")["event_id"].to_pylist() == ["e-4", "e-2", "e-1", "e-3"]


def test_objects_are_mixed_in_order_of_time(tmp_path: Path) -> None:
    """The file says by what it is sorted, and is; each row names its object and its place in it."""
    times = [f"2026-11-01T00:00:{second:02}Z" for second in range(50)]
    objects = {key(n): [record(n * 100 + i, eventTime=t) for i, t in enumerate(times[n::4])][::-1] for n in range(4)}
    archive(tmp_path, objects)
    [path] = tmp_path.glob("lake/events/*/*.parquet")
    table = event_table(tmp_path / "lake")
    assert table["event_time"].to_pylist() == sorted(table["event_time"].to_pylist())
    assert pq.ParquetFile(path).metadata.row_group(0).sorting_columns == (pq.SortingColumn(0),)
    for row in table.to_pylist():
        written = objects[row["object_key"].removeprefix(f"{tmp_path}/in/")][row["record_index"]]
        assert written["eventID"] == row["event_id"]


def test_the_balance_closes(tmp_path: Path) -> None:
    """Each object and each record is counted where it ended, in total and in the ledger's rows."""
    report = archive(tmp_path, MIXED)
    balance = report.totals.balance
    assert msgspec.structs.replace(balance, objects_listed=6).faults() == ()
    assert (balance.objects_read, balance.objects_dead, balance.objects_not_logs) == (4, 1, 1)
    assert (balance.records_read, balance.records_archived, balance.records_duplicate) == (7, 4, 1)
    assert (balance.records_dead, balance.rows_written) == (2, 4)
    assert report.totals.letters == {"no_event_time": 1, "record_not_object": 1, "not_gzip": 1}
    for row in report.rows:
        assert row.records == row.archived + row.duplicates + row.dead
    read = [row for row in report.rows if row.status is ObjectStatus.READ]
    assert [(row.archived, row.duplicates, row.dead) for row in read] == [(2, 0, 1), (1, 1, 1), (1, 0, 0), (0, 0, 0)]


def test_running_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    """Two runs over one input make equal lakes, file by file."""
    archive(tmp_path, MIXED, "one")
    archive(tmp_path, MIXED, "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == 4 + 3


def test_small_runs_change_no_byte_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that is spilled and merged has the same rows and the same counts."""
    times = [f"2026-11-01T00:{minute:02}:00Z" for minute in range(12)]
    objects = {key(n): [record(int(t[14:16]), eventTime=t, n=n % 2) for t in times[n % 5 :]] for n in range(9)}
    whole = archive(tmp_path, objects, "whole")
    monkeypatch.setattr(bundle_reader, "RUN_BYTES", 1000)
    monkeypatch.setattr("transforms.archive_job.CHUNK_BYTES", 1000)
    small = archive(tmp_path, objects, "small")
    assert event_table(tmp_path / "small").equals(event_table(tmp_path / "whole"))
    assert small.rows == whole.rows
    assert small.totals == whole.totals
    assert (whole.totals.conflicts, whole.totals.balance.records_archived) == (12, 24)


def test_the_ledger_comes_last(tmp_path: Path) -> None:
    """Rows first, then sightings and dead letters, and the record of it all at the end."""
    source = fill(tmp_path / "in", MIXED)
    lake = WatchedLake(LocalStorage(str(tmp_path / "lake")))
    archive_bundle(job_of(source, lake), bundle_of(source))
    kinds = [path.partition("/")[0] for path in lake.paths]
    assert kinds == ["events"] * 4 + ["dead_letters", "canaries", "objects"]


@pytest.mark.parametrize("failing", ["event_date=2026", "dead_letters/", "canaries/", "objects/"])
def test_a_failed_write_commits_nothing(tmp_path: Path, failing: str) -> None:
    """The error reaches the caller, and no ledger part says that the bundle is done; the next try completes it."""
    source = fill(tmp_path / "in", MIXED)
    lake = LocalStorage(str(tmp_path / "lake"))
    with pytest.raises(StorageError, match="disk full"):
        archive_bundle(job_of(source, WatchedLake(lake, failing)), bundle_of(source))
    assert not (tmp_path / "lake" / "objects").exists()
    archive_bundle(job_of(source, lake), bundle_of(source))
    archive(tmp_path, MIXED, "untroubled")
    assert files(tmp_path / "lake") == files(tmp_path / "untroubled")


def test_rows_lost_on_the_way_to_disk_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the footers say is set against what was to be archived."""
    write = EventFiles.write
    monkeypatch.setattr(EventFiles, "write", lambda self, table: write(self, table.slice(1)))
    balance = archive(tmp_path, MIXED).totals.balance
    [fault] = msgspec.structs.replace(balance, objects_listed=6).faults()
    assert fault == "records archived 4 ≠ 3 rows in the files written"


def test_dead_letters_come_back_from_avro(tmp_path: Path) -> None:
    """Object, position, reason and bytes; a long body is cut, and still known by its hash and size."""
    source = fill(tmp_path / "in", {**MIXED, key(9): b"x" * 1000})
    job = job_of(source, LocalStorage(str(tmp_path / "lake")), limits=Limits(max_dead_letter_bytes=10))
    archive_bundle(job, bundle_of(source))
    found = {(each.path, each.record_index): each for each in letters(tmp_path / "lake")}
    assert (found[key(0), 2].reason, found[key(0), 2].body) == (Reason.NO_EVENT_TIME, b"{}")
    assert (found[key(5), 2].reason, found[key(5), 2].body) == (Reason.RECORD_NOT_OBJECT, b"7")
    assert (found[key(7), None].reason, found[key(7), None].body) == (Reason.NOT_GZIP, b"no gzip")
    cut = found[key(9), None]
    assert (cut.body, cut.body_size, len(cut.body_sha256)) == (b"x" * 10, 1000, 64)
    assert decode_dead_letters(encode_dead_letters(list(found.values()))) == list(found.values())
    assert len(found) == 4


def test_a_ledger_part_comes_back(tmp_path: Path) -> None:
    """Rows and committed files are read as they were written."""
    report = archive(tmp_path, MIXED)
    [path] = (tmp_path / "lake" / "objects").iterdir()
    part = decode_ledger_part(path.read_bytes())
    assert ledger_rows(part.table) == report.rows
    assert [(file.path, file.bytes) for file in part.event_files] == [
        (name, len(body)) for name, body in files(tmp_path / "lake").items() if name.startswith("events/")
    ]
    assert sum(file.rows for file in part.event_files) == 4
    assert decode_ledger_part(encode_ledger_part(part)) == part


def test_event_files_take_rows_in_pieces(tmp_path: Path) -> None:
    """Tables that end and begin within a day share its file; empty ones leave nothing."""
    archive(tmp_path, MIXED)
    table = event_table(tmp_path / "lake")
    writer = EventFiles(LocalStorage(str(tmp_path / "again")), "b")
    for start in range(table.num_rows):
        writer.write(table.slice(start, 1))
        writer.write(table.slice(start, 1))
        writer.write(table.slice(0, 0))
    writer.close()
    writer.close()
    assert [file.rows for file in writer.written] == [2, 2, 2, 2]
    assert event_table(tmp_path / "again").num_rows == 2 * table.num_rows


@pytest.mark.parametrize("time", ["0000-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z"])
def test_a_time_that_is_none_spares_the_batch(tmp_path: Path, time: str) -> None:
    """It looks like a time until the columns are made; then its record alone is dead."""
    report = archive(tmp_path, {key(0): [record(1)], key(1): [record(2), record(3, eventTime=time)]})
    assert [(row.archived, row.dead) for row in report.rows] == [(1, 0), (1, 1)]
    assert report.totals.letters == {"no_event_time": 1}


def test_an_object_that_cannot_be_parsed_again_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the second look at an odd time fail as a whole, the object is a dead letter and the bundle goes on."""

    def refuse(_: bytes) -> Any:
        raise UnreadableContent(Reason.NOT_JSON, "too deep")

    monkeypatch.setattr(bundle_reader, "parse_tolerant", refuse)
    report = archive(tmp_path, {key(0): [record(3, eventTime="2026-13-01T00:00:00Z")]})
    assert [(row.status, row.records) for row in report.rows] == [(ObjectStatus.DEAD, 0)]
    assert report.totals.letters == {"not_json": 1}


def test_many_dead_records_are_few_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a bound one letter stands for an object's dead records; the counts are those of all."""
    monkeypatch.setattr(bundle_reader, "LETTERS_KEPT", 3)
    report = archive(tmp_path, {key(0): [{}] * 10, key(1): [{}] * 3})
    assert [(row.records, row.dead) for row in report.rows] == [(10, 10), (3, 3)]
    assert [each.record_index for each in letters(tmp_path / "lake")] == [0, 1, 2, 3, 0, 1, 2]
    assert letters(tmp_path / "lake")[3].detail.startswith("and 7 more dead records of this object: ")


@pytest.mark.parametrize("depth", [*range(700, 1000, 7), 2000, 100_000])
def test_no_depth_of_nesting_stops_a_bundle(tmp_path: Path, depth: int) -> None:
    """Near the interpreter's limit stages differ in what they can follow: the record is a row or dead, others rows."""
    deep = b"[" * depth + b"]" * depth
    places = (b"requestParameters", b"userIdentity", b'userIdentity":{"new', b"new")
    closers = (b"", b"", b"}", b"")
    odd = [
        b'{"eventTime":"2026-11-01T00:00:01Z","eventID":"x","%s":%s%s}' % (place, deep, closer)
        for place, closer in zip(places, closers, strict=True)
    ]
    good = b'{"eventTime":"2026-11-01T00:00:00Z","eventID":"good"}'
    bodies = [b'{"Records":[' + good + b"," + each + b"]}" for each in odd]
    report = archive(tmp_path, {key(n): gzip.compress(body) for n, body in enumerate(bodies)})
    balance = report.totals.balance
    assert balance.objects_read == len(bodies)
    assert balance.records_archived + balance.records_dead + balance.records_duplicate == 2 * len(bodies)
    assert "good" in event_table(tmp_path / "lake")["event_id"].to_pylist()
    assert all(row.dead <= 1 for row in report.rows)


def test_names_that_are_no_text_are_archived(tmp_path: Path) -> None:
    """A file name that is not UTF-8 reaches the ledger and the rows in a form that can be read again."""
    source = fill(tmp_path / "in", {"b\udcff.json.gz": [record(1)]})
    report = archive_bundle(job_of(source, LocalStorage(str(tmp_path / "lake"))), bundle_of(source))
    [row] = report.rows
    assert source.read(row.uri.removeprefix(f"{source.root}/")).body
    assert event_table(tmp_path / "lake")["object_key"].to_pylist() == [row.uri]


def test_empty_bundles_commit(tmp_path: Path) -> None:
    """A bundle without a record leaves its ledger part and no event file."""
    report = archive(tmp_path, {key(0): [], "notes.txt": b""})
    assert [path.partition("/")[0] for path in files(tmp_path / "lake")] == ["objects"]
    assert sorted(row.status.value for row in report.rows) == ["not_log", "read"]
    assert pa.Table.from_pylist([]).num_rows == report.totals.balance.rows_written
    assert list(itertools.chain(report.sightings, report.tamperings)) == []
