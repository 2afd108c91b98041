"""A standalone Flink cluster with Beam's job server and Python workers beside it, all on loopback.

    python -m deploy.flink.cluster fetch|start|stop|status|submit-options

One JobManager and two TaskManagers of two slots each. State is in `.flink/`, or below TRAILCANARY_FLINK_CACHE and
TRAILCANARY_FLINK_RUN; the ports are those of `Ports`, each its own variable, TRAILCANARY_FLINK_REST for one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.flink.configuration import write_configuration
from deploy.flink.distribution import Distribution, Unusable, check_java, fetch
from deploy.flink.jobs import JobManager
from deploy.flink.ports import Ports, listens, ports_from_environment
from deploy.flink.processes import Processes, wait_for

ROOT = Path(__file__).parent.parent.parent
TASKMANAGERS = ("taskmanager-1", "taskmanager-2")
PARTS = ("jobmanager", *TASKMANAGERS, "job-server", "workers")
_STARTED_WITHIN_S = 120


class Cluster:
    """The cluster whose state is in `run`; what it needs is fetched into `cache` once.

    Its parts are named in `PARTS`. `jobmanager` says what runs on it.
    """

    def __init__(self, cache: Path, run: Path, ports: Ports) -> None:
        self._cache = cache
        self._run = run
        self.ports = ports
        self.processes = Processes(run / "processes")
        self.jobmanager = JobManager(ports.rest)

    def start(self, code: Sequence[Path] = ()) -> Distribution:
        """Start every part that does not run, and wait until all answer.

        Args:
            code: folders with modules that jobs name, besides this checkout; for the Python workers.

        Raises:
            Unusable: this machine cannot run it.
            TimeoutError: a part does not come up.
        """
        check_java()
        self._distribution = fetch(self._cache)
        self._code = os.pathsep.join(str(each) for each in (ROOT, *code))
        self.start_missing()
        return self._distribution

    def start_missing(self) -> None:
        """Start what does not run, and wait until all answer. Raises TimeoutError."""
        missing = [name for name in PARTS if self.processes.pid(name) is None]
        self._refuse_taken(missing)
        for name in missing:
            self.start_part(name)
        wait_for(lambda: self.taskmanagers() == len(TASKMANAGERS), "Flink to answer", _STARTED_WITHIN_S)
        wait_for(self.job_server_answers, "the job server", _STARTED_WITHIN_S)
        wait_for(lambda: listens(self.ports.workers), "the Python workers", _STARTED_WITHIN_S)

    def start_part(self, name: str) -> None:
        """Start one of `PARTS`, and do not wait for it."""
        command, environment = {"job-server": self._job_server, "workers": self._workers}.get(name, self._flink)(name)
        self.processes.start(name, command, environment)

    def submit_options(self, parallelism: int = 1) -> list[str]:
        """Beam's options for a job on this cluster."""
        return [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{self.ports.jobs}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{self.ports.workers}",
            f"--parallelism={parallelism}",
            "--checkpointing_interval=2000",
            # Else a step's output waits in the checkpoint for the step's next input, and one without any keeps it.
            "--finish_bundle_before_checkpointing",
            # Else Flink removes a job's checkpoints when the job is cancelled or fails; it does not ask the cluster's
            # configuration, since the job server makes its own.
            "--externalized_checkpoints_enabled",
            "--retain_externalized_checkpoints_on_cancellation",
        ]

    def job_server_answers(self) -> bool:
        """Whether jobs can be submitted."""
        return listens(self.ports.jobs)

    def overview(self) -> dict[str, Any]:
        """What the JobManager says of the cluster; nothing while it does not answer."""
        return self.jobmanager.overview()

    def taskmanagers(self) -> int:
        """How many the JobManager counts on."""
        return int(self.overview().get("taskmanagers", 0))

    def _refuse_taken(self, missing: Sequence[str]) -> None:
        heard = {"jobmanager": self.ports.rest, "job-server": self.ports.jobs, "workers": self.ports.workers}
        for name in missing:
            if name in heard and listens(heard[name]):
                variable = "TRAILCANARY_FLINK_" + Ports._fields[self.ports.index(heard[name])].upper()
                raise Unusable(
                    f"Port {heard[name]} of the {name} is taken: stop what listens there, or set {variable}."
                )

    def _flink(self, name: str) -> tuple[list[str], dict[str, str]]:
        kind = name.partition("-")[0]
        home = self._distribution.home(self._cache)
        folder = write_configuration(home, self._run, self.ports.rest, self.ports.rpc)
        own = [] if kind == "jobmanager" else [f"-Dtaskmanager.resource-id={name}"]
        environment = {"FLINK_CONF_DIR": folder, "FLINK_LOG_DIR": self._run / "log", "FLINK_PID_DIR": self._run / "pid"}
        command = [str(home / "bin" / f"{kind}.sh"), "start-foreground", *own]
        return command, {key: str(value) for key, value in environment.items()}

    def _job_server(self, _name: str) -> tuple[list[str], dict[str, str]]:
        options = [f"--flink-master=localhost:{self.ports.rest}", f"--job-port={self.ports.jobs}"]
        options += [f"--artifact-port={self.ports.artifacts}", "--expansion-port=-1"]
        options += [f"--artifacts-dir={self._run / 'artifacts'}"]
        return ["java", "-Xmx512m", "-jar", str(self._distribution.jar(self._cache)), *options], {}

    def _workers(self, _name: str) -> tuple[list[str], dict[str, str]]:
        # The pool starts its workers as `python`, which must be this one, with this checkout's code.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
        supervisor = [sys.executable, "-m", "deploy.flink.supervisor"]
        command = [*supervisor, *pool, f"--service_port={self.ports.workers}"]
        return command, {"PATH": path, "PYTHONPATH": self._code}


def cache_folder() -> Path:
    """Where Flink and the job server are kept."""
    return Path(os.environ.get("TRAILCANARY_FLINK_CACHE") or ROOT / ".flink").absolute()


def main() -> int:
    """The command line: 0, 1 where a part did not come up, 2 where this machine cannot run it."""
    commands = {"fetch": _fetch, "start": _start, "stop": _stop, "status": _status, "submit-options": _submit_options}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.stderr.write(f"usage: python -m deploy.flink.cluster {'|'.join(commands)}\n")
        return 2
    run = Path(os.environ.get("TRAILCANARY_FLINK_RUN") or cache_folder() / "run").absolute()
    try:
        commands[sys.argv[1]](Cluster(cache_folder(), run, ports_from_environment()))
    except (Unusable, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except TimeoutError as error:
        sys.stderr.write(f"{error}: see the logs in {run / 'processes'}\n")
        return 1
    return 0


def _fetch(_cluster: Cluster) -> None:
    check_java()
    sys.stdout.write(f"{fetch(cache_folder())}\n")


def _start(cluster: Cluster) -> None:
    distribution = cluster.start()
    sys.stdout.write(f"{distribution} runs: http://localhost:{cluster.ports.rest}\nSubmit with:\n")
    options = " ".join(cluster.submit_options(2))
    sys.stdout.write(f"  .venv/bin/trailcanary stream --input … --output … {options}\n")


def _stop(cluster: Cluster) -> None:
    cluster.processes.stop_all()


def _status(cluster: Cluster) -> None:
    for name in PARTS:
        pid = cluster.processes.pid(name)
        sys.stdout.write(f"{name:14} {'runs, pid ' + str(pid) if pid else 'does not run'}\n")
    sys.stdout.write(json.dumps(cluster.overview()) + "\n")
    for job in cluster.jobmanager.jobs() if cluster.overview() else []:
        sys.stdout.write(f"{job.id} {job.state:12} {job.name}\n")


def _submit_options(cluster: Cluster) -> None:
    sys.stdout.write(" ".join(cluster.submit_options(2)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
