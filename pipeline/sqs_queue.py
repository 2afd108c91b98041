"""A queue of notices: messages received, kept ours while their objects are handled, and acknowledged after that."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from pipeline.sqs_client import sqs_client, translated
from schemas.dead_letters import DeadLetter, Reason
from schemas.errors import NoticeError, QueueError, UsageError
from schemas.storage import Storage
from transforms.dead_letter_file import encode_dead_letters
from transforms.notices import parse_notice

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef, MessageTypeDef

MOST_RECEIVES = 5
"""A message that comes oftener than this is given up."""

HIDDEN_S = 120
"""How long a message that is being handled stays hidden from others; to be renewed before that."""

_URL = re.compile(r"https?://(?P<host>[a-z0-9.-]+)(?::\d{1,5})?/\d{12}/[A-Za-z0-9_-]{1,80}(?:\.fifo)?")
# https://docs.aws.amazon.com/general/latest/gr/sqs-service.html: regional, FIPS, dual-stack, VPC endpoints; legacy.
_REGION = r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}"
_HOST = re.compile(rf"(?:.+\.)?sqs(?:-fips)?\.({_REGION})\..+|({_REGION})\.queue\.amazonaws\.com(?:\.cn)?")
_ARN = re.compile(rf"arn:aws(?:-[a-z]+)*:sqs:({_REGION}):(\d{{12}}):([A-Za-z0-9_-]{{1,80}}(?:\.fifo)?)")
_AT_ONCE = 10
_TRIES = 3
_LETTER_BYTES = 1024 * 1024  # no message of SQS's is longer
_MOST_WARNINGS = 100  # who sends may invent buckets
_NOT_OURS_ANY_MORE = frozenset({"MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue"})
_LOG = logging.getLogger(__name__)
_WARNED: set[str] = set()

Batch = Callable[[list[tuple[str, str]]], "Sequence[BatchResultErrorEntryTypeDef]"]


class Message(msgspec.Struct, frozen=True):
    """One message: what it takes to acknowledge it, and the URIs of the objects that it is acknowledged after.

    `ignored` has a word for each thing in it that is no new object of ours: `test`, `validation`, `subscription`,
    `removal`, `other event`, `empty`, `elsewhere` (below no input), or `dead letter` if it was given up.
    """

    message_id: str
    receipt: str
    uris: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class SqsQueue(msgspec.Struct, frozen=True):
    """One queue, read for the inputs below `roots`; the dead letters of its poison go to `lake`. Picklable.

    Receive, commit the objects of `uris`, acknowledge: all that was received, also what names nothing of ours. What is
    not acknowledged comes again. Poison is what is no notice, and what came more than `most_receives` times.
    """

    url: str
    region: str | None
    roots: tuple[str, ...]
    lake: Storage
    run_id: str
    most_receives: int = MOST_RECEIVES

    def receive(
        self, most: int, wait_s: int = 0, committed: Callable[[str], bool] = lambda _uri: False
    ) -> list[Message]:
        """Messages until the queue seems empty, or there are `most` or a few more; waits up to `wait_s` for the first.

        Poison is written to the lake as a dead letter before this returns, and names no objects then: to acknowledge it
        is to be rid of it. A message all of whose objects are `committed` is no poison, however often it came.
        Only an empty list after a wait of 1 to 20 s says that there are no more: without, SQS asks some of its servers.

        Raises:
            QueueError: the queue refused, or did not answer.
            StorageError: a dead letter could not be written.
        """
        found: list[Message] = []
        while len(found) < most:
            with translated(self.url):
                answer = sqs_client(self.region).receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=_AT_ONCE,
                    WaitTimeSeconds=0 if found else wait_s,
                    VisibilityTimeout=HIDDEN_S,
                    MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                )
            received = answer.get("Messages", [])
            found += [self._read(raw, committed) for raw in received]
            if not received:
                break
        return found

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Delete messages whose objects are committed.

        One that is not ours any more comes again, which a warning says. Raises QueueError if others are left after
        three tries; they come again too.
        """

        def delete(entries: list[tuple[str, str]]) -> Sequence[BatchResultErrorEntryTypeDef]:
            answer = sqs_client(self.region).delete_message_batch(
                QueueUrl=self.url, Entries=[{"Id": at, "ReceiptHandle": receipt} for at, receipt in entries]
            )
            return answer.get("Failed", [])

        self._in_batches("acknowledged", messages, delete)

    def extend(self, messages: Sequence[Message], hidden_s: int = HIDDEN_S) -> None:
        """Keep messages hidden for `hidden_s` from now; 0 shows them to the next who asks. Errors: `acknowledge`."""

        def change(entries: list[tuple[str, str]]) -> Sequence[BatchResultErrorEntryTypeDef]:
            answer = sqs_client(self.region).change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": at, "ReceiptHandle": receipt, "VisibilityTimeout": hidden_s} for at, receipt in entries
                ],
            )
            return answer.get("Failed", [])

        self._in_batches("kept hidden", messages, change)

    def _in_batches(self, what: str, messages: Sequence[Message], do: Batch) -> None:
        lost, left = 0, {}
        for some in _tens(messages):
            entries = {str(at): message.receipt for at, message in enumerate(some)}
            failed: dict[str, str] = {}
            for _ in range(_TRIES):
                with translated(self.url):
                    failed = {each["Id"]: each["Code"].rpartition(".")[2] for each in do(list(entries.items()))}
                lost += sum(code in _NOT_OURS_ANY_MORE for code in failed.values())
                failed = {at: code for at, code in failed.items() if code not in _NOT_OURS_ANY_MORE}
                entries = {at: entries[at] for at in failed}
                if not entries:
                    break
            left.update({entries[at]: code for at, code in failed.items()})
        if lost:
            _LOG.warning("%s: %d messages were ours no more and could not be %s; they come again", self.url, lost, what)
        if left:
            codes = ", ".join(sorted(set(left.values())))
            raise QueueError(f"{self.url}: {len(left)} of {len(messages)} messages could not be {what}: {codes}")

    def _read(self, raw: MessageTypeDef, committed: Callable[[str], bool]) -> Message:
        message = Message(raw.get("MessageId", ""), raw.get("ReceiptHandle", ""))
        try:
            notice = parse_notice(raw.get("Body", ""))
        except NoticeError as error:
            return self._given_up(raw, message, f"no notice: {error}")
        ours, buckets = self._sorted_out(notice.uris)
        for bucket in sorted(buckets):
            _warn_once(bucket)
        receives = int(raw.get("Attributes", {}).get("ApproximateReceiveCount", "1"))
        if receives > self.most_receives and not all(map(committed, ours)):
            return self._given_up(raw, message, f"came {receives} times, and was never done with")
        ignored = (*notice.ignored, *("elsewhere",) * (len(notice.uris) - len(ours)))
        return msgspec.structs.replace(message, uris=ours, ignored=ignored)

    def _sorted_out(self, uris: Sequence[str]) -> tuple[tuple[str, ...], set[str]]:
        """Those below an input; the buckets of the others, unless it is only another prefix of an input's bucket."""
        below = tuple(f"{root}/" for root in self.roots)
        buckets = {uri.split("/")[2] for uri in uris if not uri.startswith(below)}
        return tuple(uri for uri in uris if uri.startswith(below)), buckets - {
            root.split("/")[2] for root in self.roots
        }

    def _given_up(self, raw: MessageTypeDef, message: Message, detail: str) -> Message:
        """Write the dead letter: named by what the message says, so that giving it up twice is giving it up once."""
        body = raw.get("Body", "").encode("utf-8", "replace")
        sent_us = int(raw.get("Attributes", {}).get("SentTimestamp", "0")) * 1000
        content = (body[:_LETTER_BYTES], len(body), hashlib.sha256(body).hexdigest())
        letter = DeadLetter(
            self.url, message.message_id, "", len(body), sent_us, None, Reason.NO_NOTICE, detail, *content, self.run_id
        )
        name = hashlib.sha256(self.url.encode() + b"\0" + body).hexdigest()[:24]
        self.lake.write(f"dead_letters/notice-{name}.avro", encode_dead_letters([letter]))
        return msgspec.structs.replace(message, ignored=("dead letter",))


def open_queue(name: str, inputs: Sequence[Storage], lake: Storage, run_id: str) -> SqsQueue:
    """The queue with this URL, as SQS writes it, which touches no network; or with this ARN: SQS is asked for its URL.

    Raises:
        UsageError: neither the URL nor the ARN of a queue.
        QueueError: SQS does not tell the URL.
    """
    roots = tuple(storage.root for storage in inputs)
    if arn := _ARN.fullmatch(name):
        region, account_id, queue_name = arn.groups()
        with translated(name):
            answer = sqs_client(region).get_queue_url(QueueName=queue_name, QueueOwnerAWSAccountId=account_id)
        return SqsQueue(answer["QueueUrl"], region, roots, lake, run_id)
    match = _URL.fullmatch(name)
    if match is None:
        forms = "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, and no ARN, arn:aws:sqs:REGION:ACCOUNT:NAME"
        raise UsageError([f"--notices {name}: not the URL of a queue, {forms}"])
    host = _HOST.fullmatch(match["host"])
    return SqsQueue(name, host and (host[1] or host[2]), roots, lake, run_id)


def _warn_once(bucket: str) -> None:
    if bucket not in _WARNED and len(_WARNED) < _MOST_WARNINGS:
        _WARNED.add(bucket)
        _LOG.warning("notices name the bucket %s, of which no --input is part; they are ignored", bucket)


def _tens(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    return (messages[at : at + _AT_ONCE] for at in range(0, len(messages), _AT_ONCE))
