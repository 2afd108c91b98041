"""Fixtures that several test modules share.

`s3_endpoint`  one S3 server (moto) on loopback for the whole session of a worker
`s3_bucket`    the name of a fresh, empty bucket on it; the AWS_* variables lead there and nowhere else
`s3`           a boto3 client of the test's own for that server, not the one under test
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from hypothesis import HealthCheck, settings
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

KEY_ID = "testing"
SECRET = "testing"
REGION = "us-east-1"
_numbers = itertools.count()

settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")  # how fast examples are made says nothing about the code


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of an S3 server on a free port of 127.0.0.1."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_client(s3_endpoint: str) -> Iterator[S3Client]:
    """A client for that server; building one takes longer than most tests."""
    client = boto3.session.Session(KEY_ID, SECRET, region_name=REGION).client("s3", endpoint_url=s3_endpoint)
    yield client
    client.close()


@pytest.fixture
def s3(s3_endpoint: str, s3_client: S3Client, monkeypatch: pytest.MonkeyPatch) -> S3Client:
    """A client for arranging and inspecting buckets, in an environment that leads to the same server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    return s3_client


@pytest.fixture
def s3_bucket(s3: S3Client) -> str:
    """A bucket that no other test has seen."""
    name = f"lake-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    return name
