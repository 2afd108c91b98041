"""A watch of a bucket over real sockets: its lake in the bucket too, its queue beside it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from folders import event, log_key, packed
from watch_processes import Watching

from pipeline.alerts import read_alerts
from pipeline.s3_storage import S3Storage

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sqs.client import SQSClient


def stop_logging(number: int) -> bytes:
    """An object with an attack in it."""
    service = "cloudtrail.amazonaws.com"
    return packed(event(f"stop-{number}", eventSource=service, eventName="StopLogging", requestParameters={}))


@pytest.fixture
def sqs(s3: S3Client) -> SQSClient:
    """A client of the test's own."""
    return boto3.session.Session().client("sqs", region_name="us-east-1", endpoint_url=s3.meta.endpoint_url)


@pytest.fixture
def watch(s3_bucket: str) -> Iterator[Callable[..., Watching]]:
    """Starts a watch of `logs/` that makes `lake/`."""
    started: list[Watching] = []

    def begin(*options: str) -> Watching:
        started.append(Watching(f"s3://{s3_bucket}/logs", f"s3://{s3_bucket}/lake", *options))
        return started[-1]

    yield begin
    for watching in started:
        if watching.process.poll() is None:
            watching.end()


def wait_for(there: Callable[[], object]) -> None:
    """Look ten times a second, for a minute at most."""
    tick = threading.Event()
    for _ in range(600):
        if there():
            return
        tick.wait(0.1)
    pytest.fail("nothing came")


def test_listing_finds_new_objects(s3: S3Client, s3_bucket: str, watch: Callable[..., Watching]) -> None:
    """Without notices the next look finds what is new, and the lease is given back at the end."""
    s3.put_object(Bucket=s3_bucket, Key=f"logs/{log_key('a')}", Body=packed(event("a")))
    watching = watch("--every", "1s")
    watching.event("cycle")
    s3.put_object(Bucket=s3_bucket, Key=f"logs/{log_key('b')}", Body=stop_logging(1))
    watching.event("alert")
    assert watching.end() == 0
    assert [alert.kind for alert in read_alerts(S3Storage(s3_bucket, "lake"))] == ["trail.tampered"]
    lease = json.loads(s3.get_object(Bucket=s3_bucket, Key="lake/.lock")["Body"].read())
    assert lease["until_us"] == 0


def test_notice_is_handled_at_once(
    s3: S3Client, sqs: SQSClient, s3_bucket: str, watch: Callable[..., Watching]
) -> None:
    """Hours before the next look, an object that a message names is archived; then the message is gone."""
    queue = sqs.create_queue(QueueName=f"notices-{s3_bucket}")["QueueUrl"]

    def left() -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)
        return sum(map(int, answer["Attributes"].values()))

    s3.put_object(Bucket=s3_bucket, Key=f"logs/{log_key('a')}", Body=packed(event("a")))
    watching = watch("--every", "10h", "--notices", queue)
    watching.event("cycle")
    for number in range(3):
        key = f"logs/{log_key(f'n{number}')}"
        s3.put_object(Bucket=s3_bucket, Key=key, Body=stop_logging(number))
        told = {"s3Bucket": s3_bucket, "s3ObjectKey": [key, f"logs/{log_key('a')}"]}
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(told))
        wait_for(lambda number=number: len(read_alerts(S3Storage(s3_bucket, "lake"))) == number + 1)
        wait_for(lambda: left() == 0)
    assert watching.end() == 0
