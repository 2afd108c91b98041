"""A stream's source: what it finds, what it writes down first, and how far its clock may go."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import msgspec
import pytest
from archive_worlds import FOLDER, NoRules
from record_worlds import body_of, minimal

from pipeline import intake as intake_module
from pipeline.committed import committed_report, is_committed
from pipeline.compact import Options, compact
from pipeline.intake import KEPT_US, NOTICE_LAG_US, LakeIntake
from pipeline.local_storage import LocalStorage
from pipeline.s3_storage import S3Storage
from pipeline.sqs_queue import SqsQueue, open_queue
from schemas.errors import LakeDamaged, ObjectForbidden, QueueError, StorageError
from schemas.intake import Taken
from schemas.settings import MIB, Limits
from schemas.storage import Stat, Storage
from schemas.times import SECOND_US, parse_iso_us
from schemas.trails import LogPath
from transforms.archive_job import archive_bundle
from transforms.bundle_writer import ArchiveJob

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

START_US = parse_iso_us("2026-11-01T12:00:00Z")


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now_us = START_US

    def __call__(self) -> int:
        return self.now_us

    def turn(self, seconds: float) -> None:
        """Let time go by."""
        self.now_us += int(seconds * SECOND_US)


@pytest.fixture
def clock() -> Clock:
    """At the start."""
    return Clock()


@pytest.fixture(autouse=True)
def lakes_are_left() -> Iterator[None]:
    """A looker holds its lake until its process ends; a test ends it before."""
    yield
    new_life()


def new_life() -> None:
    """What the death of the process that looks leaves: nothing."""
    for looker in intake_module._LOOKERS.values():
        looker._held.close()
    intake_module._LOOKERS.clear()


def name_of(number: int, minute: int = 0) -> str:
    """The key of an object."""
    return f"{FOLDER}/111122223333_CloudTrail_us-east-1_20261101T12{minute:02d}Z_{number:016d}.json.gz"


def put(storage: Storage, number: int) -> str:
    """Deliver an object with one record; its key."""
    import gzip

    key = name_of(number)
    storage.write(key, gzip.compress(body_of([minimal(eventID=f"event-{number}")]), mtime=0))
    return key


def intake_of(
    tmp_path: Path, clock: Clock, notices: SqsQueue | None = None, source: Storage | None = None
) -> LakeIntake:
    """Looks at a folder every ten seconds, and lets objects wait for five."""
    source = source or LocalStorage(str(tmp_path / "bucket"))
    Path(tmp_path / "bucket").mkdir(exist_ok=True)
    lake = LocalStorage(str(tmp_path / "lake"))
    return LakeIntake((source,), lake, "stream", 16 * MIB, 10 * SECOND_US, 5 * SECOND_US, notices, clock)


def names(taken: Taken) -> list[str]:
    """The objects of an entry."""
    return [] if taken.entry is None else [ref.path for ref in taken.entry.refs]


def commit(intake: LakeIntake, taken: Taken) -> None:
    """Archive what was taken in, as the next step does."""
    assert taken.entry is not None
    inputs = {each.root: each for each in intake.inputs}
    job = ArchiveJob(inputs, intake.lake, (), NoRules(), LogPath(), Limits(), "run", START_US)
    for bundle in taken.entry.bundles():
        archive_bundle(job, bundle)


def test_time_goes_on_while_nothing_arrives(tmp_path: Path, clock: Clock) -> None:
    """Up to when the inputs were listed, not up to now: between listings something may have come."""
    intake = intake_of(tmp_path, clock)
    assert intake.look(0) == Taken(0, None, START_US, None)
    clock.turn(9)
    assert intake.look(1).complete_us == START_US
    clock.turn(1)
    assert intake.look(2).complete_us == START_US + 10 * SECOND_US


def test_new_objects_wait_for_others_and_hold_the_clock(tmp_path: Path, clock: Clock) -> None:
    """They are written down before they are given out, and given out once."""
    intake = intake_of(tmp_path, clock)
    intake.look(0)
    clock.turn(10)
    key = put(intake.inputs[0], 1)
    assert intake.look(1) == Taken(1, None, START_US, parse_iso_us("2026-11-01T12:00:00Z"))
    clock.turn(5)
    taken = intake.look(2)
    assert (names(taken), taken.complete_us) == ([key], START_US + 10 * SECOND_US)
    assert taken.entry is not None
    assert msgspec.json.decode(intake.lake.read(taken.entry.path).body, type=type(taken.entry)) == taken.entry
    clock.turn(100)
    assert intake.look(3).entry is None


def test_a_full_bundle_waits_for_nobody(tmp_path: Path, clock: Clock) -> None:
    """And an entry is cut where a bundle reaches its size."""
    intake = msgspec.structs.replace(intake_of(tmp_path, clock), bundle_bytes=1)
    for number in range(3):
        put(intake.inputs[0], number)
    taken = intake.look(0)
    assert taken.entry is not None
    assert [len(bundle.refs) for bundle in taken.entry.bundles()] == [1, 1, 1]


def test_another_life_gives_out_the_same_again_from_where_it_is_told(tmp_path: Path, clock: Clock) -> None:
    """With the clock as it was; then it goes on where the dead one stopped, and loses nothing that waited."""
    intake = intake_of(tmp_path, clock)
    entries = []
    for number in range(3):
        put(intake.inputs[0], number)
        taken = intake.look(2 * number)
        clock.turn(5)
        entries.append(intake.look(2 * number + 1))
        assert taken.entry is None
        clock.turn(5)
    waiting = put(intake.inputs[0], 9)
    intake.look(6)
    new_life()
    assert [intake.look(2).entry, intake.look(4).entry] == [entries[1].entry, entries[2].entry]
    assert intake.look(6).entry is None
    clock.turn(5)
    assert names(intake.look(7)) == [waiting]


def test_what_the_ledger_knows_is_not_taken_in(tmp_path: Path, clock: Clock) -> None:
    """A bounded run may have archived it."""
    intake = intake_of(tmp_path, clock)
    put(intake.inputs[0], 1)
    intake.look(0)
    clock.turn(5)
    taken = intake.look(1)
    commit(intake, taken)
    assert taken.entry is not None
    intake.lake.delete(taken.entry.path)
    new_life()
    clock.turn(60)
    assert names(intake.look(2)) == []


def test_an_input_that_cannot_be_listed_stops_the_clock(tmp_path: Path, clock: Clock) -> None:
    """An error for the runner: who sees half of a bucket must not say that the rest is silent."""
    intake = intake_of(tmp_path, clock)
    intake.look(0)
    (tmp_path / "bucket").rename(tmp_path / "gone")
    (tmp_path / "bucket").write_text("no folder")
    clock.turn(60)
    with pytest.raises(StorageError):
        intake.look(1)


def test_old_entries_go_once_they_are_committed(tmp_path: Path, clock: Clock) -> None:
    """Not before: an entry is all that is known of objects that nobody has handled."""
    intake = intake_of(tmp_path, clock)
    taken = []
    for number in range(2):
        put(intake.inputs[0], number)
        intake.look(2 * number)
        clock.turn(5)
        taken.append(intake.look(2 * number + 1))
        clock.turn(5)
    commit(intake, taken[0])
    clock.turn(KEPT_US / SECOND_US)
    intake.look(4)
    assert [stat.path for stat in intake.lake.list("intake/")] == [taken[1].entry.path if taken[1].entry else ""]
    (looker,) = intake_module._LOOKERS.values()
    assert [uri.rpartition("/")[2] for uri in looker._in_work._bundles] == [name_of(1).rpartition("/")[2]]


def test_a_report_comes_back_from_the_lake_as_it_was(tmp_path: Path, clock: Clock) -> None:
    """What a restarted stream tells of a bundle that was committed before."""
    intake = intake_of(tmp_path, clock)
    put(intake.inputs[0], 1)
    intake.look(0)
    clock.turn(5)
    taken = intake.look(1)
    assert taken.entry is not None
    (bundle,) = taken.entry.bundles()
    assert committed_report(intake.lake, bundle) is None
    assert not is_committed(intake.lake, bundle)
    job = ArchiveJob({intake.inputs[0].root: intake.inputs[0]}, intake.lake, (), NoRules(), LogPath(), Limits(), "r", 5)
    told = archive_bundle(job, bundle)
    assert committed_report(intake.lake, bundle) == told
    assert is_committed(intake.lake, bundle)
    intake.lake.write(f"objects/{bundle.name}.parquet", b"PAR1")
    with pytest.raises(LakeDamaged, match="no part of a ledger"):
        committed_report(intake.lake, bundle)


def test_notices_are_quick_and_acknowledged_after_the_commit(
    s3: S3Client, s3_bucket: str, tmp_path: Path, clock: Clock
) -> None:
    """The listing finds only what no notice named; the clock waits for notices that are under way."""
    sqs = boto3.session.Session().client("sqs", region_name="us-east-1")
    url = sqs.create_queue(QueueName=f"intake-{os.getpid()}-{s3_bucket}")["QueueUrl"]
    source = S3Storage(s3_bucket, "org")
    queue = open_queue(url, [source], LocalStorage(str(tmp_path / "lake")), "stream")
    intake = intake_of(tmp_path, clock, queue, source)
    assert intake.look(0).complete_us == START_US
    clock.turn(3)
    noticed, missed = put(source, 1), put(source, 2)
    body = json.dumps({"s3Bucket": s3_bucket, "s3ObjectKey": [f"org/{noticed}", "org/gone"]})
    sqs.send_message(QueueUrl=url, MessageBody=body)
    assert intake.look(1).entry is None
    clock.turn(5)
    taken = intake.look(2)
    assert names(taken) == [noticed]
    assert taken.complete_us == START_US + 8 * SECOND_US - NOTICE_LAG_US
    assert _not_visible(url) == 1
    commit(intake, taken)
    clock.turn(1)
    assert intake.look(3).complete_us == START_US + 9 * SECOND_US - NOTICE_LAG_US
    assert _not_visible(url) == 0
    clock.turn(2)
    intake.look(4)
    clock.turn(5)
    assert names(intake.look(5)) == [missed]
    assert s3 is not None


def _not_visible(url: str) -> int:
    name = "ApproximateNumberOfMessagesNotVisible"
    sqs = boto3.session.Session().client("sqs", region_name="us-east-1")
    return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])  # type: ignore[list-item]


def test_a_report_of_a_merged_bundle_comes_from_the_merge(tmp_path: Path, clock: Clock) -> None:
    """A stream that starts from an old savepoint must hear again what `compact` has merged since."""
    intake = intake_of(tmp_path, clock)
    told = []
    for number in range(3):
        put(intake.inputs[0], number)
        intake.look(2 * number)
        clock.turn(5)
        taken = intake.look(2 * number + 1)
        commit(intake, taken)
        assert taken.entry is not None
        (bundle,) = taken.entry.bundles()
        told.append((bundle, committed_report(intake.lake, bundle)))
        clock.turn(5)
    later = [parse_iso_us(f"2{year}-01-01T00:00:00Z") for year in ("100", "101")]
    merged, removed = (compact(intake.lake, Options(keep_us=0, settle_us=0), lambda now=now: now) for now in later)
    assert (merged.merges > 0, removed.files_removed > 0) == (True, True)
    assert not any(stat.path.endswith(f"{told[0][0].name}.parquet") for stat in intake.lake.list("objects/"))
    assert [committed_report(intake.lake, bundle) for bundle, _ in told] == [report for _, report in told]
    asked = [[is_committed(intake.lake, bundle, merged=merged) for bundle, _ in told] for merged in (True, False)]
    assert asked == [[True, True, True], [False, False, False]]


@pytest.fixture
def noticed(s3: S3Client, s3_bucket: str, tmp_path: Path, clock: Clock) -> LakeIntake:
    """Looks at a bucket whose queue is empty; it has been listed, and is not for ten seconds."""
    assert s3.meta.region_name
    sqs = boto3.session.Session().client("sqs", region_name="us-east-1")
    url = sqs.create_queue(QueueName=f"noticed-{os.getpid()}-{s3_bucket}")["QueueUrl"]
    source = S3Storage(s3_bucket, "org")
    intake = intake_of(tmp_path, clock, open_queue(url, [source], LocalStorage(str(tmp_path / "lake")), "s"), source)
    intake.look(0)
    clock.turn(1)
    return intake


def tell(intake: LakeIntake, key: str) -> None:
    """Send a notice of an object of the only input."""
    assert intake.notices is not None
    bucket, _, prefix = intake.inputs[0].root.removeprefix("s3://").partition("/")
    body = json.dumps({"s3Bucket": bucket, "s3ObjectKey": [f"{prefix}/{key}"]})
    sqs = boto3.session.Session().client("sqs", region_name="us-east-1")
    sqs.send_message(QueueUrl=intake.notices.url, MessageBody=body)


def test_a_look_that_failed_acknowledges_nothing(
    noticed: LakeIntake, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The objects that it had found by then were never taken in; their messages come again."""
    for number in range(2):
        tell(noticed, put(noticed.inputs[0], number))
    asked: list[str] = []
    stat = S3Storage.stat

    def second_fails(storage: S3Storage, path: str) -> Stat:
        asked.append(path)
        if len(asked) == 2:
            raise StorageError(path, "SlowDown")
        return stat(storage, path)

    monkeypatch.setattr(S3Storage, "stat", second_fails)
    with pytest.raises(StorageError, match="SlowDown"):
        noticed.look(1)
    clock.turn(1)
    noticed.look(2)
    assert noticed.notices is not None
    assert _not_visible(noticed.notices.url) == 2


def test_an_object_that_may_not_be_read_stops_nothing(
    noticed: LakeIntake, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next listing has it, and time goes on; its message stays with the queue, which gives it up in the end."""
    tell(noticed, "secret")

    def refuse(_: S3Storage, path: str) -> Stat:
        raise ObjectForbidden(path, "403")

    monkeypatch.setattr(S3Storage, "stat", refuse)
    clock.turn(4)
    assert noticed.look(1).complete_us == START_US
    clock.turn(6)
    assert noticed.look(2).complete_us == START_US + 11 * SECOND_US
    assert noticed.notices is not None
    assert _not_visible(noticed.notices.url) == 1


def test_a_queue_that_is_away_leaves_the_listing(
    noticed: LakeIntake, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not asked at every look; the clock goes on as far as the inputs were listed."""
    key, asked = put(noticed.inputs[0], 1), []

    def away(*_: object, **__: object) -> None:
        asked.append(clock.now_us)
        raise QueueError("away")

    monkeypatch.setattr(SqsQueue, "receive", away)
    noticed.look(1)
    for number in range(2, 17):
        clock.turn(1)
        taken = noticed.look(number)
        if taken.entry is not None:
            break
    assert names(taken) == [key]
    assert asked == [START_US + SECOND_US, START_US + 11 * SECOND_US]
    assert taken.complete_us == START_US + 10 * SECOND_US
