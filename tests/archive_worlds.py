"""Folders of log objects, the jobs that archive them, and lakes that watch, fail or lie."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from record_worlds import body_of, minimal

from pipeline.local_storage import LocalStorage
from schemas.canaries import Canary, Match
from schemas.errors import StorageError
from schemas.objects import LEDGER_SCHEMA, Bundle, bundle_name
from schemas.settings import Limits
from schemas.storage import Fetched, Stat, Storage
from schemas.tampering import Tampering
from schemas.times import MINUTE_US
from schemas.trails import LogPath
from transforms.archive_job import archive_bundle
from transforms.bundle_writer import ArchiveJob, BundleReport
from transforms.known_objects import KnownObjects
from transforms.objects import match_objects

ACCOUNT, REGION = "111122223333", "us-east-1"
FOLDER = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/11/01"
CANARY = Canary(
    "dry-run", (ACCOUNT,), (REGION,), 5 * MINUTE_US, 15 * MINUTE_US, None, (Match("event_name", ("Run*",)),)
)
MODIFIED_S = 1_793_500_000
EMPTY_LEDGER = LEDGER_SCHEMA.empty_table()


class NoRules(msgspec.Struct, frozen=True):
    """Rules that find nothing."""

    def evaluate(self, _table: pa.Table, _log_path: LogPath) -> list[Tampering]:
        """Nothing."""
        return []


class WatchedLake(msgspec.Struct):
    """A lake that notes the order of writes and, from the first path that contains `failing` on, refuses them."""

    lake: LocalStorage
    failing: str = "\0"
    paths: list[str] = []

    @property
    def root(self) -> str:
        """That of the lake behind."""
        return self.lake.root

    @property
    def remote(self) -> bool:
        """It is a folder."""
        return False

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """As the lake has it."""
        return self.lake.list(prefix)

    def read(self, path: str) -> Fetched:
        """As the lake has it."""
        return self.lake.read(path)

    def write(self, path: str, body: bytes) -> None:
        """Note, refuse or write."""
        if self.failing in path:
            raise StorageError(path, "disk full")
        self.paths.append(path)
        self.lake.write(path, body)

    def delete(self, path: str) -> None:
        """As the lake does it."""
        self.lake.delete(path)


def key(minute: int) -> str:
    """The key of an object delivered at a minute of an hour."""
    return f"{FOLDER}/{ACCOUNT}_CloudTrail_{REGION}_20261101T00{minute:02}Z_{minute:016}.json.gz"


def record(number: int, **members: Any) -> dict[str, Any]:
    """A record with an id of its own."""
    return minimal(eventID=f"e-{number}", awsRegion=REGION, recipientAccountId=ACCOUNT, **members)


def put(folder: Path, path: str, content: Sequence[Any] | bytes) -> None:
    """Write an object: records, or raw bytes."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else gzip.compress(body_of(content), mtime=0))
    os.utime(target, (MODIFIED_S, MODIFIED_S))  # a folder's entity tag: the same content is the same object


def fill(folder: Path, objects: Mapping[str, Sequence[Any] | bytes]) -> LocalStorage:
    """A folder of objects."""
    folder.mkdir(exist_ok=True)
    for path, content in objects.items():
        put(folder, path, content)
    return LocalStorage(str(folder))


def bundle_of(source: Storage) -> Bundle:
    """All of a folder's objects."""
    _, refs = match_objects([source], KnownObjects(EMPTY_LEDGER))
    return Bundle(bundle_name(refs), tuple(refs))


def job_of(source: Storage, lake: Storage, **changes: Any) -> ArchiveJob:
    """A job without rules."""
    job = ArchiveJob({source.root: source}, lake, (CANARY,), NoRules(), LogPath(), Limits(), "run-1", 0)
    return msgspec.structs.replace(job, **changes)


def archive(tmp_path: Path, objects: Mapping[str, Sequence[Any] | bytes], lake: str = "lake") -> BundleReport:
    """Archive a folder of objects in one bundle."""
    source = fill(tmp_path / "in", objects)
    return archive_bundle(job_of(source, LocalStorage(str(tmp_path / lake))), bundle_of(source))


def files(lake: Path) -> dict[str, bytes]:
    """Every file of a lake."""
    return {path.relative_to(lake).as_posix(): path.read_bytes() for path in sorted(lake.rglob("*")) if path.is_file()}


def event_table(lake: Path) -> pa.Table:
    """The rows of a lake's event files, by file."""
    return pa.concat_tables([pq.ParquetFile(path).read() for path in sorted(lake.glob("events/*/*.parquet"))])
