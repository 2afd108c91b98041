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

from deploy.flink.cluster import TASKMANAGERS, Cluster
from deploy.flink.processes import wait_for

TRAILCANARY = Path(sys.executable).parent / "trailcanary"
DELIVERED = "_CloudTrail_"


class Stream:
    """One lake, one bucket and the job between them."""

    def __init__(self, flink: Cluster, folder: Path) -> None:
        self.flink = flink
        self.source, self.bucket, self.lake = (folder / name for name in ("source", "bucket", "lake"))
        self.bucket.mkdir()
        self.config = folder / "trailcanary.toml"
        self.config.write_text("")
        self.job: str | None = None

    def simulate(self, *options: str) -> None:
        """Objects that can be delivered."""
        trailcanary("simulate", "--output", self.source, *options)

    def objects(self) -> list[Path]:
        """What was simulated and not delivered yet, in order of delivery."""
        paths = (path for path in self.source.rglob("*.json.gz") if not (self.bucket / self._name(path)).exists())
        return sorted(paths, key=lambda path: path.name.rpartition("_")[0].rpartition("_")[2] + path.name)

    def deliver(self, paths: Iterable[Path]) -> None:
        """Let objects appear in the bucket, each at once."""
        for path in paths:
            target = self.bucket / self._name(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(".trailcanary-part")
            shutil.copy(path, part)
            part.rename(target)

    def submit(self, *options: str, parallelism: int = 1) -> str:
        """Hand the job to the cluster; Flink's id of it, once it runs."""
        before = set(self.running())
        arguments = ["--input", self.bucket, "--output", self.lake, "--config", self.config]
        trailcanary("stream", *arguments, *self.flink.submit_options(parallelism), *options)
        (self.job,) = set(self.running()) - before
        return self.job

    def running(self) -> list[str]:
        """Flink's ids of jobs that have not ended."""
        jobs = self.flink.ask("/jobs")["jobs"]
        return [job["id"] for job in jobs if job["status"] in {"RUNNING", "RESTARTING", "CREATED"}]

    def cancel(self) -> None:
        """End the job, if it has not ended."""
        if self.job and self.flink.overview() and self.job in self.running():
            self.flink.ask(f"/jobs/{self.job}?mode=cancel", "PATCH")
            wait_for(lambda: self.job not in self.running(), "the job to be cancelled")
        self.job = None

    def await_checkpoint(self) -> str:
        """Wait for a checkpoint that begins after now; where it lies."""
        done = self._checkpoints()["counts"]["completed"]
        wait_for(lambda: self._checkpoints()["counts"]["completed"] > done + 1, "a checkpoint")
        return str(self._checkpoints()["latest"]["completed"]["external_path"])

    def checkpoint_bytes(self) -> int:
        """The size of the newest checkpoint."""
        return int(self._checkpoints()["latest"]["completed"]["state_size"])

    def savepoint_and_cancel(self) -> str:
        """Stop the job with a savepoint; where it lies."""
        asked = self.flink.ask(f"/jobs/{self.job}/savepoints", "POST", {"cancel-job": True})
        path = f"/jobs/{self.job}/savepoints/{asked['request-id']}"
        wait_for(lambda: self.flink.ask(path)["status"]["id"] == "COMPLETED", "the savepoint")
        operation = self.flink.ask(path)["operation"]
        wait_for(lambda: self.job not in self.running(), "the job to end")
        return str(operation["location"])

    def taskmanager_in_use(self) -> str:
        """The process that the job's source runs in, by the port that Flink knows it by."""
        vertices = self.flink.ask(f"/jobs/{self.job}")["vertices"]
        tasks = self.flink.ask(f"/jobs/{self.job}/vertices/{vertices[1]['id']}/taskmanagers")["taskmanagers"]
        used = tasks[0]["taskmanager-id"]
        return next(name for name in TASKMANAGERS if used in self.flink.processes.log(name, 1 << 20))

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
        row = duckdb.sql(f"SELECT {what} FROM read_parquet('{self.lake}/{pattern}')").fetchone()  # noqa: S608 - ours
        return int(row[0]) if row else 0

    def _checkpoints(self) -> dict[str, Any]:
        return self.flink.ask(f"/jobs/{self.job}/checkpoints")

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
