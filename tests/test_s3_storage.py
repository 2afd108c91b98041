"""A bucket prefix as a `Storage`, over a real socket to a simulated S3."""

from __future__ import annotations

import gzip
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import botocore.endpoint
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.utils import parse_timestamp
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from pipeline import s3_storage
from pipeline.s3_storage import S3Storage
from pipeline.storages import open_storage
from schemas.errors import ObjectForbidden, ObjectVanished, StorageError, UsageError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Answer = Callable[[AWSPreparedRequest], AWSResponse | None]


@pytest.fixture
def lake(s3_bucket: str) -> S3Storage:
    """A prefix of an empty bucket."""
    return S3Storage(s3_bucket, "pre/fix")


@pytest.fixture
def answer_with(lake: S3Storage, request: pytest.FixtureRequest) -> Callable[[Answer], None]:
    """Lets a test answer requests in the place of the server; None passes a request on to it."""
    assert lake.remote  # the environment is set: the client is the one that the storage uses
    events = s3_storage._client().meta.events

    def register(answer: Answer) -> None:
        def handler(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
            return answer(request)

        events.register("before-send.s3", handler)
        request.addfinalizer(lambda: events.unregister("before-send.s3", handler))

    return register


class Body:
    """What urllib3 would give: the bytes of an answer, as a stream."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> list[bytes]:
        """All at once."""
        return [self._body]

    def read(self, *_: Any, **__: Any) -> bytes:
        """All, then nothing."""
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        """Nothing is open."""


def refusal(status: int, code: str, message: str = "no") -> AWSResponse:
    """An error as S3 answers it."""
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return AWSResponse("http://127.0.0.1/", status, {"content-type": "application/xml"}, Body(text.encode()))


def paths(storage: S3Storage, prefix: str = "") -> list[str]:
    """The listed paths, sorted."""
    return sorted(found.path for found in storage.list(prefix))


def test_what_is_written_is_listed_read_and_deleted(lake: S3Storage, s3: S3Client) -> None:
    """A round trip, below the prefix."""
    lake.write("objects/a.parquet", b"\0\xff")
    (found,) = lake.list()
    head = s3.head_object(Bucket=lake.bucket, Key="pre/fix/objects/a.parquet")
    assert (found.path, found.size, found.etag) == ("objects/a.parquet", 2, head["ETag"].strip('"'))
    assert found.modified_us == head["LastModified"].timestamp() * 1_000_000
    assert lake.read("objects/a.parquet").body == b"\0\xff"
    lake.delete("objects/a.parquet")
    lake.delete("objects/a.parquet")
    assert paths(lake) == []


def test_a_prefix_is_a_folder_and_not_the_start_of_a_name(lake: S3Storage, s3: S3Client) -> None:
    """Neither the storage's own prefix nor a listed one; what the console shows as folders is skipped."""
    keys = ("pre/fix/o/1", "pre/fix/o/d/2", "pre/fix/ox/3", "pre/fix", "pre/fix/", "pre/fix/o/", "pre/fixed/4", "5")
    for key in keys:
        s3.put_object(Bucket=lake.bucket, Key=key, Body=b"" if key.endswith("/") else b"x")
    assert paths(lake) == ["o/1", "o/d/2", "ox/3"]
    assert paths(lake, "o") == paths(lake, "o/") == ["o/1", "o/d/2"]
    assert paths(lake, "p") == []
    assert "5" in paths(S3Storage(lake.bucket))


@pytest.mark.parametrize("key", ["a b", "a+b", "a%20b", "ünï😀/ß", "a//b", "/a", "?x#y&z=1", "..", "\x07"])
def test_odd_keys_survive(lake: S3Storage, s3: S3Client, key: str) -> None:
    """What another program wrote under an odd key is listed under it and can be read by it."""
    s3.put_object(Bucket=lake.bucket, Key=f"pre/fix/{key}", Body=key.encode())
    (found,) = lake.list()
    assert found.path == key
    assert lake.read(found.path).body == key.encode()


def test_listing_goes_on_after_the_first_thousand(lake: S3Storage) -> None:
    """S3 lists 1,000 keys at most in one answer. They are put into the server past its socket, which takes long."""
    for number in range(1001):
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(lake.bucket, f"pre/fix/{number:04}", b"")
    assert paths(lake) == [f"{number:04}" for number in range(1001)]


def test_bytes_come_as_stored(lake: S3Storage, s3: S3Client) -> None:
    """CloudTrail sets `Content-Encoding: gzip`; a client that inflates by itself would escape the cap on sizes."""
    body = gzip.compress(b"{}")
    s3.put_object(Bucket=lake.bucket, Key="pre/fix/x", Body=body, ContentEncoding="gzip")
    assert lake.read("x").body == body


def test_metadata_is_kept_with_the_object(lake: S3Storage, s3: S3Client) -> None:
    """What CloudTrail, or we, put beside the bytes is read with them; nothing where there is none."""
    s3.put_object(Bucket=lake.bucket, Key="pre/fix/theirs", Body=b"1", Metadata={"signature": "00ff"})
    assert lake.read("theirs").metadata == {"signature": "00ff"}
    lake.write("ours", b"1", {"signature": "11"})
    assert s3.head_object(Bucket=lake.bucket, Key="pre/fix/ours")["Metadata"] == {"signature": "11"}
    lake.write("ours", b"2")
    assert lake.read("ours").metadata == {}


def test_the_version_read_is_told(lake: S3Storage, s3: S3Client) -> None:
    """Where the bucket keeps versions; None where it does not."""
    lake.write("plain", b"1")
    assert lake.read("plain").version is None
    s3.put_bucket_versioning(Bucket=lake.bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=lake.bucket, Key="pre/fix/x", Body=b"1")["VersionId"]
    s3.put_object(Bucket=lake.bucket, Key="pre/fix/x", Body=b"2")
    fetched = lake.read("x")
    assert fetched.body == b"2"
    assert fetched.version not in (None, version)


def test_a_vanished_object_is_told_apart(lake: S3Storage) -> None:
    """Listed, then deleted: no reason for a run to fail."""
    with pytest.raises(ObjectVanished, match=f"s3://{lake.bucket}/pre/fix/gone: NoSuchKey"):
        lake.read("gone")


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "AccessDenied"), (403, "InvalidObjectState"), (400, "KMS.DisabledException"), (403, "403")],
)
def test_a_refused_object_is_told_apart(
    lake: S3Storage, answer_with: Callable[[Answer], None], status: int, code: str
) -> None:
    """One object that may not be read: a policy, Glacier, a disabled key. The others are read."""
    lake.write("open", b"1")
    answer_with(lambda request: refusal(status, code) if request.url.endswith("/shut") else None)
    with pytest.raises(ObjectForbidden, match=f"pre/fix/shut: {code}: no"):
        lake.read("shut")
    assert lake.read("open").body == b"1"


@pytest.mark.parametrize(
    "code", ["ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"]
)
def test_wrong_credentials_blame_no_object(lake: S3Storage, answer_with: Callable[[Answer], None], code: str) -> None:
    """They come as 403 too, but a run must stop for them rather than give up every object."""
    answer_with(lambda _: refusal(403, code))
    with pytest.raises(StorageError, match=code) as caught:
        lake.read("x")
    assert type(caught.value) is StorageError


def test_throttling_is_waited_out(
    lake: S3Storage, answer_with: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two `503 SlowDown`, then the object; the waits between grow and are not slept here."""
    lake.write("x", b"1")
    waits: list[float] = []
    answers = [refusal(503, "SlowDown"), refusal(503, "SlowDown"), None]
    monkeypatch.setattr(botocore.endpoint.time, "sleep", waits.append)
    answer_with(lambda _: answers.pop(0))
    assert lake.read("x").body == b"1"
    assert answers == []
    assert len(waits) == 2


def test_endless_throttling_is_a_storage_error(
    lake: S3Storage, answer_with: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After eight tries the run is told."""
    requests: list[str] = []
    monkeypatch.setattr(botocore.endpoint.time, "sleep", lambda _: None)

    def throttle(request: AWSPreparedRequest) -> AWSResponse:
        requests.append(request.url)
        return refusal(503, "SlowDown", "Please reduce your request rate.")

    answer_with(throttle)
    with pytest.raises(StorageError, match=r"x: SlowDown: Please reduce your request rate\."):
        lake.write("x", b"1")
    assert len(requests) == 8


def test_a_cut_answer_is_no_object(lake: S3Storage, answer_with: Callable[[Answer], None]) -> None:
    """Fewer bytes than announced never pass for the whole."""
    headers = {"content-length": "10", "etag": '"e"'}
    answer_with(lambda request: AWSResponse(request.url, 200, headers, Body(b"short")))
    with pytest.raises(StorageError, match="x: the connection broke"):
        lake.read("x")


def test_a_missing_bucket_is_an_error_for_every_use(s3_bucket: str) -> None:
    """A mistyped bucket must not look like an empty one, nor like a vanished object."""
    missing = S3Storage(f"{s3_bucket}-not")
    for use in (paths, lambda lake: lake.read("x"), lambda lake: lake.write("x", b"")):
        with pytest.raises(StorageError, match=rf"s3://{missing.bucket}(/x)?: NoSuchBucket") as caught:
            use(missing)
        assert type(caught.value) is StorageError


def test_an_unreachable_endpoint_is_a_storage_error(lake: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens; the text names neither the endpoint, which may hold a password, nor a key."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:hunter2@127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setattr(botocore.endpoint.time, "sleep", lambda _: None)
        with pytest.raises(StorageError, match="x: the S3 endpoint cannot be reached") as caught:
            lake.read("x")
    assert "hunter2" not in str(caught.value)


def test_no_credentials_is_a_storage_error(
    s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The usual first failure says what is wrong."""
    nowhere = str(tmp_path_factory.mktemp("nowhere") / "none")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")  # so that no other test's client is used
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
    monkeypatch.setenv("AWS_CONFIG_FILE", nowhere)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StorageError, match="s3://bucket/x: no AWS credentials found"):
        S3Storage("bucket").read("x")


def test_replace_writes_only_over_what_it_knows(lake: S3Storage) -> None:
    """Of two writers that read the same state one wins."""
    first = lake.replace("lock", b"1", None)
    assert first is not None
    assert lake.replace("lock", b"2", None) is None
    second = lake.replace("lock", b"2", first)
    assert lake.read_tagged("lock") == (lake.read("lock"), second)
    assert lake.replace("lock", b"3", first) is None
    assert lake.read("lock").body == b"2"
    lake.delete("lock")
    assert lake.replace("lock", b"3", second) is None


@pytest.mark.parametrize(
    "value",
    ["2026-11-20T12:00:01.000Z", "2026-11-20T12:00:01Z", "Fri, 20 Nov 2026 12:00:01 GMT", "1712010200", 1712010200.5],
)
def test_a_time_is_what_botocore_makes_of_it(value: Any) -> None:
    """However AWS writes it."""
    assert s3_storage._timestamp(value) == parse_timestamp(value)


def test_a_process_has_one_client(lake: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building one costs a hundred times what a request does; a forked process must not share the sockets of one."""
    client = s3_storage._client()
    lake.write("x", b"1")
    assert s3_storage._client() is client
    monkeypatch.setattr(s3_storage.os, "getpid", lambda: -1)
    assert s3_storage._client() is not client


def test_it_can_be_sent_to_workers(lake: S3Storage) -> None:
    """Pickled into a fresh process, it reads there with a client of that process's own."""
    lake.write("x", b"from afar")
    script = "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1])).read('x').body.decode())"
    command = [sys.executable, "-c", script, pickle.dumps(lake).hex()]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "from afar\n"


def test_uris_of_buckets() -> None:
    """With and without a prefix or a slash at its end; characters that mean something in other URIs are the key's."""
    assert open_storage("s3://bucket") == open_storage("s3://bucket/") == S3Storage("bucket")
    assert open_storage("s3://bucket/a/b/") == S3Storage("bucket", "a/b")
    assert open_storage("S3://bucket/a?b#c%20d").root == "s3://bucket/a?b#c%20d"


@pytest.mark.parametrize(
    "uri", ["s3://", "s3:///prefix", "s3://b", "s3://buc ket/x", "s3://user@bucket/x", "s3://-a-/x"]
)
def test_bad_buckets_are_usage_errors(uri: str) -> None:
    """What S3 could not name is refused before anything runs."""
    with pytest.raises(UsageError, match="is not the name of a bucket"):
        open_storage(uri)
