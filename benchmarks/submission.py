"""A cluster on this machine for a benchmark, and a stream handed to it as a user does it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.flink.cluster import Cluster, cache_folder
from deploy.flink.ports import free_ports
from deploy.flink.processes import wait_for

QUICK = ("--max_bundle_time_mills=100", "--auto_watermark_interval=100")
"""Without these each of Flink's stages holds its elements for up to a second."""

_RUNS_WITHIN_S = 120
_SILENT_CANARY = """
[[canary]]
name = "{name}"
accounts = ["111122223333"]
regions = {regions}
period = "20s"
grace = "20s"
since = {since}
[canary.match]
event_name = "NobodyCallsThis"
"""


@contextmanager
def running_cluster(scratch: Path) -> Iterator[Cluster]:
    """A cluster on free ports whose state lies in a folder, until the block ends."""
    cluster = Cluster(cache_folder(), scratch / "flink", free_ports())
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.processes.stop_all()


def start_stream(cluster: Cluster, *arguments: object) -> str:
    """Submit `trailcanary stream` with these arguments, two tasks side by side; Flink's id of it, once it runs."""
    command = [Path(sys.executable).parent / "trailcanary", "stream", *arguments, *cluster.submit_options(2)]
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
    wait_for(lambda: bool(cluster.jobmanager.jobs()), "the job to be there", _RUNS_WITHIN_S)
    job = cluster.jobmanager.jobs()[0].id
    wait_for(lambda: cluster.jobmanager.runs(job), "the job to run", _RUNS_WITHIN_S)
    return job


def silent_canary(name: str, regions: list[str], since: str) -> str:
    """The configuration of a canary that nobody ever hears, from a time (ISO 8601) on."""
    return _SILENT_CANARY.format(name=name, regions=regions, since=since)
