"""Parts of a cluster die while numbers come; every window still gets all its numbers, and none twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from clocked_job import ClockedJob
from flink_cluster import FlinkCluster

from deploy.flink.processes import wait_for

pytestmark = pytest.mark.flink


@pytest.fixture
def job(flink_cluster: FlinkCluster, tmp_path: Path) -> ClockedJob:
    """A job that runs, has written a window, and has a checkpoint."""
    each = ClockedJob(flink_cluster, tmp_path)
    each.submit()
    each.await_windows(1)
    flink_cluster.await_checkpoint(each.id)
    return each


def test_killed_taskmanager(job: ClockedJob) -> None:
    """The job goes on from its checkpoint on the other one; the dead one can come back."""
    killed = job.flink.kill_taskmanager(job.id)
    job.check()
    assert job.flink.taskmanager_in_use(job.id) != killed
    assert job.flink.jobmanager.restored_from(job.id)
    job.flink.restart_taskmanager()
    job.check()


def test_killed_python_worker(job: ClockedJob) -> None:
    """The task that talked to it fails, and the job goes on from its checkpoint with a new worker."""
    (worker,) = job.flink.worker_pids()
    job.flink.kill_pid(worker)
    job.check()
    assert worker not in job.flink.worker_pids()
    assert job.flink.jobmanager.restored_from(job.id)


def test_killed_worker_pool(job: ClockedJob) -> None:
    """Workers outlive their pool, so that the job does not notice; the supervisor starts a pool for the next worker."""
    pool = job.flink.pool_pid()
    (worker,) = job.flink.worker_pids()
    job.flink.kill_pid(pool)
    wait_for(lambda: job.flink.pool_pid() not in (0, pool), "another pool")
    job.check()
    job.flink.kill_pid(worker)
    job.check()
    assert worker not in job.flink.worker_pids()


def test_killed_job_server(job: ClockedJob) -> None:
    """It is needed to submit, and for nothing else; a new one takes new jobs."""
    job.flink.processes.kill("job-server")
    job.check()
    assert job.flink.jobmanager.restored_from(job.id) == ""
    job.flink.start_missing()
    job.flink.cancel(job.id)
    job.submit(restore=job.flink.checkpoints(job.id)[0].path)
    job.check()


def test_stopped_with_a_savepoint_and_resumed(job: ClockedJob) -> None:
    """What was to come while no job ran comes afterwards."""
    savepoint = job.flink.stop(job.id)
    job.submit(restore=savepoint)
    assert job.flink.jobmanager.restored_from(job.id) == savepoint
    job.check()


def test_killed_jobmanager(job: ClockedJob) -> None:
    """Without high availability the job is gone with it; it goes on from the newest retained checkpoint."""
    checkpoint = job.flink.checkpoints(job.id)[0].path
    job.flink.processes.kill("jobmanager")
    job.flink.start_missing()
    assert job.flink.jobs() == []
    job.submit(restore=checkpoint)
    assert job.flink.jobmanager.restored_from(job.id) == checkpoint
    job.check()
