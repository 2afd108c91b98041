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

_ALGORITHM = "SHA256withRSA"
_FEWEST_BITS, _MOST_BITS = 2048, 16_384
_KEYS_LOADED = 4096

KeyRing = Mapping[tuple[str, str], PublicKey]
"""Pinned keys by region and fingerprint."""


def key_ring(keys: Iterable[PublicKey]) -> KeyRing:
    """Keys by what a digest calls them; of two with one fingerprint the smaller hash, whichever came first.

    Whoever pins keys refuses a second one of a fingerprint: see `schemas.public_keys`.
    """
    ordered = sorted(keys, key=lambda key: key.sha256, reverse=True)
    return {(key.region, key.fingerprint.lower()): key for key in ordered}


def signature_fault(digest: SignedDigest, keys: KeyRing) -> DigestFault | None:
    """What is wrong with a digest's signature; None where a key of its region signed exactly this digest."""
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
    return None


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
