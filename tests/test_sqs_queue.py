"""A queue of notices, over a real socket to a simulated SQS."""

from __future__ import annotations

import json
import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.endpoint
import botocore.retries.bucket
import msgspec
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.server import ThreadedMotoServer

from pipeline import sqs_client as sqs_client_module
from pipeline import sqs_queue
from pipeline.lake import read_lake
from pipeline.lake_connection import dead_letters
from pipeline.local_storage import LocalStorage
from pipeline.noticed import Noticed
from pipeline.replay import remove_answered
from pipeline.s3_storage import S3Storage
from pipeline.sqs_client import sqs_client
from pipeline.sqs_queue import MOST_RECEIVES, Message, SqsQueue, open_queue
from pipeline.visibility import KeptHidden
from schemas.dead_letters import Reason
from schemas.errors import QueueError, UsageError
from schemas.settings import Config
from transforms.dead_letter_file import decode_dead_letters

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sqs.client import SQSClient

ROOT = S3Storage("security-logs", "org")

Answer = Callable[[AWSPreparedRequest], AWSResponse | None]


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once, also where the client was throttled."""
    monkeypatch.setattr(botocore.endpoint.time, "sleep", lambda _: None)
    monkeypatch.setattr(botocore.retries.bucket.TokenBucket, "acquire", lambda *_, **__: True)


@pytest.fixture
def answer_with(queue: SqsQueue, request: pytest.FixtureRequest) -> Callable[[Answer], None]:
    """Lets a test answer requests in the place of the server; None passes a request on to it."""
    events = sqs_client(queue.region).meta.events

    def register(answer: Answer) -> None:
        def handler(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
            return answer(request)

        events.register("before-send.sqs", handler)
        request.addfinalizer(sqs_client_module._client_of.cache_clear)  # one that was throttled stays slow

    return register


class Body:
    """What urllib3 would give: the bytes of an answer, as a stream."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> list[bytes]:
        """All at once."""
        return [self._body]


def answer_of(status: int, body: bytes) -> AWSResponse:
    """An answer as SQS writes it, or does not."""
    return AWSResponse("http://127.0.0.1/", status, {"content-type": "application/x-amz-json-1.0"}, Body(body))


def failures(*codes: str) -> AWSResponse:
    """A batch of which entries failed, the first with the first code."""
    failed = [{"Id": str(at), "Code": code, "SenderFault": False} for at, code in enumerate(codes)]
    return answer_of(200, json.dumps({"Successful": [], "Failed": failed}).encode())


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


def test_a_message_names_several_objects(sqs: SQSClient, queue: SqsQueue) -> None:
    """Those of other inputs of the queue's among them."""
    keys = ("org/a+b", "other/c", "org/d%20e")
    records = [
        {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": ROOT.bucket}, "object": {"key": key}}}
        for key in keys
    ]
    sqs.send_message(QueueUrl=queue.url, MessageBody=json.dumps({"Records": records}))
    (message,) = queue.receive(10)
    assert message.uris == (f"{ROOT.root}/a b", f"{ROOT.root}/d e")
    assert message.ignored == ("elsewhere",)


def test_no_more_than_asked_for_is_received_at_once(sqs: SQSClient, queue: SqsQueue) -> None:
    """But for the rest of a request's ten, also where nothing in the queue is a notice: the rest stays in the queue."""
    for number in range(25):
        sqs.send_message(QueueUrl=queue.url, MessageBody=f"hello {number}")
    assert len(queue.receive(12)) == 20
    assert hidden(sqs, queue) == (5, 20)


def test_what_is_not_acknowledged_comes_again_until_it_is_given_up(sqs: SQSClient, queue: SqsQueue) -> None:
    """Then it is a dead letter, once, and acknowledging it rids the queue of it."""
    sqs.send_message(QueueUrl=queue.url, MessageBody=notice("a"))
    for _ in range(MOST_RECEIVES):
        (message,) = queue.receive(10)
        assert message.uris == (f"{ROOT.root}/a",)
        queue.extend([message], 0)
    (poison,) = queue.receive(10)
    assert (poison.uris, poison.ignored) == ((), ("dead letter",))
    assert hidden(sqs, queue) == (0, 1)
    queue.extend([poison], 0)
    queue.acknowledge(queue.receive(10))
    ((reason, detail, body),) = letters(queue)
    assert (reason, body.decode()) == (Reason.NO_NOTICE, notice("a"))
    assert detail == f"came {MOST_RECEIVES + 2} times, and was never done with"
    assert hidden(sqs, queue) == (0, 0)


def test_what_is_committed_is_no_poison(sqs: SQSClient, queue: SqsQueue) -> None:
    """A process may have died after each commit and before the message was acknowledged."""
    sqs.send_message(QueueUrl=queue.url, MessageBody=notice("a"))
    impatient = msgspec.structs.replace(queue, most_receives=1)
    for _ in range(2):
        (message,) = impatient.receive(10, committed=lambda uri: uri == f"{ROOT.root}/a")
        impatient.extend([message], 0)
    assert message.uris == (f"{ROOT.root}/a",)
    assert letters(queue) == []
    assert [each.ignored for each in impatient.receive(10)] == [("dead letter",)]


def test_what_is_no_notice_is_a_dead_letter_at_once(sqs: SQSClient, queue: SqsQueue) -> None:
    """Others beside it are received; two that say the same have one letter."""
    for body in ("hello", notice("a"), '{"Records": [{}]}', "hello"):
        sqs.send_message(QueueUrl=queue.url, MessageBody=body)
    assert sorted(message.uris for message in queue.receive(10)) == [(), (), (), (f"{ROOT.root}/a",)]
    assert sorted(detail for _, detail, _ in letters(queue)) == [
        "no notice: a record without an eventName",
        "no notice: not JSON",
    ]


def test_a_dead_letter_lives_in_the_lake(sqs: SQSClient, queue: SqsQueue) -> None:
    """`query` shows it, a run does not take it for litter, a replay leaves it alone."""
    sqs.send_message(QueueUrl=queue.url, MessageBody="hello")
    queue.acknowledge(queue.receive(10))
    read_lake(queue.lake, Config())
    remove_answered(queue.lake)
    (row,) = dead_letters(queue.lake).to_pylist()
    assert (row["root"], row["reason"], row["body"]) == (queue.url, "no_notice", b"hello")
    assert row["modified_us"] > 0
    assert row["record_index"] is None


def test_objects_of_other_buckets_are_left_out_and_said_once(
    sqs: SQSClient, queue: SqsQueue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that names no others is done with."""
    monkeypatch.setattr(sqs_queue, "_WARNED", set())
    for key in "ab":
        sqs.send_message(QueueUrl=queue.url, MessageBody=notice(key, bucket="other-bucket"))
    sqs.send_message(QueueUrl=queue.url, MessageBody="CloudTrail validation message.")
    messages = queue.receive(10)
    assert sorted(message.ignored for message in messages) == [("elsewhere",), ("elsewhere",), ("validation",)]
    assert [message.uris for message in messages] == [(), (), ()]
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text for text in warned if "other-bucket" in text] == warned
    assert len(warned) == 1
    assert letters(queue) == []


def test_what_names_nothing_of_ours_is_acknowledged_with_the_rest(
    s3: S3Client, sqs: SQSClient, queue: SqsQueue
) -> None:
    """By whoever follows a queue: nothing has to be committed for it."""
    for body in ("hello", notice("a", bucket="other-bucket"), "CloudTrail validation message.", notice("gone")):
        sqs.send_message(QueueUrl=queue.url, MessageBody=body)
    noticed = Noticed(queue, [ROOT])
    s3.create_bucket(Bucket=ROOT.bucket)
    assert noticed.receive(lambda _uri: False) == []
    assert hidden(sqs, queue) == (0, 4)
    noticed.settle(lambda _: False)
    assert hidden(sqs, queue) == (0, 0)
    assert len(letters(queue)) == 1


def test_invented_buckets_do_not_fill_the_log(
    sqs: SQSClient, queue: SqsQueue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may send a message may name many."""
    monkeypatch.setattr(sqs_queue, "_WARNED", set())
    created = {"source": "aws.s3", "detail-type": "Object Created"}
    names = [f"bucket-{number}" for number in range(200)]
    events = [created | {"detail": {"bucket": {"name": name}, "object": {"key": "k"}}} for name in names]
    sqs.send_message(QueueUrl=queue.url, MessageBody=json.dumps(events))
    (message,) = queue.receive(10)
    assert message.ignored == ("elsewhere",) * 200
    assert sum("notices name the bucket" in record.getMessage() for record in caplog.records) == 100


@pytest.mark.usefixtures("impatient")
def test_entries_of_a_batch_that_fail_are_tried_again(queue: SqsQueue, answer_with: Callable[[Answer], None]) -> None:
    """Only those; an error says how many are left after three tries."""
    asked: list[list[str]] = []

    def fail_the_first(request: AWSPreparedRequest) -> AWSResponse:
        asked.append([entry["ReceiptHandle"] for entry in json.loads(request.body)["Entries"]])
        return failures("InternalError") if len(asked) != 2 else failures()

    answer_with(fail_the_first)
    queue.acknowledge([Message("1", "one"), Message("2", "two")])
    assert asked == [["one", "two"], ["one"]]
    with pytest.raises(QueueError, match=r"1 of 2 messages could not be acknowledged: InternalError"):
        queue.acknowledge([Message("1", "one"), Message("2", "two")])
    assert asked[2:] == [["one", "two"], ["one"], ["one"]]


def test_what_is_ours_no_more_is_a_warning(
    queue: SqsQueue, answer_with: Callable[[Answer], None], caplog: pytest.LogCaptureFixture
) -> None:
    """It comes again; to fail would not bring it back."""
    answer_with(lambda _: failures("AWS.SimpleQueueService.MessageNotInflight"))
    queue.extend([Message("1", "one"), Message("2", "two")])
    assert "1 messages were ours no more and could not be kept hidden" in caplog.text


def test_messages_are_kept_hidden_until_they_are_released(
    sqs: SQSClient, queue: SqsQueue, answer_with: Callable[[Answer], None]
) -> None:
    """At once, and again when half of the timeout is over; then the thread has ended."""
    sqs.send_message(QueueUrl=queue.url, MessageBody=notice("a"))
    messages = queue.receive(10)
    queue.extend(messages, 0)
    timeouts: list[int] = []
    twice = threading.Event()

    def listen(request: AWSPreparedRequest) -> None:
        timeouts.extend(entry["VisibilityTimeout"] for entry in json.loads(request.body).get("Entries", []))
        if len(timeouts) == 2:
            twice.set()

    answer_with(listen)
    with KeptHidden(queue, messages, hidden_s=1):
        assert twice.wait(30)
    assert "visibility" not in {thread.name for thread in threading.enumerate()}
    assert timeouts[:2] == [1, 1]


@pytest.mark.usefixtures("impatient")
def test_a_queue_that_fails_does_not_end_what_is_kept(
    queue: SqsQueue, answer_with: Callable[[Answer], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The next time tries again."""
    asked: list[str | None] = []
    twice = threading.Event()

    def fail(request: AWSPreparedRequest) -> AWSResponse:
        asked.append(request.url)
        if len(asked) == 2:
            twice.set()
        return answer_of(400, b'{"__type": "com.amazonaws.sqs#InvalidAddress", "message": "no"}')

    answer_with(fail)
    with KeptHidden(queue, [Message("1", "one")], hidden_s=0):
        assert twice.wait(30)
    assert "messages may come twice" in caplog.text


@pytest.fixture
def restartable(monkeypatch: pytest.MonkeyPatch, s3: S3Client) -> Iterator[Callable[[], ThreadedMotoServer]]:
    """Starts a server, each time at the same address, where the environment leads; what it knows stays."""
    assert s3.meta.region_name
    servers: list[ThreadedMotoServer] = []

    def start() -> ThreadedMotoServer:
        port = servers[0].get_host_and_port()[1] if servers else 0
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        server.start()
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        return server

    yield start
    servers[-1].stop()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_away_is_an_error_and_its_return_is_not(
    restartable: Callable[[], ThreadedMotoServer], tmp_path: Path
) -> None:
    """Nothing is lost meanwhile: neither what was in the queue nor what somebody was handling."""
    server = restartable()
    sqs = boto3.session.Session().client("sqs", region_name="us-east-1")
    url = sqs.create_queue(QueueName=f"restart-{tmp_path.name[:60]}")["QueueUrl"]
    queue = open_queue(url, [ROOT], LocalStorage(str(tmp_path / "lake")), "run-1")
    sqs.send_message(QueueUrl=url, MessageBody=notice("a"))
    messages = queue.receive(10)
    sqs.send_message(QueueUrl=url, MessageBody=notice("b"))
    server.stop()
    for ask in (lambda: queue.receive(1), lambda: queue.acknowledge(messages), lambda: queue.extend(messages)):
        with pytest.raises(QueueError, match=r"cannot be reached|connection broke"):
            ask()
    restartable()
    queue.acknowledge(messages)
    assert [message.uris for message in queue.receive(10)] == [(f"{ROOT.root}/b",)]


def test_a_queue_that_is_not_there_is_an_error(queue: SqsQueue) -> None:
    """It names the queue, and the service's own code."""
    gone = open_queue(f"{queue.url[:-8]}-missing", [ROOT], queue.lake, "run-1")
    with pytest.raises(QueueError, match=r"-missing: .*(NonExistentQueue|QueueDoesNotExist)"):
        gone.receive(1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("status", "code", "tries"), [(400, "RequestThrottled", 5), (503, "InternalError", 5), (403, "AccessDenied", 1)]
)
def test_what_the_service_refuses_is_an_error(
    queue: SqsQueue, answer_with: Callable[[Answer], None], status: int, code: str, tries: int
) -> None:
    """After five tries where trying again can help."""
    asked: list[str | None] = []

    def refuse(request: AWSPreparedRequest) -> AWSResponse:
        asked.append(request.url)
        return answer_of(status, json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "no"}).encode())

    answer_with(refuse)
    with pytest.raises(QueueError, match=f"{queue.url}: {code}: no"):
        queue.receive(1)
    assert len(asked) == tries


def test_a_queue_without_a_region_is_an_error(queue: SqsQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to set."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(QueueError, match="AWS_DEFAULT_REGION"):
        msgspec.structs.replace(queue, region=None).receive(1)


def test_a_queue_can_be_sent_to_a_worker(sqs: SQSClient, queue: SqsQueue) -> None:
    """It makes its own client there."""
    sqs.send_message(QueueUrl=queue.url, MessageBody=notice("a"))
    assert queue.receive(10)
    copy = pickle.loads(pickle.dumps(queue))  # noqa: S301
    assert copy == queue
    assert copy.receive(10) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "arn:aws:sqs:a:b:c",
        "arn:aws:sqs:eu-west-1:111122223333",
        "arn:aws:sqs:eu-west-1:1111:notices",
        "arn:aws:sns:eu-west-1:111122223333:notices",
        "arn:aws:sqs:eu-west-1:111122223333:notices:more",
        "arn:aws:sqs:eu-west-1:111122223333:a b",
        "arn:aws:sqs::111122223333:notices",
        "https://sqs.eu-west-1.amazonaws.com/1/x",
        "file:///queue",
        "https://user:secret@sqs.eu-west-1.amazonaws.com/111122223333/q",
        "https://sqs.eu-west-1.amazonaws.com/111122223333/q?a=b",
        "https://a\nb/111122223333/q",
    ],
)
def test_what_is_no_queue_is_refused(url: str, tmp_path: Path) -> None:
    """Before anything is asked."""
    with pytest.raises(UsageError, match="not the URL of a queue"):
        open_queue(url, [ROOT], LocalStorage(str(tmp_path)), "run-1")


def test_a_queue_by_its_arn(sqs: SQSClient, queue: SqsQueue, tmp_path: Path) -> None:
    """SQS of the ARN's region tells the URL: of a queue that may belong to another account."""
    name = queue.url.rpartition("/")[2]
    named = open_queue(f"arn:aws:sqs:us-east-1:123456789012:{name}", [ROOT], queue.lake, "run-1")
    assert named == msgspec.structs.replace(queue, region="us-east-1")
    sqs.send_message(QueueUrl=queue.url, MessageBody=notice("a"))
    assert [message.uris for message in named.receive(10)] == [(f"{ROOT.root}/a",)]
    asked: list[dict[str, str]] = []
    events = sqs_client("us-gov-west-1").meta.events
    events.register("provide-client-params.sqs.GetQueueUrl", lambda params, **_: asked.append(params))
    with pytest.raises(QueueError, match=r"^arn:aws-us-gov:sqs:us-gov-west-1:999999999999:elsewhere: .*NonExistent"):
        open_queue(
            "arn:aws-us-gov:sqs:us-gov-west-1:999999999999:elsewhere", [ROOT], LocalStorage(str(tmp_path)), "run-1"
        )
    assert asked == [{"QueueName": "elsewhere", "QueueOwnerAWSAccountId": "999999999999"}]


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("sqs.eu-west-1.amazonaws.com", "eu-west-1"),
        ("sqs.us-gov-east-1.amazonaws.com", "us-gov-east-1"),
        ("sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("sqs-fips.us-west-2.amazonaws.com", "us-west-2"),
        ("sqs.ap-southeast-7.api.aws", "ap-southeast-7"),
        ("vpce-0a1b-x2y3.sqs.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
        ("eu-west-1.queue.amazonaws.com", "eu-west-1"),
        ("sqs.us-east-1.localhost.localstack.cloud:4566", "us-east-1"),
        ("127.0.0.1:5000", None),
        ("sqs.example.com", None),
    ],
)
def test_the_region_comes_from_the_url(tmp_path: Path, host: str, region: str | None) -> None:
    """Where it has one."""
    url = f"https://{host}/111122223333/trail-notices"
    assert open_queue(url, [ROOT], LocalStorage(str(tmp_path)), "run-1").region == region
