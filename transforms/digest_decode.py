"""Decoding of digest objects: what a digest says, or why it cannot be read. Nothing that it holds makes this raise."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec

from schemas.dead_letters import Reason
from schemas.digests import (
    BrokenDigest,
    Chain,
    Digest,
    DigestFault,
    ListedLog,
    Previous,
    SignedDigest,
    parse_digest_key,
)
from schemas.errors import UnreadableContent
from schemas.objects import ObjectRef
from schemas.storage import Fetched
from schemas.times import parse_iso_us
from transforms.inflate import inflate
from transforms.unicode_text import encodable

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_HASH = "SHA-256"
_LATEST_US = parse_iso_us("9998-12-31T23:59:59Z")  # so that what lies some days around it can be told too
_LONGEST_KEY = 1024  # S3's own limit, in bytes
_FAULTS = {
    Reason.SECOND_MEMBER: DigestFault.SECOND_MEMBER,
    Reason.TRAILING_BYTES: DigestFault.SECOND_MEMBER,
    Reason.FORBIDDEN: DigestFault.FORBIDDEN,
    Reason.VANISHED: DigestFault.UNREAD,
    Reason.READ_FAILED: DigestFault.UNREAD,
}


class _Log(msgspec.Struct, rename="camel"):
    s3_bucket: str
    s3_object: str
    hash_value: str
    hash_algorithm: str
    newest_event_time: str | None = None
    oldest_event_time: str | None = None


class _Body(msgspec.Struct, rename="camel"):
    digest_start_time: str
    digest_end_time: str
    digest_s3_bucket: str = msgspec.field(name="digestS3Bucket")
    digest_s3_object: str = msgspec.field(name="digestS3Object")
    digest_public_key_fingerprint: str
    digest_signature_algorithm: str
    log_files: list[_Log]
    previous_bucket: str | None = msgspec.field(name="previousDigestS3Bucket", default=None)
    previous_object: str | None = msgspec.field(name="previousDigestS3Object", default=None)
    previous_digest_hash_value: str | None = None
    previous_digest_hash_algorithm: str | None = None
    previous_digest_signature: str | None = None


class _Refused(Exception):
    """Why this is no digest; never leaves the module."""

    def __init__(self, fault: DigestFault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


_BODY = msgspec.json.Decoder(_Body)


def read_digest(ref: ObjectRef, fetched: Fetched, max_bytes: int) -> Digest:
    """Inflate and decode a digest object as it was fetched, with its metadata."""
    try:
        body = inflate(fetched.body, max_bytes)
    except UnreadableContent as error:
        return unread_digest(ref, error.reason, error.detail, fetched.version)
    return decode_digest(ref, body, fetched.metadata, fetched.version)


def unread_digest(ref: ObjectRef, reason: Reason, detail: str, version: str | None = None) -> BrokenDigest:
    """A digest that gave no body: the store refused it, or its bytes are not one gzip member."""
    return _broken(ref, _FAULTS.get(reason, DigestFault.MALFORMED), f"{reason.value}: {detail}", version)


def decode_digest(ref: ObjectRef, body: bytes, metadata: Mapping[str, str], version: str | None) -> Digest:
    """Decode an inflated digest. Unknown fields are AWS's right; a missing or mistyped one makes it malformed."""
    try:
        return _signed(ref, body, metadata, version)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return _broken(ref, DigestFault.MALFORMED, str(error), version)
    except _Refused as error:
        return _broken(ref, error.fault, str(error), version)


def _signed(ref: ObjectRef, body: bytes, metadata: Mapping[str, str], version: str | None) -> SignedDigest:
    said = _BODY.decode(body)
    chain, end_us = _whose(ref)
    if not chain.trail:
        raise _Refused(DigestFault.MALFORMED, "not named as a digest")
    start_us, said_end_us = _time_us(said.digest_start_time), _time_us(said.digest_end_time)
    if start_us > said_end_us:
        raise _Refused(DigestFault.MALFORMED, f"ends before it begins: {said.digest_end_time}")
    return SignedDigest(
        uri=encodable(ref.uri),
        chain=chain,
        start_us=start_us,
        end_us=said_end_us,
        end_text=said.digest_end_time,
        bucket=said.digest_s3_bucket,
        key=_key(said.digest_s3_object),
        body_sha256=hashlib.sha256(body).hexdigest(),
        fingerprint=said.digest_public_key_fingerprint.lower(),
        algorithm=said.digest_signature_algorithm,
        previous=_previous(said),
        signature=metadata.get("signature"),
        signature_algorithm=metadata.get("signature-algorithm"),
        backfill_generated_us=_maybe_us(metadata.get("backfill-generation-timestamp")),
        logs=tuple(_listed(log) for log in said.log_files),
        delivered_us=end_us,
        modified_us=ref.modified_us,
        version=version,
    )


def _broken(ref: ObjectRef, fault: DigestFault, detail: str, version: str | None) -> BrokenDigest:
    chain, end_us = _whose(ref)
    return BrokenDigest(encodable(ref.uri), chain, end_us, fault, encodable(detail), ref.modified_us, version)


def _whose(ref: ObjectRef) -> tuple[Chain, int]:
    """The chain and the end that the object's name tells; an object with an odd name is in a chain of no trail."""
    path, root = encodable(ref.path), encodable(ref.root)
    name = parse_digest_key(path)
    if name is not None:
        return name.chain(root), _tellable(name.end_us)
    nobody = Chain(root, path[: path.rfind("/") + 1], ref.account_id or "", ref.region or "", "", "", backfill=False)
    return nobody, _tellable(ref.delivered_us)


def _tellable(us: int) -> int:
    """A time since 1970 from which one can count; names of forged files may have any."""
    return min(max(us, 0), _LATEST_US)


def _previous(said: _Body) -> Previous | None:
    bucket, key = said.previous_bucket, said.previous_object
    sha256, signature = said.previous_digest_hash_value, said.previous_digest_signature
    if bucket is None and key is None and sha256 is None and signature is None:
        return None
    if bucket is None or key is None or sha256 is None or signature is None:
        raise _Refused(DigestFault.MALFORMED, "names the digest before it in part")
    return Previous(bucket, _key(key), _sha256(sha256, said.previous_digest_hash_algorithm), signature)


def _listed(log: _Log) -> ListedLog:
    oldest_us, newest_us = _maybe_us(log.oldest_event_time), _maybe_us(log.newest_event_time)
    return ListedLog(
        log.s3_bucket, _key(log.s3_object), _sha256(log.hash_value, log.hash_algorithm), oldest_us, newest_us
    )


def _sha256(value: str, algorithm: str | None) -> str:
    if algorithm != _HASH:
        raise _Refused(DigestFault.ALGORITHM, f"hashed by {algorithm!r:.40}")
    if not _SHA256.fullmatch(value):
        raise _Refused(DigestFault.MALFORMED, f"no SHA-256 in hex: {value!r:.80}")
    return value.lower()


def _key(key: str) -> str:
    if not 0 < len(key.encode()) <= _LONGEST_KEY:
        raise _Refused(DigestFault.MALFORMED, f"no object key: {key!r:.80}")
    return key


def _time_us(text: str) -> int:
    try:
        us = parse_iso_us(text)
    except ValueError:
        raise _Refused(DigestFault.MALFORMED, f"not a time: {text!r:.80}") from None
    if us != _tellable(us):
        raise _Refused(DigestFault.MALFORMED, f"not a time of CloudTrail's: {text!r:.80}")
    return us


def _maybe_us(text: str | None) -> int | None:
    """A time that no verdict rests on."""
    try:
        return None if text is None else parse_iso_us(text)
    except ValueError:
        return None
