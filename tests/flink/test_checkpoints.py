"""What a source that looks again and again keeps in checkpoints and savepoints does not grow with each look."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clocked_job import ClockedJob
from flink_cluster import FlinkCluster

pytestmark = pytest.mark.flink

REMAINDER = re.compile(rb"sdf_checkpoint:\w+:\d+")
NUMBERS_AHEAD_S = 3600
MOST = 2


def remainders(flink: FlinkCluster, job: str) -> set[bytes]:
    """The names of what a source deferred, as a savepoint has them."""
    files = Path(flink.savepoint(job).removeprefix("file:")).iterdir()
    return {name for file in files for name in REMAINDER.findall(file.read_bytes())}


def test_one_remainder_however_many_looks(flink_cluster: FlinkCluster, tmp_path: Path) -> None:
    """Three windows take nine seconds and so several looks; only the last remainder is kept, also after a restore."""
    job = ClockedJob(flink_cluster, tmp_path, ahead_s=NUMBERS_AHEAD_S)
    job.submit()
    job.check(more=3)
    assert 1 <= len(remainders(flink_cluster, job.id)) <= MOST
    flink_cluster.kill_taskmanager(job.id)
    job.check(more=2)
    assert flink_cluster.jobmanager.restored_from(job.id)
    assert 1 <= len(remainders(flink_cluster, job.id)) <= MOST
