"""What a Flink JobManager knows of its jobs, and does with them, over its REST interface."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, NamedTuple

from deploy.flink.processes import wait_for

ENDED = frozenset({"CANCELED", "FAILED", "FINISHED"})


class Job(NamedTuple):
    """A job: Flink's id, the name it was submitted under, Flink's word for its state."""

    id: str
    name: str
    state: str


class Checkpoint(NamedTuple):
    """A completed checkpoint; `path` is what `--savepoint_path` takes."""

    number: int
    path: str
    size_bytes: int
    took_ms: int


class JobManager:
    """The REST interface on a port of this machine. Its methods raise URLError while it does not answer."""

    def __init__(self, port: int) -> None:
        self._url = f"http://localhost:{port}"

    def ask(self, path: str, method: str = "GET", body: object = None) -> Any:
        """A request, and the JSON of the answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"{}")

    def overview(self) -> dict[str, Any]:
        """Counts of TaskManagers, slots and jobs; nothing while it does not answer."""
        try:
            told: dict[str, Any] = self.ask("/overview")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return {}
        return told

    def jobs(self) -> list[Job]:
        """All jobs, the newest first."""
        told = sorted(self.ask("/jobs/overview")["jobs"], key=lambda job: -int(job["start-time"]))
        return [Job(job["jid"], job["name"], job["state"]) for job in told]

    def state(self, job: str) -> str:
        """A job's state, in Flink's words: RUNNING, RESTARTING, CANCELED and others."""
        return str(self.ask(f"/jobs/{job}")["state"])

    def tasks(self, job: str) -> list[tuple[str, str]]:
        """The state and the TaskManager of each subtask."""
        vertices = [vertex["id"] for vertex in self.ask(f"/jobs/{job}")["vertices"]]
        details = [self.ask(f"/jobs/{job}/vertices/{vertex}") for vertex in vertices]
        return [(task["status"], task.get("taskmanager-id", "")) for each in details for task in each["subtasks"]]

    def runs(self, job: str) -> bool:
        """Whether every subtask runs, or has done all that it has to."""
        states = {state for state, _ in self.tasks(job)}
        return self.state(job) == "RUNNING" and states <= {"RUNNING", "FINISHED"}

    def failure(self, job: str) -> str:
        """Why the job failed or restarted last, in Flink's words."""
        return str(self.ask(f"/jobs/{job}/exceptions").get("root-exception") or "")

    def checkpoints(self, job: str) -> list[Checkpoint]:
        """The last completed checkpoints, the newest first; Flink's web shows ten."""
        told = self.ask(f"/jobs/{job}/checkpoints")["history"]
        completed = (each for each in told if each["status"] == "COMPLETED" and not each["is_savepoint"])
        return [
            Checkpoint(each["id"], each["external_path"], each["state_size"], each["end_to_end_duration"])
            for each in completed
        ]

    def restored_from(self, job: str) -> str:
        """The checkpoint or savepoint that the job's last start went on from; empty for a fresh one."""
        restored = self.ask(f"/jobs/{job}/checkpoints")["latest"]["restored"]
        return str(restored["external_path"]) if restored else ""

    def savepoint(self, job: str) -> str:
        """Write a savepoint while the job goes on; its path. Raises TimeoutError."""
        return self._triggered(job, "savepoints", {"cancel-job": False})

    def stop(self, job: str) -> str:
        """Stop a job with a savepoint; its path. Raises TimeoutError."""
        return self._triggered(job, "stop", {"drain": False})

    def cancel(self, job: str) -> None:
        """End a job; its checkpoints stay. Raises TimeoutError."""
        if self.state(job) not in ENDED:
            self.ask(f"/jobs/{job}?mode=cancel", "PATCH")
        wait_for(lambda: self.state(job) in ENDED, f"job {job} to end")

    def _triggered(self, job: str, what: str, body: object) -> str:
        trigger = self.ask(f"/jobs/{job}/{what}", "POST", body)["request-id"]
        told: dict[str, Any] = {}

        def completed() -> bool:
            told.update(self.ask(f"/jobs/{job}/savepoints/{trigger}"))
            return bool(told["status"]["id"] == "COMPLETED")

        wait_for(completed, f"a savepoint of job {job}")
        operation = told["operation"]
        if "location" not in operation:
            raise SavepointFailed(operation["failure-cause"]["stack-trace"])
        return str(operation["location"])


class SavepointFailed(Exception):
    """Flink could not write a savepoint; the message is its stack trace."""
