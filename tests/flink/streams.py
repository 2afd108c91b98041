"""A stream on a cluster, as a test drives it: objects come, parts die, and the lake is read."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import orjson
from flink_cluster import FlinkCluster

from deploy.flink.processes import wait_for
from transforms.simulation import SECRET_NAME

TRAILCANARY = Path(sys.executable).parent / "trailcanary"


class Stream:
    """One lake, one bucket and the job between them."""

    def __init__(self, flink: FlinkCluster, folder: Path) -> None:
        self.flink = flink
        self.source, self.bucket, self.lake = (folder / name for name in ("source", "bucket", "lake"))
        self.bucket.mkdir()
        self.config = folder / "trailcanary.toml"
        self.config.write_text("")
        self.job = ""

    def simulate(self, *options: str) -> None:
        """Objects that can be delivered."""
        trailcanary("simulate", "--output", self.source, *options)
        shutil.copy(self.source / SECRET_NAME, self.config.parent)

    def objects(self) -> list[Path]:
        """What was simulated and not delivered yet, in order of delivery."""
        paths = (path for path in self.source.rglob("*.json.gz") if not (self.bucket / self._name(path)).exists())
        return sorted(paths, key=lambda path: path.name.rpartition("_")[0].rpartition("_")[2] + path.name)

    def deliver(self, paths: Iterable[Path]) -> None:
        """Let objects appear in the bucket, each at once: half a file in the bucket would be listed, and taken in."""
        part = self.bucket.with_name("part")
        for path in paths:
            target = self.bucket / self._name(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, part)
            part.rename(target)

    def submit(self, restore: str = "", parallelism: int = 1) -> str:
        """Hand the job to the cluster, fresh or going on from a savepoint; Flink's id of it, once all of it runs."""
        before = {job.id for job in self.flink.jobs()}
        arguments = ["--input", self.bucket, "--output", self.lake, "--config", self.config]
        trailcanary("stream", *arguments, *self.flink.submit_arguments(parallelism, restore))
        wait_for(lambda: any(job.id not in before for job in self.flink.jobs()), "the job to be there")
        (self.job,) = {job.id for job in self.flink.jobs()} - before
        self.flink.await_running(self.job)
        return self.job

    def committed(self) -> int:
        """Objects in the ledger."""
        return self._count("objects/*.parquet", "count(*)")

    def await_committed(self, objects: int) -> None:
        """Wait until the ledger has so many objects."""
        wait_for(lambda: self.committed() >= objects, f"{objects} objects, of which {self.committed()} are there", 120)

    def alerts(self) -> list[dict[str, Any]]:
        """Every alert of the lake."""
        paths = sorted(self.lake.glob("alerts/*.jsonl"))
        return [orjson.loads(line) for path in paths for line in path.read_bytes().splitlines()]

    def await_alert(self, kind: str, within_s: float = 60) -> dict[str, Any]:
        """Wait for an alert of a kind."""
        wait_for(lambda: any(alert["kind"] == kind for alert in self.alerts()), f"{kind}", within_s)
        return next(alert for alert in self.alerts() if alert["kind"] == kind)

    def rows(self) -> Counter[tuple[Any, ...]]:
        """What every row of the archive is, without the rows themselves."""
        return rows_of(self.lake)

    def _count(self, pattern: str, what: str) -> int:
        if not any(self.lake.glob(pattern)):
            return 0
        rows = duckdb.sql(f"SELECT {what} FROM read_parquet('{self.lake}/{pattern}')").fetchall()  # noqa: S608 - ours
        return int(rows[0][0])

    def _name(self, path: Path) -> Path:
        return path.relative_to(self.source)


def rows_of(lake: Path) -> Counter[tuple[Any, ...]]:
    """Rows of an archive by what identifies them, however often they are there; copies in two bundles count once."""
    query = f"SELECT event_id, object_key, record_index FROM read_parquet('{lake}/events/*/*.parquet')"  # noqa: S608
    return Counter(duckdb.sql(query).fetchall())


def trailcanary(*arguments: object) -> str:
    """Run the command as a user does; its output. Fails with what it wrote where it fails."""
    done = subprocess.run([TRAILCANARY, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def batch(stream: Stream, options: Sequence[str] = ()) -> Path:
    """One bounded run over what the stream was given; its lake."""
    lake = stream.lake.with_name("batch")
    trailcanary("run", "--input", stream.bucket, "--output", lake, "--config", stream.config, *options)
    return lake
