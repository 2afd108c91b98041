"""SQS by boto3: one client for each process and place, and its failures as a `QueueError`."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ReadTimeoutError,
)

from schemas.errors import QueueError

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

_CONFIG = Config(
    connect_timeout=10,
    read_timeout=40,  # more than the longest poll, 20 s
    retries={"mode": "adaptive", "total_max_attempts": 5},  # adaptive: slows down where SQS throttles
    user_agent_extra="trailcanary",
)
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_PROFILE")
_DETAILS: tuple[tuple[tuple[type[BotoCoreError], ...], str], ...] = (
    ((NoRegionError,), "the URL names no region, and AWS_DEFAULT_REGION is not set"),
    ((NoCredentialsError, PartialCredentialsError), "no AWS credentials found"),
    ((CredentialRetrievalError,), "the AWS credentials could not be fetched"),
    ((EndpointConnectionError, ConnectTimeoutError), "the SQS endpoint cannot be reached"),
    ((ConnectionClosedError,), "the connection broke"),
    ((ReadTimeoutError,), "the SQS endpoint did not answer in time"),
)


def sqs_client(region: str | None) -> SQSClient:
    """The client of this process for a region; None stands for the environment's. Endpoint and credentials: boto3's.

    Throttled and failed requests are tried 5 times. Raises what `translated` translates.
    """
    return _client_of(os.getpid(), region, tuple(os.environ.get(name) for name in _ENDPOINT_VARIABLES))


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise whatever boto3 raises about the queue at `url` as a QueueError."""
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        raise QueueError(f"{url}: {told.get('Code', 'unknown')}: {told.get('Message', '')}") from error
    except BotoCoreError as error:
        raise QueueError(f"{url}: {_detail(error)}") from error


def _detail(error: BotoCoreError) -> str:
    """What went wrong, for people; the exceptions' own texts may name proxies and their passwords."""
    for kinds, text in _DETAILS:
        if isinstance(error, kinds):
            return text
    return type(error).__name__


@functools.cache
def _client_of(_pid: int, region: str | None, _environment: tuple[str | None, ...]) -> SQSClient:
    """One client for each process (a forked one must not share sockets) and place that it talks to."""
    return boto3.session.Session().client("sqs", region_name=region, config=_CONFIG)
