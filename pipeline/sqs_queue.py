"""A queue of notices: messages received, kept ours while their objects are handled, and acknowledged after that."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from schemas.dead_letters import DeadLetter, Reason
from schemas.errors import NoticeError, QueueError, UsageError
from schemas.storage import Storage
from transforms.dead_letter_file import encode_dead_letters
from transforms.notices import parse_notice

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

MOST_RECEIVES = 5
"""A message that comes oftener than this is given up."""

HIDDEN_S = 120
"""How long a message that is being handled stays hidden from others; to be renewed before that."""

_CONFIG = Config(
    connect_timeout=10, read_timeout=40, retries={"mode": "standard", "total_max_attempts": 5},
    user_agent_extra="trailcanary",
)  # fmt: skip
_URL = re.compile(r"https?://(?:sqs[.-](?P<region>[a-z0-9-]+)\.[^/]+|[^/]+)/\d{12}/[A-Za-z0-9_-]{1,80}(?:\.fifo)?")
_AT_ONCE = 10
_LETTER_BYTES = 64 * 1024
_LOG = logging.getLogger(__name__)


class Message(msgspec.Struct, frozen=True):
    """One message that names objects: what it takes to acknowledge it, and the objects' URIs."""

    message_id: str
    receipt: str
    uris: tuple[str, ...]


class SqsQueue(msgspec.Struct, frozen=True):
    """One queue, read for the inputs below `roots`; the dead letters of its poison go to `lake`. Picklable.

    Objects below none of the inputs are left out, and a message that names no others is acknowledged at once. What is
    no notice, or came MOST_RECEIVES times without being acknowledged, is poison: a dead letter first, then deleted.
    """

    url: str
    region: str | None
    roots: tuple[str, ...]
    lake: Storage
    run_id: str

    def receive(self, most: int, wait_s: int = 0) -> list[Message]:
        """Up to about `most` messages that name objects of ours; waits for the first up to `wait_s`.

        Raises:
            QueueError: the queue refused, or did not answer.
        """
        found: list[Message] = []
        while len(found) < most:
            with _translated(self.url):
                answer = _client(self.region).receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=_AT_ONCE,
                    WaitTimeSeconds=0 if found else wait_s,
                    VisibilityTimeout=HIDDEN_S,
                    MessageSystemAttributeNames=["ApproximateReceiveCount"],
                )
            received = answer.get("Messages", [])
            for raw in received:
                receives = int(raw.get("Attributes", {}).get("ApproximateReceiveCount", "1"))
                found += self._read(
                    raw.get("MessageId", ""), raw.get("ReceiptHandle", ""), raw.get("Body", ""), receives
                )
            if not received:
                break
        return found

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Delete messages whose objects are committed. Raises QueueError; what was not deleted comes again."""
        for some in _tens(messages):
            entries = [{"Id": str(at), "ReceiptHandle": message.receipt} for at, message in enumerate(some)]
            with _translated(self.url):
                _client(self.region).delete_message_batch(QueueUrl=self.url, Entries=entries)  # type: ignore[arg-type]

    def extend(self, messages: Sequence[Message], hidden_s: int = HIDDEN_S) -> None:
        """Keep messages hidden for `hidden_s` from now. Raises QueueError."""
        for some in _tens(messages):
            entries = [
                {"Id": str(at), "ReceiptHandle": message.receipt, "VisibilityTimeout": hidden_s}
                for at, message in enumerate(some)
            ]
            with _translated(self.url):
                _client(self.region).change_message_visibility_batch(
                    QueueUrl=self.url,
                    Entries=entries,  # type: ignore[arg-type]
                )

    def _read(self, message_id: str, receipt: str, body: str, receives: int) -> list[Message]:
        try:
            uris = parse_notice(body).uris
        except NoticeError as error:
            self._give_up(message_id, receipt, body, f"no notice: {error}")
            return []
        ours = tuple(uri for uri in uris if any(uri.startswith(f"{root}/") for root in self.roots))
        for bucket in sorted({uri.split("/")[2] for uri in uris if uri not in ours}):
            _warn_once(bucket)
        if not ours:
            self.acknowledge([Message(message_id, receipt, ())])
            return []
        if receives > MOST_RECEIVES:
            self._give_up(message_id, receipt, body, f"came {receives} times, and was never done with")
            return []
        return [Message(message_id, receipt, ours)]

    def _give_up(self, message_id: str, receipt: str, body: str, detail: str) -> None:
        data = body.encode("utf-8", "replace")
        content = (data[:_LETTER_BYTES], len(data), hashlib.sha256(data).hexdigest())
        letter = DeadLetter(
            self.url, message_id, "", len(data), 0, None, Reason.NO_NOTICE, detail, *content, self.run_id
        )
        # Named by the message alone, so that giving it up twice is giving it up once.
        name = hashlib.sha256(f"{self.url}\0{message_id}".encode()).hexdigest()[:24]
        self.lake.write(f"dead_letters/notice-{name}.avro", encode_dead_letters([letter]))
        self.acknowledge([Message(message_id, receipt, ())])


def open_queue(url: str, inputs: Sequence[Storage], lake: Storage, run_id: str) -> SqsQueue:
    """The queue at `url`, as SQS writes it; touches no network.

    Raises:
        UsageError: not the URL of a queue.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise UsageError([f"--notices {url}: not the URL of a queue, https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"])
    return SqsQueue(url, match["region"], tuple(storage.root for storage in inputs), lake, run_id)


@functools.cache
def _warn_once(bucket: str) -> None:
    _LOG.warning("notices name the bucket %s, of which no --input is part; they are ignored", bucket)


def _tens(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    return (messages[at : at + _AT_ONCE] for at in range(0, len(messages), _AT_ONCE))


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        raise QueueError(f"{url}: {code}") from error
    except BotoCoreError as error:
        raise QueueError(f"{url}: {type(error).__name__}") from error


def _client(region: str | None) -> SQSClient:
    return _client_of(os.getpid(), region, os.environ.get("AWS_ENDPOINT_URL_SQS") or os.environ.get("AWS_ENDPOINT_URL"))


@functools.cache
def _client_of(_pid: int, region: str | None, _endpoint: str | None) -> SQSClient:
    """One client for each process and place that it talks to."""
    return boto3.session.Session().client("sqs", region_name=region, config=_CONFIG)
