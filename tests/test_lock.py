"""One run at a time on a lake: in a folder by the kernel, in a bucket by a lease."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from pipeline.holder import Holder, decode_holder, encode_holder, this_process
from pipeline.lease import LEASE_US, Lease
from pipeline.local_storage import LocalStorage
from pipeline.lock import hold_lake
from pipeline.s3_storage import S3Storage
from pipeline.storages import open_storage
from schemas.errors import LakeLocked, StorageError
from schemas.times import parse_iso_us

START_US = parse_iso_us("2026-11-24T06:00:00Z")
ELSEWHERE = Holder("run-far", "other-host", "other-boot", 1, START_US, START_US + LEASE_US)

HOLD = """
import sys
from pipeline.lock import hold_lake
from pipeline.storages import open_storage
with hold_lake(open_storage(sys.argv[1]), "run-1", lambda: int(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""

HOLD_WITH_WORKER = HOLD.replace("    print", "    import os\n    if os.fork(): sys.exit(os.wait()[1])\n    print")


class Hands:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.us = START_US

    def now_us(self) -> int:
        """The time it shows."""
        return self.us


@pytest.fixture
def clock() -> Hands:
    """A clock that stands still."""
    return Hands()


@pytest.fixture
def bucket(s3_bucket: str) -> S3Storage:
    """A lake in a bucket."""
    return S3Storage(s3_bucket, "lake")


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A lake of either sort; the folder is yet to be made."""
    return str(tmp_path / "lake") if request.param == "folder" else f"s3://{request.getfixturevalue('s3_bucket')}/lake"


@contextmanager
def another_process(root: str, script: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that holds the lake as `run-1`, until its input ends."""
    command = [sys.executable, "-c", script, root, str(START_US)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_run_is_told_who_holds_the_lake(root: str, clock: Hands) -> None:
    """Run, host, pid and since when; and once the first has ended the lake is free."""
    with another_process(root) as other:
        told = rf"^{re.escape(root)} is held by run run-1 \(host {os.uname().nodename}, pid {other.pid}\) "
        with (
            pytest.raises(LakeLocked, match=told + "since 2026-11-24T06:00:00Z"),
            hold_lake(open_storage(root), "run-2", clock.now_us),
        ):
            pytest.fail("two runs held one lake")
        other.communicate()
        assert other.returncode == 0
    with hold_lake(open_storage(root), "run-2", clock.now_us) as hold:
        hold.check()


def test_a_killed_run_leaves_no_lock(root: str, clock: Hands) -> None:
    """After kill -9 the next run on this machine starts at once; nobody cleans up by hand."""
    with another_process(root) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        with hold_lake(open_storage(root), "run-2", clock.now_us) as hold:
            hold.check()


def test_one_process_cannot_hold_a_lake_twice(root: str, clock: Hands) -> None:
    """Two runs in threads of one process are two runs."""
    storage = open_storage(root)
    with (
        hold_lake(storage, "run-1", clock.now_us),
        pytest.raises(LakeLocked, match="run run-1"),
        hold_lake(storage, "run-2", clock.now_us),
    ):
        pytest.fail("two runs held one lake")


def test_a_failed_run_frees_the_lake_and_fails_as_itself(root: str, clock: Hands) -> None:
    """The run's own error is the one that is raised."""
    storage = open_storage(root)
    with pytest.raises(KeyError, match="mine"), hold_lake(storage, "run-1", clock.now_us):
        raise KeyError("mine")
    with hold_lake(storage, "run-2", clock.now_us) as hold:
        hold.check()


def test_a_worker_that_outlives_its_killed_run_holds_nothing(tmp_path: Path, clock: Hands) -> None:
    """A forked worker inherits open files, and with them an flock that would outlast the run."""
    with another_process(str(tmp_path), HOLD_WITH_WORKER) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        with hold_lake(LocalStorage(str(tmp_path)), "run-2", clock.now_us) as hold:
            hold.check()
        assert other.stdin is not None
        other.stdin.write("the worker still reads")
        other.stdin.flush()


def test_the_lock_of_a_folder_names_its_holder(tmp_path: Path, clock: Hands) -> None:
    """While the run lasts, for whoever looks; empty afterwards."""
    with hold_lake(LocalStorage(str(tmp_path)), "run-1", clock.now_us):
        assert json.loads((tmp_path / ".lock").read_bytes())["run_id"] == "run-1"
    assert (tmp_path / ".lock").read_bytes() == b""


def test_a_removed_lock_fails_the_run(tmp_path: Path, clock: Hands) -> None:
    """Somebody deleted the lake, or its lock, under a run: a second run could be writing."""
    with (
        pytest.raises(LakeLocked, match=r"\.lock was removed while this run held the lake"),
        hold_lake(LocalStorage(str(tmp_path)), "run-1", clock.now_us),
    ):
        (tmp_path / ".lock").unlink()


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path, clock: Hands) -> None:
    """A file is in its place."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(StorageError, match=r"/file/lake/\.lock: "),
        hold_lake(LocalStorage(f"{tmp_path}/file/lake"), "run-1", clock.now_us),
    ):
        pytest.fail("held what cannot exist")


def test_a_lease_of_another_machine_is_waited_for(bucket: S3Storage, clock: Hands) -> None:
    """Its process cannot be looked up: it holds to the end of its lease, and not beyond."""
    bucket.write(".lock", encode_holder(ELSEWHERE))
    clock.us += LEASE_US - 1
    with (
        pytest.raises(LakeLocked, match=r"host other-host, pid 1.*lease ends 2026-11-24T06:03:00Z unless renewed"),
        hold_lake(bucket, "run-2", clock.now_us),
    ):
        pytest.fail("took a lease that had not ended")
    clock.us += 1
    with hold_lake(bucket, "run-2", clock.now_us) as hold:
        hold.check()


def test_a_renewed_lease_lasts(bucket: S3Storage, clock: Hands) -> None:
    """Long runs renew, and keep others out."""
    mine, other = Lease(bucket, this_process("run-1", START_US), clock.now_us), Lease(bucket, ELSEWHERE, clock.now_us)
    mine.acquire()
    clock.us += LEASE_US - 1
    mine.renew()
    clock.us += LEASE_US - 1
    mine.check()
    with pytest.raises(LakeLocked, match="run run-1"):
        other.acquire()


def test_a_run_that_was_overtaken_fails_and_frees_nothing(bucket: S3Storage, clock: Hands) -> None:
    """A laptop slept through its lease; the run that took over keeps the lake."""
    mine = Lease(bucket, this_process("run-1", START_US), clock.now_us)
    mine.acquire()
    clock.us += LEASE_US
    with pytest.raises(LakeLocked, match="run run-1 could not renew its lease in time"):
        mine.check()
    Lease(bucket, ELSEWHERE, clock.now_us).acquire()
    mine.renew()
    with pytest.raises(LakeLocked, match="another run took the lake over from run run-1"):
        mine.check()
    mine.release()
    kept = decode_holder(bucket.read(".lock").body)
    assert kept == msgspec.structs.replace(ELSEWHERE, until_us=clock.us + LEASE_US)


def test_a_run_whose_lease_ended_fails_at_its_end(bucket: S3Storage, clock: Hands) -> None:
    """Even one that never asked in between."""

    def overslept() -> None:
        with hold_lake(bucket, "run-1", clock.now_us):
            clock.us += LEASE_US

    with pytest.raises(LakeLocked, match="run run-1 could not renew"):
        overslept()


def test_of_two_that_start_together_one_wins(bucket: S3Storage, clock: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both saw a free lake; the second's write is refused, and it is told by whom."""
    mine, other = Lease(bucket, this_process("run-1", START_US), clock.now_us), Lease(bucket, ELSEWHERE, clock.now_us)
    read = Lease._read

    def read_then_lose(lease: Lease) -> tuple[Holder | None, str | None]:
        found = read(lease)
        monkeypatch.setattr(Lease, "_read", read)
        other.acquire()
        return found

    monkeypatch.setattr(Lease, "_read", read_then_lose)
    with pytest.raises(LakeLocked, match="run run-far"):
        mine.acquire()
    other.check()


@pytest.mark.parametrize("moment", ["acquire", "renew"])
def test_an_answer_that_got_lost_loses_no_lease(
    bucket: S3Storage, clock: Hands, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The store wrote, the answer was lost, and the request sent again is refused because of the first."""
    lease = Lease(bucket, this_process("run-1", START_US), clock.now_us)
    if moment == "renew":
        lease.acquire()
        clock.us += LEASE_US // 2
    replace = S3Storage.replace

    def sent_twice(storage: S3Storage, path: str, body: bytes, etag: str | None) -> str | None:
        monkeypatch.setattr(S3Storage, "replace", replace)
        replace(storage, path, body, etag)
        return replace(storage, path, body, etag)

    monkeypatch.setattr(S3Storage, "replace", sent_twice)
    getattr(lease, moment)()
    lease.check()
    kept = decode_holder(bucket.read(".lock").body)
    assert kept is not None
    assert kept.until_us == clock.us + LEASE_US


def test_a_store_that_fails_once_loses_no_lease(
    bucket: S3Storage, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next renewal comes in time; without it, the run is told."""
    lease = Lease(bucket, this_process("run-1", START_US), clock.now_us)
    lease.acquire()

    def fail(storage: S3Storage, path: str, *_: object) -> None:
        raise StorageError(f"{storage.root}/{path}", "503")

    clock.us += LEASE_US - 1
    with monkeypatch.context() as failing:
        failing.setattr(S3Storage, "replace", fail)
        lease.renew()
    lease.check()
    lease.renew()
    clock.us += 1
    lease.check()


def test_what_is_no_lease_is_left_alone(bucket: S3Storage, clock: Hands) -> None:
    """Somebody else's object in the lock's place is not overwritten."""
    for body in (b"", b"{}", b"\xff", b'{"run_id":"x","host":"h","machine":"","pid":0,"since_us":-1}'):
        bucket.write(".lock", body)
        with pytest.raises(LakeLocked, match="which left no name in"):
            Lease(bucket, ELSEWHERE, clock.now_us).acquire()
        assert bucket.read(".lock").body == body
