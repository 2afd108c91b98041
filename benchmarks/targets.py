"""Where objects of a benchmark appear: a folder, or a bucket and a queue of notices over real sockets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import boto3
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
from moto.sqs.models import sqs_backends

_ACCOUNT, _REGION = "123456789012", "us-east-1"
_BUCKET, _QUEUE = "logs", "notices"


class Folder:
    """A folder; an object appears whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.options = ("--input", str(folder))

    def put(self, key: str, body: bytes) -> None:
        """Let one appear."""
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = self._folder.with_name(f"{self._folder.name}-part")  # in the folder it would be listed, and taken in
        part.write_bytes(body)
        part.rename(path)


class ServedBucket:
    """S3 and SQS by moto, in this process; who asks does so over sockets, what appears costs no request.

    As CloudTrail's own notices do, each names some objects. Begin the cluster after this: its workers are led here.
    """

    def __init__(self, keys_a_notice: int = 10) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        os.environ |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
        os.environ |= {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": _REGION}
        session = boto3.session.Session()
        session.client("s3").create_bucket(Bucket=_BUCKET)
        queue = session.client("sqs").create_queue(QueueName=_QUEUE)["QueueUrl"]
        self.options = ("--input", f"s3://{_BUCKET}", "--notices", queue)
        self._s3: Any = s3_backends[_ACCOUNT]["aws"]
        self._sqs: Any = sqs_backends[_ACCOUNT][_REGION]
        self._keys_a_notice = keys_a_notice
        self._keys: list[str] = []

    def put(self, key: str, body: bytes) -> None:
        """Let one appear; the last of so many has a notice sent that names them all."""
        self._s3.put_object(_BUCKET, key, body)
        self._keys.append(key)
        if len(self._keys) >= self._keys_a_notice:
            notice = json.dumps({"s3Bucket": _BUCKET, "s3ObjectKey": self._keys})
            self._sqs.send_message(_QUEUE, notice, {}, 0, None, None, {})
            self._keys = []
