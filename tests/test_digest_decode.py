"""Digests as they are read: whatever the bytes, a verdict."""

from __future__ import annotations

import gzip
import itertools
import json
from typing import Any

import msgspec
import pytest
from digest_worlds import ACCOUNT, CHAIN, MAX_BYTES, REGION, ROOT, hour_us, log_at, ref_of, run_of, stored
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letters import Reason
from schemas.digests import BrokenDigest, Digest, DigestFault, SignedDigest, digest_path, log_tree, parse_digest_key
from schemas.storage import Fetched
from transforms.digest_decode import decode_digest, read_digest, unread_digest

GOOD = stored(1, None, [log_at(0.5)])
NEXT = stored(2, GOOD)
NAME = f"{ACCOUNT}_CloudTrail-Digest_{REGION}_audit_us-east-1_20261101T010404Z.json.gz"


def fault(data: bytes, metadata: dict[str, str] | None = None, path: str = GOOD.path) -> DigestFault | None:
    """The verdict on a digest object of these bytes."""
    digest = read_digest(ref_of(path), Fetched(data, None, metadata or {}), MAX_BYTES)
    return digest.fault if isinstance(digest, BrokenDigest) else None


def of(**members: Any) -> bytes:
    """A digest with other members."""
    return gzip.compress(json.dumps({**json.loads(NEXT.body), **members}).encode(), 1)


def test_a_digest_says_what_it_says() -> None:
    """Contents, claims and metadata arrive as they are."""
    digest = NEXT.digest
    assert isinstance(digest, SignedDigest)
    assert (digest.start_us, digest.end_us, digest.end_text) == (hour_us(1), hour_us(2), "2026-11-01T02:04:04Z")
    assert (digest.chain, digest.uri) == (CHAIN, f"{ROOT}/{NEXT.path}")
    assert digest.previous is not None
    assert (digest.previous.key, digest.previous.signature) == (GOOD.path, GOOD.metadata["signature"])
    assert GOOD.digest.logs[0].key == log_at(0.5)[0]
    assert GOOD.digest.previous is None


def test_digests_can_be_kept() -> None:
    """As JSON, and they are the same again."""
    for digest in (NEXT.digest, unread_digest(ref_of(GOOD.path), Reason.FORBIDDEN, "said the store")):
        assert msgspec.json.decode(msgspec.json.encode(digest), type=Digest) == digest


def test_a_backfill_digest_says_when_it_was_made() -> None:
    """The time is metadata; one that is none is no fault."""
    for text, us in (("2026-11-01T05:04:04Z", hour_us(5)), ("soon", None)):
        digest = read_digest(
            ref_of(GOOD.path),
            Fetched(gzip.compress(GOOD.body), None, {"backfill-generation-timestamp": text}),
            MAX_BYTES,
        )
        assert digest.backfill_generated_us == us


@pytest.mark.parametrize(
    "member",
    [
        "digestStartTime",
        "digestEndTime",
        "digestS3Bucket",
        "digestS3Object",
        "digestPublicKeyFingerprint",
        "digestSignatureAlgorithm",
        "logFiles",
        "previousDigestS3Bucket",
        "previousDigestS3Object",
        "previousDigestHashValue",
        "previousDigestSignature",
    ],
)
@pytest.mark.parametrize("value", [None, 7, [], {}, [None], [{}], True, 10**400, "\x00", "é" * 600])
def test_a_member_of_the_wrong_type_is_malformed(member: str, value: Any) -> None:
    """Each member that a verdict rests on, with values that hostile digests have."""
    taken = {
        ("digestS3Bucket", str),
        ("digestS3Object", str),
        ("digestPublicKeyFingerprint", str),
        ("digestSignatureAlgorithm", str),
        ("previousDigestS3Bucket", str),
        ("previousDigestSignature", str),
        ("previousDigestS3Object", str),
        ("logFiles", list),
    }
    harmless = (
        (member, type(value)) in taken
        and value not in ([None], [{}])
        and (not member.endswith("Object") or value == "\x00")
    )
    assert fault(of(**{member: value})) is (None if harmless else DigestFault.MALFORMED)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
def test_a_time_that_is_none_of_cloudtrails_is_malformed(time: str) -> None:
    """From the ends of what a time can be nobody could count an hour back or a month on."""
    assert fault(of(digestStartTime=time, digestEndTime=time)) is DigestFault.MALFORMED


def test_unknown_members_are_no_fault() -> None:
    """AWS may add what it likes, however large or deep within reason."""
    assert fault(of(newMember={"a": [10**400, {"b": None}]}, awsAccountId=7)) is None


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b"", DigestFault.MALFORMED),
        (b"{}", DigestFault.MALFORMED),
        (gzip.compress(b""), DigestFault.MALFORMED),
        (gzip.compress(b"[]"), DigestFault.MALFORMED),
        (gzip.compress(b"null"), DigestFault.MALFORMED),
        (gzip.compress(b'{"\xff": 1}'), DigestFault.MALFORMED),
        (gzip.compress(b'{"digestS3Bucket": "\xff"}'), DigestFault.MALFORMED),
        (gzip.compress(b'{"digestS3Bucket": "\\ud800"}'), DigestFault.MALFORMED),
        (gzip.compress(b'{"a":' * 100_000), DigestFault.MALFORMED),
        (gzip.compress(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), DigestFault.MALFORMED),
        (gzip.compress(b"0" * (MAX_BYTES + 1)), DigestFault.MALFORMED),
        (gzip.compress(GOOD.body)[:-9], DigestFault.MALFORMED),
        (gzip.compress(GOOD.body) + gzip.compress(GOOD.body), DigestFault.SECOND_MEMBER),
        (gzip.compress(GOOD.body) + b"\0", DigestFault.SECOND_MEMBER),
        (gzip.compress(GOOD.body), None),
        (of(previousDigestHashAlgorithm="SHA-1"), DigestFault.ALGORITHM),
        (of(previousDigestHashAlgorithm="SHA-256"), None),
        (of(digestStartTime="2026-11-01T02:04:05Z"), DigestFault.MALFORMED),
        (of(digestStartTime="2026-11-01T02:04:04Z"), None),
    ],
    ids=itertools.count(),  # the bytes hold the time, and each worker must collect the same tests
)
def test_bytes_have_a_verdict(data: bytes, verdict: DigestFault | None) -> None:
    """Not gzip, not JSON, too deep, too large, with something behind: and beside each the digest that is none of it."""
    assert fault(data) is verdict


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, None),
        ({"hashValue": "AB" * 32}, None),
        ({"hashValue": "ab" * 31}, DigestFault.MALFORMED),
        ({"hashValue": "xy" * 32}, DigestFault.MALFORMED),
        ({"hashAlgorithm": "MD5"}, DigestFault.ALGORITHM),
        ({"s3Object": ""}, DigestFault.MALFORMED),
        ({"s3Object": "../" * 300}, None),
        ({"s3Object": None}, DigestFault.MALFORMED),
        ({"newestEventTime": "later"}, None),
        ({"newestEventTime": 7}, DigestFault.MALFORMED),
    ],
)
def test_a_listed_log_has_a_key_and_a_hash(changes: dict[str, Any], verdict: DigestFault | None) -> None:
    """What a log is found and compared by must be there; its event times matter to nobody."""
    log = json.loads(GOOD.body)["logFiles"][0]
    assert fault(of(logFiles=[log | changes])) is verdict


def test_a_hash_is_compared_in_lower_case() -> None:
    """Whatever case AWS writes it in."""
    log = json.loads(GOOD.body)["logFiles"][0] | {"hashValue": "AB" * 32}
    digest = read_digest(ref_of(NEXT.path), Fetched(of(logFiles=[log])), MAX_BYTES)
    assert digest.logs[0].sha256 == "ab" * 32


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        (Reason.FORBIDDEN, DigestFault.FORBIDDEN),
        (Reason.READ_FAILED, DigestFault.UNREAD),
        (Reason.VANISHED, DigestFault.UNREAD),
        (Reason.TOO_LARGE, DigestFault.MALFORMED),
    ],
)
def test_what_could_not_be_read_has_a_verdict(reason: Reason, verdict: DigestFault) -> None:
    """One object that is refused says so for itself."""
    digest = unread_digest(ref_of(GOOD.path), reason, "said the store")
    assert (digest.fault, digest.chain, digest.end_us) == (verdict, CHAIN, hour_us(1))


@given(st.binary(max_size=200), st.text(max_size=80), st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
def test_nothing_is_raised(body: bytes, path: str, metadata: dict[str, str]) -> None:
    """Any bytes under any name with any metadata become a value."""
    for digest in (
        decode_digest(ref_of(path), body, metadata, None),
        decode_digest(ref_of(path), GOOD.body, metadata, None),
    ):
        assert isinstance(digest, BrokenDigest)
        digest.uri.encode()


@pytest.mark.parametrize("lead", ["", "AWSLogs/", "pre/fix/AWSLogs/", "AWSLogs/o-abc123/"])
@pytest.mark.parametrize("trail", ["audit", "my_trail", "a_us-east-1", "x_backfill", "us-west-2_20261101T010404Z"])
@pytest.mark.parametrize("end", ["", "_backfill"])
def test_names_are_read_from_both_ends(lead: str, trail: str, end: str) -> None:
    """Trail names hold what separates the parts, and even regions; organisations and prefixes come before."""
    name = NAME.replace("audit", trail).replace(".json", f"{end}.json")
    path = f"{lead}{ACCOUNT}/CloudTrail-Digest/{REGION}/2026/11/01/{name}"
    read = parse_digest_key(path)
    assert read is not None
    assert (read.logs, read.trail, read.home_region, read.backfill) == (lead, trail, "us-east-1", bool(end))
    assert digest_path(read.chain(ROOT), read.end_us) == path


@pytest.mark.parametrize(
    "name",
    [
        NAME.replace("T0104", "T2504"),
        NAME.replace("_audit", ""),
        NAME.replace("-Digest", ""),
        NAME.replace("us-east-1", "nowhere"),
        NAME.replace(".json.gz", ".json"),
        NAME.replace("_2026", "-2026"),
        "",
    ],
)
def test_what_is_not_named_as_a_digest_is_none(name: str) -> None:
    """Each part of the name must be there, and be what it should."""
    assert parse_digest_key(NAME) is not None
    assert parse_digest_key(name) is None
    assert fault(gzip.compress(GOOD.body), path=name) is DigestFault.MALFORMED


def test_logs_and_digests_meet_below_any_root() -> None:
    """Whether an input begins at the bucket, at AWSLogs, or at the account, both name one tree."""
    digest, (log, _) = run_of(1)[0].path, log_at(0.5)
    for lead in ("", "AWSLogs/", f"AWSLogs/{ACCOUNT}/"):
        name = parse_digest_key(digest.removeprefix(lead))
        assert name is not None
        assert log_tree("/copy", log.removeprefix(lead)) == name.chain("/copy").tree
    assert log_tree("/copy", digest) is None
