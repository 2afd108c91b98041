"""Time goes on in a streaming job while its source gives out nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from clocked_job import ClockedJob
from flink_cluster import FlinkCluster

pytestmark = pytest.mark.flink

AN_HOUR_S = 3600
LATEST_S = 5


@pytest.mark.parametrize("parallelism", [1, 2])
def test_windows_fire_while_nothing_arrives(flink_cluster: FlinkCluster, tmp_path: Path, parallelism: int) -> None:
    """The first look gives out every number; after that, windows fire when their time comes, once each."""
    job = ClockedJob(flink_cluster, tmp_path, ahead_s=AN_HOUR_S)
    job.submit(parallelism)
    first_look_s = job.await_windows(1)
    job.check(more=3)
    silent = [firing for firing in job.firings() if firing.end_s > first_look_s]
    assert len({firing.end_s for firing in silent}) >= 2
    assert [firing for firing in silent if not 0 <= firing.late_s <= LATEST_S] == []
    assert len({(firing.key, firing.end_s) for firing in job.firings()}) == len(job.firings())
