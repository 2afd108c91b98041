"""A bucket prefix as a `Storage`."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import boto3
import botocore.session
import msgspec
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.utils import parse_timestamp

from schemas.errors import ObjectForbidden, ObjectVanished, StorageError
from schemas.storage import Fetched, Stat
from schemas.times import datetime_us

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_CONFIG = Config(
    max_pool_connections=32,
    connect_timeout=10,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 8},
    user_agent_extra="trailcanary",
)
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_PROFILE")

_GONE = frozenset({"NoSuchKey", "404"})
# Only what concerns one object: expired or wrong credentials are refused with 403 too, and concern every object.
_REFUSED = frozenset({"AccessDenied", "AllAccessDisabled", "InvalidObjectState", "403"})
_CONDITION_FAILED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409", "404"})
_DETAILS: tuple[tuple[tuple[type[BotoCoreError], ...], str], ...] = (
    ((NoCredentialsError, PartialCredentialsError), "no AWS credentials found"),
    ((CredentialRetrievalError,), "the AWS credentials could not be fetched"),
    ((EndpointConnectionError, ConnectTimeoutError), "the S3 endpoint cannot be reached"),
    ((IncompleteReadError, ResponseStreamingError, ConnectionClosedError), "the connection broke; the answer is cut"),
    ((ReadTimeoutError,), "the S3 endpoint did not answer in time"),
)


class S3Storage(msgspec.Struct, frozen=True):
    """The objects of `bucket` below `prefix` (no slash at its ends; empty means all of it).

    Region, endpoint and credentials come from the environment, as boto3 finds them. Throttled and failed requests are
    tried 8 times before they become a StorageError.
    """

    bucket: str
    prefix: str = ""

    @property
    def root(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"

    @property
    def remote(self) -> bool:
        """True: each request waits for the network."""
        return True

    def list(self, prefix: str = "", after: str = "") -> Iterator[Stat]:
        """Every object below the folder `prefix`, 1,000 a request; console "folders" (empty, ending in /) are none."""
        skip, below = len(self._key("")), self._below(prefix)
        start = {"StartAfter": self._key(after)} if after else {}
        with self._translated(prefix):
            paginator = _client().get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=self.bucket, Prefix=below, **start):  # type: ignore[arg-type]
                for item in page.get("Contents", ()):
                    if item["Size"] or not item["Key"].endswith("/"):
                        modified_us = datetime_us(item["LastModified"])
                        yield Stat(item["Key"][skip:], item["Size"], item["ETag"].strip('"'), modified_us)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Names of the folders right below `prefix`, 1,000 a request."""
        below = self._below(prefix)
        with self._translated(prefix):
            paginator = _client().get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=self.bucket, Prefix=below, Delimiter="/"):
                yield from (each["Prefix"][len(below) : -1] for each in page.get("CommonPrefixes", ()))

    def stat(self, path: str) -> Stat:
        """One object. Raises ObjectVanished, ObjectForbidden or StorageError."""
        with self._translated(path):
            head = _client().head_object(Bucket=self.bucket, Key=self._key(path))
        return Stat(path, head["ContentLength"], head["ETag"].strip('"'), datetime_us(head["LastModified"]))

    def read(self, path: str) -> Fetched:
        """The whole object, as stored. Raises ObjectVanished, ObjectForbidden or StorageError."""
        return self.read_tagged(path)[0]

    def read_tagged(self, path: str) -> tuple[Fetched, str]:
        """The object and its ETag, for `replace`. Raises as `read` does."""
        with self._translated(path):
            answer = _client().get_object(Bucket=self.bucket, Key=self._key(path))
            with contextlib.closing(answer["Body"]) as stream:
                body = stream.read()
        if len(body) != answer["ContentLength"]:
            raise StorageError(self._uri(path), f"{len(body):,} of {answer['ContentLength']:,} bytes came")
        return Fetched(body, answer.get("VersionId"), answer.get("Metadata", {})), answer["ETag"]

    def write(self, path: str, body: bytes | memoryview, metadata: Mapping[str, str] | None = None) -> None:
        """Put the object in one request, so that it appears whole. Raises StorageError."""
        with self._translated(path):
            _client().put_object(Bucket=self.bucket, Key=self._key(path), Body=bytes(body), Metadata=metadata or {})

    def delete(self, path: str) -> None:
        """Remove the object; one that is not there is no error. Raises StorageError."""
        with self._translated(path):
            _client().delete_object(Bucket=self.bucket, Key=self._key(path))

    def replace(self, path: str, body: bytes, etag: str | None) -> str | None:
        """Put the object if its ETag still is `etag` (None: if there is no object); its new ETag, else None.

        Raises StorageError. Beside the protocol: the lake's lease is kept by it.
        """
        client, key = _client(), self._key(path)
        with self._translated(path):
            try:
                if etag is None:
                    return client.put_object(Bucket=self.bucket, Key=key, Body=body, IfNoneMatch="*")["ETag"]
                return client.put_object(Bucket=self.bucket, Key=key, Body=body, IfMatch=etag)["ETag"]
            except ClientError as error:
                if _code(error) in _CONDITION_FAILED:
                    return None
                raise

    def _below(self, prefix: str) -> str:
        folder = prefix.strip("/")
        return self._key(f"{folder}/" if folder else "")

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    def _uri(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    @contextlib.contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._error(path, error) from error
        except BotoCoreError as error:
            raise StorageError(self._uri(path), _detail(error)) from error

    def _error(self, path: str, error: ClientError) -> StorageError:
        code, message = _code(error), error.response.get("Error", {}).get("Message", "")
        kind = StorageError
        if code in _GONE:
            kind = ObjectVanished
        elif code in _REFUSED or (code.startswith("KMS.") and "Throttling" not in code):
            kind = ObjectForbidden
        return kind(self._uri(path), f"{code}: {message}")


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "unknown")


def _detail(error: BotoCoreError) -> str:
    """What went wrong, for people; the exceptions' own texts may name proxies and their passwords."""
    for kinds, text in _DETAILS:
        if isinstance(error, kinds):
            return text
    return type(error).__name__


def _client() -> S3Client:
    return _client_of(os.getpid(), tuple(os.environ.get(name) for name in _ENDPOINT_VARIABLES))


@functools.cache
def _client_of(_pid: int, _environment: tuple[str | None, ...]) -> S3Client:
    """One client for each process (a forked one must not share sockets) and place that it talks to."""
    session = botocore.session.get_session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
    return boto3.session.Session(botocore_session=session).client("s3", config=_CONFIG)


def _timestamp(value: str) -> dt.datetime:
    """What botocore makes of it. Its own way takes three quarters of the time that a listing of 1,000 objects takes."""
    try:
        moment = dt.datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return parse_timestamp(value)
    return moment if moment.tzinfo else parse_timestamp(value)
