"""Signatures of digests, and the keys that they are checked with."""

from __future__ import annotations

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from digest_worlds import CHAIN, hour_us, keys, public_key, stored

from schemas.digests import DigestFault, PublicKey, SignedDigest
from schemas.times import DAY_US, HOUR_US
from transforms.digest_signature import key_ring, signature_fault

FIRST = stored(1, None)
NEXT = stored(2, FIRST)


def fault(digest: SignedDigest, *ring: PublicKey) -> DigestFault | None:
    """The verdict under these keys, or the pinned one."""
    return signature_fault(digest, key_ring(ring) if ring else keys())


def test_a_signed_digest_is_right() -> None:
    """With a digest before it, and without one."""
    assert fault(FIRST.digest) is None
    assert fault(NEXT.digest) is None


def test_a_key_may_be_of_either_encoding() -> None:
    """AWS has published PKCS#1 and SubjectPublicKeyInfo."""
    spki = public_key(form=serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = stored(1, None, digestPublicKeyFingerprint=spki.fingerprint.upper()).digest
    assert fault(digest, spki) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"end_text": "2026-11-01T02:04:04+00:00"},
        {"bucket": "other"},
        {"key": "AWSLogs/other"},
        {"body_sha256": "00" * 32},
        {"previous": None},
        {"previous": msgspec.structs.replace(NEXT.digest.previous, signature="ab")},
        {"signature": FIRST.metadata["signature"]},
        {"signature": ""},
        {"signature": "not hex"},
        {"signature": "ab" * 100_000},
        {"signature": NEXT.metadata["signature"] + "00"},
        {"key": "\ud800"},
    ],
)
def test_everything_that_is_signed_counts(changes: dict[str, object]) -> None:
    """Each part of the signed text, and a signature that is none."""
    assert fault(msgspec.structs.replace(NEXT.digest, **changes)) is DigestFault.SIGNATURE_INVALID


def test_what_is_not_signed_does_not_count() -> None:
    """The hash before is in the body, whose own hash is signed; a version is nobody's claim."""
    assert (
        fault(msgspec.structs.replace(NEXT.digest, version="v2", signature=NEXT.metadata["signature"].upper())) is None
    )


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA512()])  # noqa: S303 - refused
def test_only_sha_256_is_taken(algorithm: hashes.HashAlgorithm) -> None:
    """The right key under another hash signs nothing."""
    assert fault(NEXT.signed(algorithm=algorithm).digest) is DigestFault.SIGNATURE_INVALID


@pytest.mark.parametrize("changes", [{"algorithm": "SHA1withRSA"}, {"signature_algorithm": None}])
def test_a_digest_must_name_its_algorithm(changes: dict[str, object]) -> None:
    """In its body and in its metadata."""
    assert fault(msgspec.structs.replace(NEXT.digest, **changes)) is DigestFault.ALGORITHM


def test_a_copy_without_metadata_cannot_be_checked() -> None:
    """No signature is ours to explain."""
    assert (
        fault(msgspec.structs.replace(NEXT.digest, signature=None, signature_algorithm=None))
        is DigestFault.NO_SIGNATURE
    )


def test_a_key_is_one_regions_own() -> None:
    """No key of that fingerprint, or one of another region: it is not known who signed."""
    assert fault(NEXT.digest, public_key(1)) is DigestFault.KEY_UNKNOWN
    assert fault(NEXT.digest, msgspec.structs.replace(public_key(), region="us-west-2")) is DigestFault.KEY_UNKNOWN


@pytest.mark.parametrize(
    ("valid_us", "verdict"),
    [
        ((0, hour_us(2)), None),
        ((0, hour_us(1)), None),
        ((0, hour_us(1) - 1), DigestFault.KEY_NOT_VALID),
        ((hour_us(2), 2**62), None),
        ((hour_us(2) + DAY_US, 2**62), None),
        ((hour_us(2) + DAY_US + 1, 2**62), DigestFault.KEY_NOT_VALID),
        ((hour_us(3), hour_us(1)), None),
    ],
)
def test_a_key_signs_in_its_time(valid_us: tuple[int, int], verdict: DigestFault | None) -> None:
    """Valid when the digest can have been signed: an hour before its end, or up to a day late; at the edge too."""
    key = msgspec.structs.replace(public_key(), valid_from_us=valid_us[0], valid_until_us=valid_us[1])
    assert fault(NEXT.digest, key) is verdict
    assert fault(msgspec.structs.replace(NEXT.digest, bucket="other"), key) is DigestFault.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("made_us", "backfill", "verdict"),
    [
        (hour_us(50), True, None),
        (hour_us(50), False, DigestFault.KEY_NOT_VALID),
        (hour_us(44) - 1, True, DigestFault.KEY_NOT_VALID),
        (hour_us(56) + 1, True, DigestFault.KEY_NOT_VALID),
        (None, True, DigestFault.KEY_NOT_VALID),
    ],
)
def test_a_backfill_digest_is_signed_when_it_is_made(
    made_us: int | None, *, backfill: bool, verdict: DigestFault | None
) -> None:
    """Long after its hour, as its metadata says, which is nothing in a digest of the other kind."""
    key = msgspec.structs.replace(public_key(), valid_from_us=hour_us(45), valid_until_us=hour_us(55))
    digest = msgspec.structs.replace(
        NEXT.digest, chain=msgspec.structs.replace(CHAIN, backfill=backfill), backfill_generated_us=made_us
    )
    assert fault(digest, key) is verdict


def test_a_backfill_digest_is_not_made_before_its_hour_is_over() -> None:
    """What its metadata says is not signed: an old key does not become valid by it."""
    key = msgspec.structs.replace(public_key(), valid_until_us=hour_us(2) - HOUR_US - 1)
    made_us = hour_us(-5)
    chain = msgspec.structs.replace(CHAIN, backfill=True)
    digest = msgspec.structs.replace(NEXT.digest, chain=chain, backfill_generated_us=made_us)
    assert fault(digest, key) is DigestFault.KEY_NOT_VALID


def test_another_key_of_the_same_fingerprint_signs_nothing() -> None:
    """A fingerprint is only a name."""
    imposter = msgspec.structs.replace(public_key(1), fingerprint=public_key().fingerprint)
    assert fault(NEXT.digest, imposter) is DigestFault.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30\x00",
        b"0" * 300,
        public_key(bits=1024).der,
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "sequence", "zeros", "1024 bits", "elliptic curve"],
)
def test_a_key_that_is_none_is_ours(der: bytes) -> None:
    """Bytes that are no key, a short one, one of another kind."""
    assert fault(NEXT.digest, msgspec.structs.replace(public_key(), der=der)) is DigestFault.KEY_UNUSABLE
