"""A digest's S3 metadata beside a copy of it in a folder: `<name of the digest>.metadata.json`.

CloudTrail keeps a digest's signature in the object's metadata, and a plain copy of the bytes loses it. The sidecar is
that metadata as S3 gives it, one JSON object of strings: `signature`, `signature-algorithm`, for a backfill digest
`backfill-generation-timestamp`; and `version-id`, where the copy knows it. Documented in `docs/digests.md`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

VERSION = "version-id"
"""The member that is no metadata of S3's: the version of the object that was copied."""

_SUFFIX = ".metadata.json"
_DIGEST = "_CloudTrail-Digest_"


def has_sidecar(path: str) -> bool:
    """True for the name of a digest: only digests have sidecars."""
    return path.endswith(".json.gz") and _DIGEST in path


def sidecar_of(path: str) -> str:
    """Where the sidecar of a digest lies."""
    return path + _SUFFIX


def is_sidecar(path: str) -> bool:
    """True for the name of a digest's sidecar: no object of CloudTrail's, and none that is foreign."""
    return path.endswith(_SUFFIX) and has_sidecar(path.removesuffix(_SUFFIX))


def encode_sidecar(metadata: Mapping[str, str]) -> bytes:
    """The sidecar of this metadata; equal metadata gives equal bytes."""
    return msgspec.json.format(msgspec.json.encode(dict(sorted(metadata.items()))), indent=2) + b"\n"


def decode_sidecar(body: bytes) -> dict[str, str]:
    """The metadata of a sidecar; none at all for bytes that are none, so that the digest counts as unsigned."""
    try:
        return msgspec.json.decode(body, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
