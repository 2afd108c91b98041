"""A Flink cluster as a test uses it: jobs are found by name, parts die, and are there again for the next test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.flink.cluster import ROOT, Cluster
from deploy.flink.jobs import ENDED, Checkpoint, Job
from deploy.flink.processes import wait_for

RESTORED_WITHIN_S = 120


class FlinkCluster(Cluster):
    """Flink's ids of jobs go in and out; waiting raises TimeoutError."""

    def submit_arguments(self, parallelism: int = 1, restore: str = "") -> list[str]:
        """Beam's options for a job on this cluster, fresh or going on from a checkpoint or savepoint."""
        options = self.submit_options(parallelism)
        return [*options, f"--savepoint_path={restore}"] if restore else options

    def jobs(self) -> list[Job]:
        """Jobs that have not ended, the newest first."""
        return [job for job in self.jobmanager.jobs() if job.state not in ENDED]

    def await_job(self, name: str) -> str:
        """The id of the newest job of that name, once all of it runs; see that earlier ones have ended."""
        before = {job.id for job in self.jobmanager.jobs() if job.state in ENDED and job.state != "FAILED"}
        named = lambda: [job for job in self.jobmanager.jobs() if job.name == name and job.id not in before]  # noqa: E731
        wait_for(lambda: bool(named()), f"job {name}", RESTORED_WITHIN_S)
        job = named()[0].id
        self.await_running(job)
        return job

    def await_running(self, job: str) -> None:
        """Wait until every task of a job runs; fails as soon as the job does."""

        def runs() -> bool:
            assert self.jobmanager.state(job) not in ENDED, self.jobmanager.failure(job)
            return self.jobmanager.runs(job)

        wait_for(runs, f"job {job} to run", RESTORED_WITHIN_S)

    def checkpoints(self, job: str) -> list[Checkpoint]:
        """The completed checkpoints, the newest first."""
        return self.jobmanager.checkpoints(job)

    def await_checkpoint(self, job: str) -> Checkpoint:
        """A checkpoint that began after now: the second that completes from here."""
        done = {checkpoint.number for checkpoint in self.checkpoints(job)}
        wait_for(lambda: len({each.number for each in self.checkpoints(job)} - done) >= 2, "a checkpoint")
        return self.checkpoints(job)[0]

    def counted(self, job: str, name: str) -> int:
        """The sum of one of our counters over all tasks of a job, as Flink's REST has it by now."""
        total = 0
        for vertex in self.jobmanager.ask(f"/jobs/{job}")["vertices"]:
            path = f"/jobs/{job}/vertices/{vertex['id']}/metrics"
            ids = [each["id"] for each in self.jobmanager.ask(path) if each["id"].endswith(f".trailcanary_{name}")]
            wanted = urllib.parse.quote(",".join(ids))
            values = self.jobmanager.ask(f"{path}?get={wanted}") if ids else []
            total += sum(int(each["value"]) for each in values)
        return total

    def savepoint(self, job: str) -> str:
        """Write a savepoint while the job goes on; its path."""
        return self.jobmanager.savepoint(job)

    def stop(self, job: str) -> str:
        """Stop the job with a savepoint; its path."""
        path = self.jobmanager.stop(job)
        wait_for(lambda: self.jobmanager.state(job) in ENDED, f"job {job} to stop")
        return path

    def cancel(self, job: str) -> None:
        """End the job."""
        self.jobmanager.cancel(job)

    def taskmanager_in_use(self, job: str) -> str:
        """The TaskManager that most tasks of the job run on."""
        used = Counter(name for state, name in self.jobmanager.tasks(job) if state == "RUNNING")
        return used.most_common(1)[0][0]

    def kill_taskmanager(self, job: str) -> str:
        """Kill -9 of the TaskManager in use; which one it was."""
        name = self.taskmanager_in_use(job)
        self.processes.kill(name)
        return name

    def pool_pid(self) -> int:
        """The process of the worker pool, below its supervisor."""
        pids = self._below_supervisor(lambda command: "worker_pool_main" in command)
        return pids[0] if pids else 0

    def worker_pids(self) -> list[int]:
        """The Python workers that the pool has started."""
        return self._below_supervisor(lambda command: "SdkHarness" in command)

    def kill_pid(self, pid: int) -> None:
        """Kill -9 of one process, without what it started."""
        os.kill(pid, signal.SIGKILL)

    def mend(self) -> None:
        """What the next test expects: all parts run, and no job."""
        self.start_missing()
        for job in self.jobs():
            self.cancel(job.id)
        wait_for(lambda: self.overview().get("slots-available") == 4, "the slots")

    def _below_supervisor(self, wanted: Callable[[str], bool]) -> list[int]:
        supervisor = self.processes.pid("workers")
        members = self.processes.members("workers").items()
        return [pid for pid, command in members if pid != supervisor and wanted(command)]


@contextmanager
def guarded(processes: Path) -> Iterator[None]:
    """Whatever is started there ends with this block, or with this process, also where that is killed with -9."""
    script = "import sys, pathlib; sys.stdin.read(); P(pathlib.Path(sys.argv[1])).stop_all()"
    command = [sys.executable, "-c", f"from deploy.flink.processes import Processes as P; {script}", str(processes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, start_new_session=True):
        yield


def code_folder() -> Path:
    """Where modules are that jobs of tests name."""
    return Path(__file__).parent
