"""Signatures of digests: RSASSA-PKCS1-v1_5 with SHA-256, under a pinned key of the region, and nothing else.

What is signed: the digest's end verbatim, its bucket and key, the SHA-256 of its inflated body in hex, and the
signature of the digest before it in hex (or `null`), a line each. Source: AWS user guide, "Custom implementations of
CloudTrail log file integrity validation".
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from schemas.digests import DigestFault, PublicKey, SignedDigest
from schemas.times import DAY_US, HOUR_US

_ALGORITHM = "SHA256withRSA"
_FEWEST_BITS, _MOST_BITS = 2048, 16_384
_KEYS_LOADED = 4096
_EARLY_US, _LATE_US = HOUR_US, DAY_US
"""How much sooner, and later, than its end a digest may have been signed: real ones came at most 201 minutes late."""

KeyRing = Mapping[tuple[str, str], PublicKey]
"""Pinned keys by region and fingerprint."""


def key_ring(keys: Iterable[PublicKey]) -> KeyRing:
    """Keys by what a digest calls them; of two with one fingerprint the smaller hash, whichever came first.

    Whoever pins keys refuses a second one of a fingerprint: see `schemas.public_keys`.
    """
    ordered = sorted(keys, key=lambda key: key.sha256, reverse=True)
    return {(key.region, key.fingerprint.lower()): key for key in ordered}


def signature_fault(digest: SignedDigest, keys: KeyRing) -> DigestFault | None:
    """What is wrong with a digest's signature; None where a key of its region, valid then, signed exactly this."""
    if digest.signature is None:
        return DigestFault.NO_SIGNATURE
    if digest.algorithm != _ALGORITHM or digest.signature_algorithm != _ALGORITHM:
        return DigestFault.ALGORITHM
    key = keys.get((digest.chain.region, digest.fingerprint))
    if key is None:
        return DigestFault.KEY_UNKNOWN
    loaded = _loaded(key.der)
    if loaded is None:
        return DigestFault.KEY_UNUSABLE
    try:
        signature = bytes.fromhex(digest.signature)
        loaded.verify(signature, _signed_text(digest).encode(), padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature):  # ValueError: not hex, or characters that no text holds
        return DigestFault.SIGNATURE_INVALID
    return None if _was_valid(key, digest) else DigestFault.KEY_NOT_VALID


def _was_valid(key: PublicKey, digest: SignedDigest) -> bool:
    """Whether a key was valid at some time at which CloudTrail can have signed a digest with it.

    That is after its end; of a backfill digest the metadata tells it, to an hour. Keys overlap by a day or so.
    """
    from_us, until_us = digest.end_us - _EARLY_US, digest.end_us + _LATE_US
    if digest.chain.backfill and digest.backfill_generated_us is not None:
        made_us = max(digest.end_us, digest.backfill_generated_us)
        from_us, until_us = made_us - HOUR_US, made_us + HOUR_US
    return from_us <= key.valid_until_us and key.valid_from_us <= until_us


def _signed_text(digest: SignedDigest) -> str:
    before = digest.previous.signature if digest.previous else "null"
    return f"{digest.end_text}\n{digest.bucket}/{digest.key}\n{digest.body_sha256}\n{before}"


@functools.lru_cache(_KEYS_LOADED)
def _loaded(der: bytes) -> rsa.RSAPublicKey | None:
    """The key, from PKCS#1 or SubjectPublicKeyInfo: AWS has published both."""
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) and _FEWEST_BITS <= key.key_size <= _MOST_BITS else None
