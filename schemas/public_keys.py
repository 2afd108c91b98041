"""Public keys of CloudTrail as files: `keys/<region>/<SHA-256 of the DER>.json`, written once and never replaced."""

from __future__ import annotations

import hashlib
import re

import msgspec

from schemas.digests import PublicKey

FOLDER = "keys/"
_PATH = re.compile(r"(?P<region>[a-z0-9-]+)/(?P<sha256>[0-9a-f]{64})\.json", re.ASCII)


def public_key(region: str, fingerprint: str, der: bytes, valid_from_us: int, valid_until_us: int) -> PublicKey:
    """A key as CloudTrail gives it; what it is pinned by follows from its bytes."""
    return PublicKey(region, fingerprint, hashlib.sha256(der).hexdigest(), der, valid_from_us, valid_until_us)


def key_path(key: PublicKey) -> str:
    """Where its file lies below a folder of keys."""
    return f"{key.region}/{key.sha256}.json"


def is_key_path(path: str) -> bool:
    """True for what is named like the file of a key, below a folder of keys."""
    return _PATH.fullmatch(path) is not None


def encode_key(key: PublicKey) -> bytes:
    """The file: the members of `PublicKey` as JSON, `der` in base64."""
    return msgspec.json.format(msgspec.json.encode(key), indent=2) + b"\n"


def decode_key(path: str, body: bytes) -> PublicKey:
    """The key of a file.

    Raises:
        ValueError: the bytes are no such file, or not that of the key which the path names.
    """
    key = msgspec.json.decode(body, type=PublicKey)
    if hashlib.sha256(key.der).hexdigest() != key.sha256 or key_path(key) != path:
        raise ValueError("its DER is not the key that its name says")
    return key
