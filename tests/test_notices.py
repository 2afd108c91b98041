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


S3_RECORD = {
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "awsRegion": "eu-west-1",
    "eventTime": "2026-11-01T12:05:31.000Z",
    "eventName": "ObjectCreated:CompleteMultipartUpload",
    "userIdentity": {"principalId": "AWS:AROAEXAMPLE:111122223333"},
    "requestParameters": {"sourceIPAddress": "192.0.2.7"},
    "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5W"},
    "s3": {
        "s3SchemaVersion": "1.0",
        "configurationId": "to-queue",
        "bucket": {
            "name": BUCKET,
            "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
            "arn": f"arn:aws:s3:::{BUCKET}",
        },
        "object": {
            "key": "AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/2026/11/01/a+b%2Bc%2520d+%C3%A9.json.gz",
            "size": 1024,
            "eTag": "d41d8cd98f00b204e9800998ecf8427e",
            "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
            "sequencer": "0055AED6DCD90281E5",
        },
    },
}
EVENTBRIDGE_EVENT = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "111122223333",
    "time": "2026-11-01T12:05:31Z",
    "region": "eu-west-1",
    "resources": [f"arn:aws:s3:::{BUCKET}"],
    "detail": {
        "version": "0",
        "bucket": {"name": BUCKET},
        "object": {
            "key": KEY,
            "size": 5,
            "etag": "b1946ac92492d2347c6235b4d2611184",
            "sequencer": "00617F08299329D189",
        },
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "cloudtrail.amazonaws.com",
        "source-ip-address": "192.0.2.7",
        "reason": "PutObject",
    },
}
SNS_ENVELOPE = {
    "Type": "Notification",
    "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    "TopicArn": "arn:aws:sns:eu-west-1:111122223333:trail-notices",
    "Subject": "Amazon S3 Notification",
    "Timestamp": "2026-11-01T12:05:32.000Z",
    "SignatureVersion": "1",
    "Signature": "EXAMPLEw6JRN",
    "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
}
SNS_CONFIRMATION = {
    **SNS_ENVELOPE,
    "Type": "SubscriptionConfirmation",
    "Message": "You have chosen to subscribe to the topic. To confirm, visit the SubscribeURL.",
    "SubscribeURL": "https://203.0.113.9/?Action=ConfirmSubscription&Token=2336412f37",
    "Token": "2336412f37",
}
GOLDEN = {
    "s3": {"Records": [S3_RECORD]},
    "s3 by sns": {**SNS_ENVELOPE, "Message": json.dumps({"Records": [S3_RECORD]})},
    "eventbridge": EVENTBRIDGE_EVENT,
    "eventbridge by sns": {**SNS_ENVELOPE, "Message": json.dumps(EVENTBRIDGE_EVENT)},
    "cloudtrail, raw": {"s3Bucket": BUCKET, "s3ObjectKey": [KEY]},
    "cloudtrail by sns": {**SNS_ENVELOPE, "Message": json.dumps({"s3Bucket": BUCKET, "s3ObjectKey": [KEY]})},
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_whole_message_as_aws_sends_it(name: str) -> None:
    """With all the fields that are not asked for; the key is the same in each."""
    assert parse_notice(json.dumps(GOLDEN[name])) == Notice((URI,))


def test_several_records_are_several_objects() -> None:
    """In order, each once; a removal among them is left out and told."""
    body = json.loads(s3_event("a", "b", "a"))
    removed = json.loads(s3_event("c", name="ObjectRemoved:DeleteMarkerCreated"))
    message = {"Records": [*body["Records"], *removed["Records"]]}
    assert parse_notice(json.dumps(message)) == Notice((f"s3://{BUCKET}/a", f"s3://{BUCKET}/b"), ("removal",))


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
        (by_sns('{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}'), "test"),
        (json.dumps(SNS_CONFIRMATION), "subscription"),
        (by_sns(s3_event(KEY), kind="UnsubscribeConfirmation"), "subscription"),
        (s3_event(KEY, name="ObjectRemoved:Delete"), "removal"),
        (eventbridge(KEY).replace("Object Created", "Object Deleted"), "removal"),
        (s3_event(KEY, name="LifecycleExpiration:Delete"), "removal"),
        (s3_event(KEY, name="ObjectTagging:Put"), "other event"),
        (eventbridge(KEY).replace("Object Created", "Object Tags Added"), "other event"),
        (s3_event(), "empty"),
        (cloudtrail(), "empty"),
        ("[]", "empty"),
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
        *[
            (cloudtrail(KEY).replace(BUCKET, bucket), "a bucket")
            for bucket in (
                "../etc",
                "a/b",
                "..",
                "a..b",
                "ab",
                "b" * 256,
                "b\\u0000b",
                "b\\u00e9b",
                "a b c",
                "",
            )
        ],
        ('{"s3Bucket": 5, "s3ObjectKey": "k"}', "a bucket"),
        ('{"s3Bucket": "security-logs"}', "without a key"),
        (cloudtrail("a", ""), "without a key"),
        (cloudtrail("x" * 1025), "longer"),
        (by_sns(by_sns(by_sns(by_sns(by_sns(s3_event(KEY)))))), "nested"),
        ('{"Type": "Notification", "Message": 5}', "without a message"),
        ('{"s3Bucket": "security-logs", "s3ObjectKey": ["\\ud800"]}', "not"),
        (s3_event("x").replace('"x"', '"%ff"'), "not UTF-8"),
        ("[" * 100_000, "not JSON"),
        ("\ud800", "not JSON"),
        ('{"Records": [], "size": 1e999}', "not JSON"),
    ],
)
def test_what_is_no_notice_has_a_reason(body: str, reason: str) -> None:
    """The reason never repeats the body."""
    with pytest.raises(NoticeError, match=reason):
        parse_notice(body)


NAMES = ["Type", "Message", "Records", "s3", "bucket", "name", "object", "key", "eventName", "Event"]
NAMES += ["source", "detail-type", "detail", "s3Bucket", "s3ObjectKey"]
WORDS = ["Notification", "aws.s3", "ObjectCreated:Put", "Object Created", "{}", "s3:TestEvent", BUCKET, "sesame"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


def told(body: str) -> tuple[tuple[str, ...], str]:
    """The objects of a message, and what else is said of it; that never repeats what it holds."""
    try:
        notice = parse_notice(body)
    except NoticeError as error:
        return (), str(error)
    assert notice.uris or notice.ignored
    return notice.uris, " ".join(notice.ignored)


@given(json_values)
def test_any_json_is_a_notice_or_has_a_reason(value: object) -> None:
    """No content ends the reader."""
    for body in (json.dumps(value), by_sns(json.dumps(value))):
        uris, words = told(body)
        assert all(uri.startswith("s3://") for uri in uris)
        assert "sesame" not in words


@given(st.text(st.characters(codec=None)) | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_any_text_is_a_notice_or_has_a_reason(text: str) -> None:
    """Also what no JSON is, and what is no text."""
    assert told(text)[0] == told(by_sns(text))[0] == ()
