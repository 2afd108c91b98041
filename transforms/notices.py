"""Notices of new objects: what a queue's messages say, whichever service wrote them and whatever wrapped them."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

import msgspec

from schemas.errors import NoticeError

_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")  # as wide as for buckets made before 2018; never a path
_SNS_KINDS = ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation")
_VALIDATION = "CloudTrail validation message."
_DEPTH = 4  # envelopes in envelopes; nobody needs more than two
_KEY_BYTES = 1024  # S3's own limit
_DECODE = msgspec.json.Decoder().decode


class Notice(msgspec.Struct, frozen=True):
    """The objects that a message names, as `s3://bucket/key`, and a word for each thing in it that is no new object.

    Those are `test`, `validation`, `subscription`, `removal`, `other event`, and `empty` for a list without entries.
    """

    uris: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def parse_notice(body: str) -> Notice:
    """The objects that the body of a message names, in order, each once.

    S3 event notifications (keys URL-encoded, with `+` for a space), EventBridge's `Object Created` and CloudTrail's own
    notices (keys as they are), each also in an SNS envelope or as a list of them. The envelope alone decides what a key
    is: `a%20b` is a key that S3 allows, and to decode it where nobody encoded it would name another object. Test and
    validation messages and removals name nothing and are `ignored`; so are subscriptions, whose links are never opened.
    Sources: S3 user guide, "Event message structure" and "Using EventBridge"; CloudTrail user guide, "Configuring
    Amazon SNS notifications"; SNS developer guide, "Message format".

    Raises:
        NoticeError: not a message of these, or one that names no possible object; the reason without the body.
    """
    uris: dict[str, None] = {}
    ignored: list[str] = []
    for uri, other in _said(body.strip(), _DEPTH):
        if uri is not None:
            uris[uri] = None
        elif other is not None:
            ignored.append(other)
    return Notice(tuple(uris), tuple(ignored) if uris or ignored else ("empty",))


def _said(text: str, depth: int) -> Iterator[tuple[str | None, str | None]]:
    if text == _VALIDATION:
        yield None, "validation"
        return
    if not depth:
        raise NoticeError("envelopes nested too deeply")
    try:
        message = _DECODE(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise NoticeError("not JSON") from None
    for each in message if isinstance(message, list) else [message]:
        if not isinstance(each, dict):
            raise NoticeError("not a JSON object")
        yield from _of(each, depth)


def _of(message: dict[str, Any], depth: int) -> Iterator[tuple[str | None, str | None]]:
    if message.get("Type") in _SNS_KINDS:
        if message["Type"] != "Notification":
            yield None, "subscription"
        elif not isinstance(message.get("Message"), str):
            raise NoticeError("an SNS envelope without a message")
        else:
            yield from _said(message["Message"].strip(), depth - 1)
    elif isinstance(message.get("Records"), list):
        for record in message["Records"]:
            yield _of_s3(record)
    elif message.get("Event") == "s3:TestEvent":
        yield None, "test"
    elif message.get("source") == "aws.s3":
        yield _of_eventbridge(message)
    elif "s3Bucket" in message:
        yield from _of_cloudtrail(message)
    else:
        raise NoticeError("none of the known kinds of notice")


def _of_s3(record: Any) -> tuple[str | None, str | None]:
    name = _at(record, "eventName")
    if not isinstance(name, str):
        raise NoticeError("a record without an eventName")
    if not name.removeprefix("s3:").startswith("ObjectCreated:"):
        return None, "removal" if "Removed" in name or "Delete" in name else "other event"
    key = _at(record, "s3", "object", "key")
    if not isinstance(key, str):
        raise NoticeError("a record without a key")
    try:
        decoded = urllib.parse.unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        raise NoticeError("a key that is not UTF-8") from None
    return _uri(_at(record, "s3", "bucket", "name"), decoded), None


def _of_eventbridge(message: dict[str, Any]) -> tuple[str | None, str | None]:
    kind = message.get("detail-type")
    if kind != "Object Created":
        return None, "removal" if kind == "Object Deleted" else "other event"
    return _uri(_at(message, "detail", "bucket", "name"), _at(message, "detail", "object", "key")), None


def _of_cloudtrail(message: dict[str, Any]) -> Iterator[tuple[str | None, str | None]]:
    keys = message.get("s3ObjectKey")
    for key in keys if isinstance(keys, list) else [keys]:
        yield _uri(message["s3Bucket"], key), None


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _uri(bucket: Any, key: Any) -> str:
    if not isinstance(bucket, str) or not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise NoticeError("a bucket that cannot be one")
    if not isinstance(key, str) or not key:
        raise NoticeError("a record without a key")
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise NoticeError("a key that is not UTF-8") from None
    if len(encoded) > _KEY_BYTES:
        raise NoticeError("a key that is longer than S3's are")
    return f"s3://{bucket}/{key}"
