"""Lakes of many small bundles, and storages that die, watch or let somebody in at a write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import orjson
import pyarrow.parquet as pq
from archive_worlds import bundle_of, fill, job_of, key
from small_lakes import verdict_row, write_verdicts

from pipeline.compact import Options, Report, compact
from pipeline.compactions import read_compactions
from pipeline.local_storage import LocalStorage
from pipeline.views import write_views
from schemas.archive import PROVENANCE
from schemas.storage import Fetched, Stat
from schemas.times import DAY_US, HOUR_US, parse_iso_us
from transforms.archive_job import archive_bundle
from transforms.compaction_plan import Sizes

Bundle = Sequence[Sequence[dict[str, Any]] | bytes]
NOW_US = parse_iso_us("2126-01-01T00:00:00Z")  # every file of a test has settled by then
_OURS = {field.name for field in PROVENANCE} - {"unmapped"}


class Killed(Exception):
    """The process ended here."""


class Interruptible(msgspec.Struct):
    """A lake that calls `before` ahead of each write and removal, with the path and how many there were so far."""

    lake: LocalStorage
    before: Callable[[str, int], None]
    done: int = 0

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

    def write(self, path: str, body: bytes | memoryview) -> None:
        """Ask, then write."""
        self.before(path, self.done)
        self.done += 1
        self.lake.write(path, body)

    def delete(self, path: str) -> None:
        """Ask, then remove."""
        self.before(path, self.done)
        self.done += 1
        self.lake.delete(path)


def write_bundles(folder: Path, bundles: Sequence[Bundle], **job: Any) -> LocalStorage:
    """A lake at `folder`/lake with a bundle for each list of objects, of one finished run, and verdicts of two."""
    lake = LocalStorage(str(folder / "lake"))
    written = 0
    folder.mkdir(exist_ok=True)
    for number, objects in enumerate(bundles):
        content = {key(index): records for index, records in enumerate(objects)}
        source = fill(folder / f"in-{number}", content)
        written += archive_bundle(job_of(source, lake, **job), bundle_of(source)).totals.balance.rows_written
    finish(lake, written)
    for run in ("run-1", "run-2"):
        write_verdicts(lake, verdict_row(10, 12, "seen", run_id=run), name=run)
    write_views(lake)
    return lake


def finish(lake: LocalStorage, rows_written: int, run_id: str = "run-1") -> None:
    """Write a run's sheet."""
    lake.write(f"runs/{run_id}.json", orjson.dumps({"run_id": run_id, "balance": {"rows_written": rows_written}}))


def compacted(lake: Any, *, now_us: int = NOW_US, keep_us: int = HOUR_US, sizes: Sizes | None = None) -> Report:
    """Compact at a time that stands still."""
    return compact(lake, Options(keep_us=keep_us, sizes=sizes or Sizes()), lambda: now_us)


def later(days: float) -> int:
    """So long after `NOW_US`."""
    return NOW_US + int(days * DAY_US)


def live_rows(lake: LocalStorage) -> list[dict[str, Any]]:
    """The rows of files that count, file by file."""
    compactions = read_compactions(lake)
    paths = sorted(stat.path for stat in lake.list("events/") if compactions.counts(stat.path))
    return [row for path in paths for row in pq.ParquetFile(Path(lake.root, path)).read().to_pylist()]


def content(row: dict[str, Any]) -> str:
    """What CloudTrail wrote."""
    return repr({name: value for name, value in row.items() if name not in _OURS})


def without_copies(rows: Sequence[dict[str, Any]]) -> Counter[str]:
    """Each content once, or as often as it comes where it has no id."""
    counts = Counter(content(row) for row in rows)
    nameless = {content(row) for row in rows if row["event_id"] is None}
    return Counter({each: count if each in nameless else 1 for each, count in counts.items()})


def session(lake: LocalStorage) -> duckdb.DuckDBPyConnection:
    """A connection that has run the lake's `views.sql`."""
    connection = duckdb.connect()
    connection.execute(lake.read("views.sql").body.decode())
    return connection


def files(lake: LocalStorage) -> dict[str, bytes]:
    """Every file but the locks, which name processes."""
    return {stat.path: lake.read(stat.path).body for stat in lake.list() if not stat.path.startswith(".lock")}
