"""S3 and SQS over sockets, as processes that can die; each forgets everything when it does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deploy.flink.ports import free_ports, listens
from deploy.flink.processes import Processes, wait_for

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sqs.client import SQSClient

BUCKET = "logs"
QUEUE = "notices"
_QUICK = Config(connect_timeout=1, read_timeout=5, retries={"max_attempts": 0})


class FakeAws:
    """One bucket, and a queue that is told of its objects. The environment leads here while it lives."""

    def __init__(self, folder: Path, ports: tuple[int, int]) -> None:
        self._processes = Processes(folder)
        self._ports = dict(zip(("s3", "sqs"), ports, strict=True))

    def start(self, service: str) -> None:
        """Start one, with nothing in it but its bucket or queue."""
        port = self._ports[service]
        self._processes.start(service, [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], {})
        wait_for(lambda: listens(port), service)
        if service == "s3":
            self._s3 = self._client("s3")
            self._s3.create_bucket(Bucket=BUCKET)
        else:
            self._sqs = self._client("sqs")
            self.queue = self._sqs.create_queue(QueueName=QUEUE)["QueueUrl"]

    def kill(self, service: str) -> None:
        """Kill -9."""
        self._processes.kill(service)

    def stop(self) -> None:
        """End both."""
        self._processes.stop_all()

    def deliver(self, key: str, body: bytes) -> bool:
        """An object appears; whether its notice could be sent."""
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        notice = json.dumps({"s3Bucket": BUCKET, "s3ObjectKey": [key]})
        try:
            self._sqs.send_message(QueueUrl=self.queue, MessageBody=notice)
        except (BotoCoreError, ClientError):
            return False
        return True

    def messages(self) -> int:
        """How many are in the queue, those that somebody works on included."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        told = self._sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=list(names))["Attributes"]
        return sum(int(told[name]) for name in names)

    def environment(self) -> dict[str, str]:
        """What leads boto3 here, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self._ports['s3']}",
            "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{self._ports['sqs']}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _client(self, service: str) -> S3Client | SQSClient:
        return boto3.session.Session().client(service, config=_QUICK)


@contextmanager
def fake_aws(folder: Path) -> Iterator[FakeAws]:
    """Ports and environment from now on, for whoever is started in it; the servers as a test starts them."""
    ports = free_ports()
    aws = FakeAws(folder, (ports.rest, ports.rpc))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        for name, value in aws.environment().items():
            patch.setenv(name, value)
        try:
            yield aws
        finally:
            aws.stop()
