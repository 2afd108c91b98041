"""Places: where a digest says that things lie, and where they lie for us, be it a bucket or a copy of one."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.digest_proofs import Place
from schemas.digests import DigestFault, SignedDigest, parse_digest_key

_S3 = "s3://"


class _Origin(msgspec.Struct, frozen=True):
    """A bucket, and what the keys of an input begin with there."""

    root: str
    bucket: str
    lead: str


class Places:
    """The inputs, to look bucket and key up in.

    Where an input is a bucket, or it is stated what it is a copy of, both must be exactly that. Of a folder the bucket
    is unknown: a digest's key must end with its path, or its path with its key, and its logs are looked for likewise.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        self._origins = {place.root: origin for place in sorted(set(places), key=_order) if (origin := _origin(place))}

    def fault(self, digest: SignedDigest) -> DigestFault | None:
        """MOVED for a copy whose origin is not stated, SWAPPED for one digest in the place of another; else None.

        Right is only what also ends when its name says.
        """
        path, origin = _path(digest), self._origins.get(digest.chain.root)
        if origin is not None:
            right = (digest.bucket, digest.key) == (origin.bucket, origin.lead + path)
        else:
            right = _ends(path, digest.key) or _ends(digest.key, path)
        if digest.end_us != digest.delivered_us or not (right or _same_name(path, digest.key)):
            return DigestFault.SWAPPED
        return None if right else DigestFault.MOVED

    def uri_of(self, digest: SignedDigest, bucket: str, key: str) -> str | None:
        """Where an object lies that a digest (whose own place is right) names; None for outside of the inputs."""
        root = digest.chain.root
        if root not in self._origins:
            return _beside(digest, bucket, key)
        for origin in (self._origins[root], *self._origins.values()):
            if bucket == origin.bucket and key.startswith(origin.lead):
                return f"{origin.root}/{key.removeprefix(origin.lead)}"
        return None


def _order(place: Place) -> tuple[str, str]:
    return place.root, place.original or ""


def _origin(place: Place) -> _Origin | None:
    uri = place.original or place.root
    if not uri.startswith(_S3):
        return None
    bucket, _, prefix = uri.removeprefix(_S3).rstrip("/").partition("/")
    return _Origin(place.root, bucket, f"{prefix}/" if prefix else "")


def _path(digest: SignedDigest) -> str:
    return digest.uri.removeprefix(digest.chain.root + "/")


def _ends(whole: str, tail: str) -> bool:
    return whole == tail or whole.endswith("/" + tail)


def _same_name(path: str, key: str) -> bool:
    return path.rpartition("/")[2] == key.rpartition("/")[2] and parse_digest_key(key) is not None


def _beside(digest: SignedDigest, bucket: str, key: str) -> str | None:
    """In a folder: with the lead taken off, or put on, that takes the digest's own key to its path."""
    path, root = _path(digest), digest.chain.root
    if bucket != digest.bucket:
        return None
    if _ends(digest.key, path):
        lead = digest.key.removesuffix(path)
        return f"{root}/{key.removeprefix(lead)}" if key.startswith(lead) else None
    return f"{root}/{path.removesuffix(digest.key)}{key}"
