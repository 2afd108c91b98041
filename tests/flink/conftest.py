"""A Flink cluster for the session, and streams on it.

`flink_cluster`  the cluster, on free ports, whole and without jobs; skipped where this machine cannot run one
`flink`          the same under its short name
`aws`            S3 and SQS, which the cluster's workers are led to
`stream`         a lake and a bucket of the test's own, and the job that watches them
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_aws import FakeAws, fake_aws
from flink_cluster import FlinkCluster, code_folder, guarded
from streams import Stream

from deploy.flink.cluster import cache_folder
from deploy.flink.distribution import Unusable
from deploy.flink.ports import free_ports


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeAws]:
    """Where the cluster's workers are led to; nothing listens there until a test starts it."""
    with fake_aws(tmp_path_factory.mktemp("aws")) as each:
        yield each


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory, aws: FakeAws) -> Iterator[FlinkCluster]:
    """A cluster that ends with the session."""
    assert aws.environment().items() <= os.environ.items()  # the cluster's processes have it from here
    run = tmp_path_factory.mktemp("flink")
    cluster = FlinkCluster(cache_folder(), run, free_ports())
    with guarded(run / "processes"):
        try:
            cluster.start([code_folder()])
            yield cluster
        except Unusable as error:
            pytest.skip(str(error))
        finally:
            cluster.processes.stop_all()


@pytest.fixture
def flink_cluster(running_cluster: FlinkCluster) -> Iterator[FlinkCluster]:
    """The cluster; mended after each test."""
    yield running_cluster
    running_cluster.mend()


@pytest.fixture
def flink(flink_cluster: FlinkCluster) -> FlinkCluster:
    """The same."""
    return flink_cluster


@pytest.fixture
def stream(flink: FlinkCluster, tmp_path: Path) -> Stream:
    """Not submitted yet; whatever the test leaves running, the cluster cancels."""
    return Stream(flink, tmp_path)
