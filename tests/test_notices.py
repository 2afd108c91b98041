"""Notices of new objects, in every envelope."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import NoticeError
from transforms.notices import Notice, parse_notice

BUCKET, KEY = "security-logs", "AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/2026/11/01/a b+c%20d é.json.gz"
URI = f"s3://{BUCKET}/{KEY}"


def s3_event(*keys: str, name: str = "ObjectCreated:Put") -> str:
    """As S3 sends it to a queue."""
    objects = [{"bucket": {"name": BUCKET}, "object": {"key": urllib.parse.quote_plus(key, safe="/")}} for key in keys]
    return json.dumps({"Records": [{"eventSource": "aws:s3", "eventName": name, "s3": each} for each in objects]})


def eventbridge(*keys: str) -> str:
    """As EventBridge sends it; several only in a list."""
    events = [
        {
            "source": "aws.s3",
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": BUCKET}, "object": {"key": key, "version-id": "1"}},
        }
        for key in keys
    ]
    return json.dumps(events[0] if len(events) == 1 else events)


def cloudtrail(*keys: str) -> str:
    """CloudTrail's own notice."""
    return json.dumps({"s3Bucket": BUCKET, "s3ObjectKey": list(keys)})


def by_sns(body: str, kind: str = "Notification") -> str:
    """In SNS's envelope."""
    return json.dumps({"Type": kind, "TopicArn": "arn:aws:sns:eu-west-1:111122223333:t", "Message": body})


ENVELOPES = (s3_event, eventbridge, cloudtrail)
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@pytest.mark.parametrize("wrap", [str, by_sns], ids=["raw", "sns"])
@pytest.mark.parametrize("envelope", ENVELOPES)
@given(named=st.lists(keys, min_size=1, max_size=4, unique=True))
def test_any_key_survives_any_envelope(
    envelope: Callable[..., str], wrap: Callable[[str], str], named: list[str]
) -> None:
    """Whatever a key is made of, it comes out as S3 knows it."""
    assert parse_notice(wrap(envelope(*named))) == Notice(tuple(f"s3://{BUCKET}/{key}" for key in named))


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_encoding_follows_the_envelope(envelope: Callable[..., str]) -> None:
    """A plus and a percent sign of the key's own stay what they are."""
    assert parse_notice(envelope(KEY)).uris == (URI,)


@pytest.mark.parametrize(
    ("body", "ignored"),
    [
        ("CloudTrail validation message.", "validation"),
        (by_sns("CloudTrail validation message."), "validation"),
        ('{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}', "test"),
        (by_sns("confirm", kind="SubscriptionConfirmation"), "subscription"),
        (s3_event(KEY, name="ObjectRemoved:Delete"), "removal"),
        (eventbridge(KEY).replace("Object Created", "Object Deleted"), "removal"),
        (s3_event(KEY, name="ObjectTagging:Put"), "other event"),
    ],
)
def test_what_names_no_new_object_is_ignored(body: str, ignored: str) -> None:
    """Set-up messages and removals are no deliveries, and nothing wrong."""
    assert parse_notice(body) == Notice((), (ignored,))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"a": 1}', "none of the known kinds"),
        ('{"Records": [1]}', "without an eventName"),
        ('{"Records": [{"eventName": "ObjectCreated:Put"}]}', "without a key"),
        (s3_event(KEY).replace(BUCKET, "../etc"), "a bucket"),
        (cloudtrail("x" * 1025), "longer"),
        (by_sns(by_sns(by_sns(by_sns(by_sns(s3_event(KEY)))))), "nested"),
        ('{"Type": "Notification", "Message": 5}', "without a message"),
        ('{"s3Bucket": "security-logs", "s3ObjectKey": ["\\ud800"]}', "not"),
        (s3_event("x").replace('"x"', '"%ff"'), "not UTF-8"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_notice_has_a_reason(body: str, reason: str) -> None:
    """The reason never repeats the body."""
    with pytest.raises(NoticeError, match=reason):
        parse_notice(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Type", "Message", "Records", "s3", "detail", "source", "s3Bucket", "s3ObjectKey", "eventName"]
            ),
            inner | st.sampled_from(["Notification", "aws.s3", "ObjectCreated:Put", "Object Created", "{}"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_a_notice_or_has_a_reason(value: object) -> None:
    """No content ends the reader."""
    try:
        notice = parse_notice(json.dumps(value))
    except NoticeError:
        return
    assert all(uri.startswith("s3://") for uri in notice.uris)
