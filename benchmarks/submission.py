"""A stream handed to a cluster on this machine, as a user does it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from deploy.flink.cluster import Cluster
from deploy.flink.processes import wait_for

_RUNS_WITHIN_S = 120


def start_stream(cluster: Cluster, *arguments: object) -> str:
    """Submit `trailcanary stream` with these arguments, two tasks side by side; Flink's id of it, once it runs."""
    command = [Path(sys.executable).parent / "trailcanary", "stream", *arguments, *cluster.submit_options(2)]
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
    wait_for(lambda: bool(cluster.jobmanager.jobs()), "the job to be there", _RUNS_WITHIN_S)
    job = cluster.jobmanager.jobs()[0].id
    wait_for(lambda: cluster.jobmanager.runs(job), "the job to run", _RUNS_WITHIN_S)
    return job
