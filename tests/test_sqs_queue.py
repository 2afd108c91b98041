"""A queue of notices, over a real socket to a simulated SQS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto.server import ThreadedMotoServer

from pipeline.local_storage import LocalStorage
from pipeline.s3_storage import S3Storage
from pipeline.sqs_queue import MOST_RECEIVES, SqsQueue, open_queue
from schemas.dead_letters import Reason
from schemas.errors import QueueError, UsageError
from transforms.dead_letter_file import decode_dead_letters

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sqs.client import SQSClient

ROOT = S3Storage("security-logs", "org")


@pytest.fixture
def sqs(s3: S3Client, s3_endpoint: str) -> SQSClient:
    """A client of the test's own; the environment leads to the same server."""
    assert s3.meta.endpoint_url == s3_endpoint
    return boto3.session.Session().client("sqs", region_name="us-east-1")


@pytest.fixture
def queue(sqs: SQSClient, tmp_path: Path) -> SqsQueue:
    """An empty queue."""
    url = sqs.create_queue(QueueName=f"notices-{tmp_path.name[:60]}")["QueueUrl"]
    return open_queue(url, [ROOT], LocalStorage(str(tmp_path / "lake")), "run-1")


def notice(*keys: str, bucket: str = "security-logs") -> str:
    """CloudTrail's own notice."""
    return json.dumps({"s3Bucket": bucket, "s3ObjectKey": [f"org/{key}" for key in keys]})


def letters(queue: SqsQueue) -> list[tuple[Reason, str, bytes]]:
    """The dead letters of a queue."""
    paths = sorted(stat.path for stat in queue.lake.list("dead_letters/"))
    found = [letter for path in paths for letter in decode_dead_letters(queue.lake.read(path).body)]
    return [(letter.reason, letter.detail, letter.body) for letter in found]


def hidden(sqs: SQSClient, queue: SqsQueue) -> tuple[int, int]:
    """Messages that can be received, and messages that somebody is handling."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)["Attributes"]  # type: ignore[arg-type]
    return int(told[names[0]]), int(told[names[1]])


def test_received_is_hidden_and_acknowledged_is_gone(sqs: SQSClient, queue: SqsQueue) -> None:
    """More messages than one request gives, each with the objects that it names."""
    for number in range(25):
        sqs.send_message(QueueUrl=queue.url, MessageBody=notice(f"{number}.json.gz", "b c.json.gz"))
    messages = queue.receive(100)
    assert sorted(message.uris[0] for message in messages) == sorted(f"{ROOT.root}/{n}.json.gz" for n in range(25))
    assert {message.uris[1] for message in messages} == {f"{ROOT.root}/b c.json.gz"}
    assert hidden(sqs, queue) == (0, 25)
    queue.extend(messages)
    queue.acknowledge(messages)
    assert hidden(sqs, queue) == (0, 0)
    assert queue.receive(100) == []


def test_what_is_not_acknowledged_comes_again_until_it_is_given_up(sqs: SQSClient, queue: SqsQueue) -> None:
    """Then it is a dead letter, once, and the queue is rid of it."""
    sqs.send_message(QueueUrl=queue.url, MessageBody=notice("a"))
    for _ in range(MOST_RECEIVES):
        (message,) = queue.receive(10)
        queue.extend([message], 0)
    assert queue.receive(10) == []
    ((reason, detail, body),) = letters(queue)
    assert (reason, body.decode()) == (Reason.NO_NOTICE, notice("a"))
    assert detail == f"came {MOST_RECEIVES + 1} times, and was never done with"
    assert hidden(sqs, queue) == (0, 0)


def test_what_is_no_notice_is_a_dead_letter_at_once(sqs: SQSClient, queue: SqsQueue) -> None:
    """Others beside it are received."""
    for body in ("hello", notice("a"), '{"Records": [{}]}'):
        sqs.send_message(QueueUrl=queue.url, MessageBody=body)
    assert [message.uris for message in queue.receive(10)] == [(f"{ROOT.root}/a",)]
    assert sorted(detail for _, detail, _ in letters(queue)) == [
        "no notice: a record without an eventName",
        "no notice: not JSON",
    ]


def test_objects_of_other_buckets_are_left_out_and_said_once(
    sqs: SQSClient, queue: SqsQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that names no others is done with."""
    for key in "ab":
        sqs.send_message(QueueUrl=queue.url, MessageBody=notice(key, bucket="other-bucket"))
    sqs.send_message(QueueUrl=queue.url, MessageBody="CloudTrail validation message.")
    assert queue.receive(10) == []
    assert hidden(sqs, queue) == (0, 0)
    assert [record.name for record in caplog.records if "other-bucket" in record.getMessage()] == ["pipeline.sqs_queue"]
    assert letters(queue) == []


def test_a_server_that_is_away_is_an_error_and_its_return_is_not(
    monkeypatch: pytest.MonkeyPatch, sqs: SQSClient, queue: SqsQueue
) -> None:
    """Nothing is lost meanwhile."""
    sqs.send_message(QueueUrl=queue.url, MessageBody=notice("a"))
    away = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    away.start()
    host, port = away.get_host_and_port()
    away.stop()
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        with pytest.raises(QueueError, match="EndpointConnectionError"):
            queue.receive(1)
    assert [message.uris for message in queue.receive(10)] == [(f"{ROOT.root}/a",)]


def test_a_queue_that_is_not_there_is_an_error(queue: SqsQueue) -> None:
    """It names the queue, and the service's own code."""
    gone = open_queue(f"{queue.url[:-8]}-missing", [ROOT], queue.lake, "run-1")
    with pytest.raises(QueueError, match=r"NonExistentQueue|QueueDoesNotExist"):
        gone.receive(1)


@pytest.mark.parametrize("url", ["", "arn:aws:sqs:a:b:c", "https://sqs.eu-west-1.amazonaws.com/1/x", "file:///queue"])
def test_what_is_no_queue_is_refused(url: str, tmp_path: Path) -> None:
    """Before anything is asked."""
    with pytest.raises(UsageError, match="not the URL of a queue"):
        open_queue(url, [ROOT], LocalStorage(str(tmp_path)), "run-1")


def test_the_region_comes_from_the_url(tmp_path: Path) -> None:
    """Where it has one."""
    url = "https://sqs.eu-west-1.amazonaws.com/999999999999/trail-notices"
    assert open_queue(url, [ROOT], LocalStorage(str(tmp_path)), "run-1").region == "eu-west-1"
