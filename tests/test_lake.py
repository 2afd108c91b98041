"""The lake as earlier runs left it: what is kept, what is removed, and when a run refuses to go on."""

from __future__ import annotations

from pathlib import Path

import msgspec
import orjson
import pytest
from archive_worlds import CANARY, archive, bundle_of, fill, job_of, key, record

from pipeline.lake import known_objects, read_lake, read_ledger
from pipeline.local_storage import LocalStorage
from schemas.alerts import Severity
from schemas.canaries import Pulse
from schemas.errors import LakeDamaged
from schemas.keys import Kind
from schemas.objects import ObjectStatus
from schemas.settings import Config
from schemas.tampering import Tampering
from schemas.trails import Ownership
from transforms.archive_job import archive_bundle
from transforms.bundle_writer import BundleReport
from transforms.ledger_part import LedgerPart, encode_ledger_part, ledger_table

OBJECTS = {key(0): [record(1, eventName="RunInstances")], key(5): b"no gzip", key(6): [{}], "x.txt": b""}
FACTS = ("e", "StopLogging", 1, 2, None, None, None, Ownership.OWN, None, None, "k", ())
TAMPERING = Tampering("r", "t", "trail", Severity.HIGH, *(True, *FACTS))
UNNAMED = "0" * 24


class Found(msgspec.Struct, frozen=True):
    """Rules that find the same in every table."""

    def evaluate(self, _table: object, _log_path: object) -> list[Tampering]:
        """One modification."""
        return [TAMPERING]


def lake_of(tmp_path: Path) -> LocalStorage:
    """The lake that `archive` writes."""
    return LocalStorage(str(tmp_path / "lake"))


def finish(tmp_path: Path, report: BundleReport, run_id: str = "run-1") -> None:
    """Write the sheet that says that a run is complete."""
    sheet = {"run_id": run_id, "balance": msgspec.to_builtins(report.totals.balance), "more": 1}
    lake_of(tmp_path).write(f"runs/{run_id}.json", orjson.dumps(sheet))


def only(tmp_path: Path, pattern: str) -> Path:
    """The one file of the lake that matches."""
    [path] = (tmp_path / "lake").glob(pattern)
    return path


def test_an_empty_lake_knows_nothing(tmp_path: Path) -> None:
    """A first run starts from nothing, and is not stopped by it."""
    (tmp_path / "lake").mkdir()
    state = read_lake(lake_of(tmp_path), Config())
    assert (state.died, state.left, state.pulses, state.deliveries) == ((), (), (), None)
    assert read_ledger(lake_of(tmp_path)).num_rows == 0


def test_litter_is_removed_and_the_rest_is_not(tmp_path: Path) -> None:
    """Files of bundles without a ledger part go; committed ones and files of other names stay."""
    finish(tmp_path, archive(tmp_path, OBJECTS))
    lake = lake_of(tmp_path)
    before = {stat.path for stat in lake.list()}
    litter = {
        f"events/event_date=2026-11-01/{UNNAMED}.parquet",
        f"events/event_date=1970-01-01/{UNNAMED}.parquet",
        f"canaries/sightings-{UNNAMED}.parquet",
        f"dead_letters/{UNNAMED}.avro",
        "alerts/run-0.avro",
    }
    foreign = {"events/README.txt", "events/event_date=2026-11-01/mine.parquet", "dead_letters/note.avro"}
    for path in litter | foreign:
        lake.write(path, b"x")
    read_lake(lake, Config())
    assert {stat.path for stat in lake.list()} == before | foreign


@pytest.mark.parametrize("change", ["missing", "short", "long"])
def test_an_archive_file_that_is_not_as_committed(tmp_path: Path, change: str) -> None:
    """The run refuses, names the file, and removes nothing."""
    archive(tmp_path, OBJECTS)
    path = only(tmp_path, "events/*/*.parquet")
    body = path.read_bytes()
    path.unlink()
    if change != "missing":
        path.write_bytes(body[:-1] if change == "short" else body + b"x")
    lake_of(tmp_path).write(f"dead_letters/{UNNAMED}.avro", b"x")
    with pytest.raises(LakeDamaged, match=f"1 of 1 .*{path.name} (is missing|has [0-9,]+ bytes)"):
        read_lake(lake_of(tmp_path), Config())
    assert (tmp_path / f"lake/dead_letters/{UNNAMED}.avro").exists()


def test_a_torn_ledger_does_not_empty_the_archive(tmp_path: Path) -> None:
    """Where the ledger was lost, rows of finished runs look like litter: the run refuses, and they stay."""
    finish(tmp_path, archive(tmp_path, OBJECTS))
    only(tmp_path, "objects/*").unlink()
    with pytest.raises(LakeDamaged, match="knows 0 of the 1 rows that finished runs wrote"):
        read_lake(lake_of(tmp_path), Config())
    assert only(tmp_path, "events/*/*.parquet").exists()


def test_a_sheet_that_cannot_be_read(tmp_path: Path) -> None:
    """Before anything is removed, every sheet must be understood."""
    archive(tmp_path, OBJECTS)
    lake_of(tmp_path).write(f"dead_letters/{UNNAMED}.avro", b"x")
    lake_of(tmp_path).write("runs/run-0.json", b"\xff{")
    with pytest.raises(LakeDamaged, match=r"runs/run-0\.json"):
        read_lake(lake_of(tmp_path), Config())


def test_a_ledger_part_that_is_none(tmp_path: Path) -> None:
    """Cut or overwritten anywhere, a part is damage, never another exception."""
    archive(tmp_path, OBJECTS)
    path = only(tmp_path, "objects/*")
    body = path.read_bytes()
    refused = 0
    for position in range(0, len(body), 23):
        for broken in (body[:position], body[:position] + b"\xff\x00\xff" + body[position + 3 :]):
            path.write_bytes(broken)
            try:
                read_ledger(lake_of(tmp_path))
            except LakeDamaged:
                refused += 1
    assert refused >= len(body) // 23


def test_runs_that_died_leave_their_findings(tmp_path: Path) -> None:
    """What a run committed before it died is handed to the next: rows and modifications; a finished run leaves none."""
    source = fill(tmp_path / "in", OBJECTS)
    report = archive_bundle(job_of(source, lake_of(tmp_path), rules=Found()), bundle_of(source))
    state = read_lake(lake_of(tmp_path), Config())
    assert (state.died, state.left, state.left_tamperings) == (("run-1",), report.rows, (TAMPERING,))
    finish(tmp_path, report)
    state = read_lake(lake_of(tmp_path), Config())
    assert (state.died, state.left, state.left_tamperings) == ((), (), ())


def test_sightings_come_back(tmp_path: Path) -> None:
    """What was sighted is read again for canaries that are still declared."""
    report = archive(tmp_path, OBJECTS)
    assert read_lake(lake_of(tmp_path), Config((CANARY,))).sightings == report.sightings
    assert len(report.sightings) == 1
    assert read_lake(lake_of(tmp_path), Config()).sightings == ()


def test_pulses_say_what_arrived_and_what_was_lost(tmp_path: Path) -> None:
    """Readable deliveries count once a time, dead ones each, foreign objects not at all."""
    report = archive(tmp_path, OBJECTS)
    by_path = {row.uri.removeprefix(f"{tmp_path}/in/"): row for row in report.rows}
    dead = by_path[key(5)]
    assert read_lake(lake_of(tmp_path), Config()).pulses == (
        Pulse(None, None, by_path[key(0)].delivered_us, readable=True),
        Pulse(None, None, by_path[key(6)].delivered_us, readable=True),
        Pulse(dead.account_id, dead.region, dead.delivered_us, readable=False, object_key=dead.uri),
    )
    assert by_path["x.txt"].kind is Kind.OTHER


def test_the_newest_row_of_a_replayed_object_holds(tmp_path: Path) -> None:
    """Dead, then read: the ledger has one row of it, and it no longer counts as lost."""
    report = archive(tmp_path, {key(5): b"no gzip"})
    [row] = report.rows
    mended = msgspec.structs.replace(row, status=ObjectStatus.READ, handled_us=7, run_id="run-2")
    part = LedgerPart(ledger_table([mended]), (), ())
    lake_of(tmp_path).write(f"objects/{UNNAMED}.parquet", encode_ledger_part(part))
    assert read_ledger(lake_of(tmp_path))["status"].to_pylist() == ["read"]
    assert [pulse.readable for pulse in read_lake(lake_of(tmp_path), Config()).pulses] == [True]


def test_a_replay_forgets_dead_objects(tmp_path: Path) -> None:
    """Only then are they listed as new."""
    archive(tmp_path, OBJECTS)
    listed = read_ledger(lake_of(tmp_path))
    dead = [status == "dead" for status in listed["status"].to_pylist()]
    assert sum(dead) == 1
    marks = known_objects(lake_of(tmp_path), replay=True).mark(listed).to_pylist()
    assert marks == [not each for each in dead]
    assert all(known_objects(lake_of(tmp_path), replay=False).mark(listed).to_pylist())
