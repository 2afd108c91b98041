"""What AWS's validator does not see, as buckets: some simulated, some that only CloudTrail's own key could make."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tampered_buckets import REGION, Content, World, content_of, previous_of, resigned, signed, simulated

from schemas.times import MINUTE_US, format_us, parse_iso_us
from transforms.simulation.scenario import TRAIL
from transforms.simulation.signing import signing_key

_MIDDLE = 3  # of six digests


class BlindSpot(NamedTuple):
    """A bucket, and what is wrong in it: with the digest of that number (from 0), or with a log.

    `number` is the place among the ten of the validator's blind spots; `what` says what was done to the bucket.
    """

    number: int
    what: str
    world: Callable[[], World]
    fault: str
    digest: int | None


def _previous_replaced() -> World:
    """The digest in the middle is another one, that CloudTrail signed too; the next one still names the old one."""
    world = simulated()
    digest = world.digests[_MIDDLE]
    content = content_of(digest)
    return world.with_objects(signed(world, {**content, "logFiles": content["logFiles"][:-1]}, digest.delivered_us))


def _previous_signed_otherwise() -> World:
    """A digest names the right one before it, by its hash, but with another signature."""

    def edit(number: int, content: Content) -> Content:
        signature = content["previousDigestSignature"]
        return {**content, "previousDigestSignature": signature[::-1]} if number == _MIDDLE + 1 else content

    return resigned(simulated(), edit)


def _begins_later(minutes: int) -> World:
    """A digest covers less than there is between its end and that of the one before, or more."""

    def edit(number: int, content: Content) -> Content:
        if number != _MIDDLE:
            return content
        start_us = parse_iso_us(content["digestStartTime"]) + minutes * MINUTE_US
        return {**content, "digestStartTime": format_us(start_us)}

    return resigned(simulated(), edit)


def _listed_twice() -> World:
    """A log object is in its own digest, and in the one before too."""
    world = simulated()
    again = content_of(world.digests[_MIDDLE])["logFiles"][0]

    def edit(number: int, content: Content) -> Content:
        return {**content, "logFiles": [*content["logFiles"], again]} if number == _MIDDLE - 1 else content

    return resigned(world, edit)


def _signed_by_sha1() -> World:
    """The newest digest's signature is one of its SHA-1, under the right key."""
    world = simulated()
    digest = world.digests[-1]
    key = signing_key(world.scenario, REGION, digest.delivered_us)
    text = _signed_text(digest.path, content_of(digest), gzip.decompress(digest.body))
    signature = key.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA1()).hex()  # noqa: S303 - the attack
    return world.with_objects(msgspec.structs.replace(digest, metadata={**digest.metadata, "signature": signature}))


def _signed_text(path: str, content: Content, body: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(body)
    place = f"{content['digestS3Bucket']}/{path}"
    return f"{content['digestEndTime']}\n{place}\n{digest.finalize().hex()}\n{content['previousDigestSignature']}"


def _other_algorithm() -> World:
    """The newest digest says that it is signed by other means."""
    last = len(simulated().digests) - 1

    def edit(number: int, content: Content) -> Content:
        return {**content, "digestSignatureAlgorithm": "MD5withRSA"} if number == last else content

    return resigned(simulated(), edit)


def _names_collide() -> World:
    """A second trail is called as the first one and its region; of the first one a digest is edited."""
    world, chain = simulated("digest-edited"), []
    for digest in simulated().digests:
        content = {**content_of(digest), **(previous_of(chain[-1]) if chain else {}), "logFiles": []}
        content["digestS3Object"] = digest.path.replace(f"_{TRAIL}_", f"_{TRAIL}_{REGION}_")
        chain.append(signed(world, content, digest.delivered_us))
    return world.with_objects(*chain)


def _log_forbidden() -> World:
    """A log object may not be read."""
    world = simulated()
    return world._replace(forbidden=frozenset([content_of(world.digests[_MIDDLE])["logFiles"][0]["s3Object"]]))


def _digest_forbidden() -> World:
    """A digest may not be read."""
    world = simulated()
    return world._replace(forbidden=frozenset([world.digests[_MIDDLE].path]))


def _no_log_files() -> World:
    """CloudTrail signed a digest without a list of logs."""
    world = simulated()

    def edit(number: int, content: Content) -> Content:
        return {key: value for key, value in content.items() if key != "logFiles" or number != _MIDDLE}

    return resigned(world, edit)


def with_other_encoding() -> World:
    """The key of the victim's chain is published as SubjectPublicKeyInfo, and so has another fingerprint."""
    world = simulated()
    key = signing_key(world.scenario, REGION, world.newest_us)
    spki = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    der = key.private.public_key().public_bytes(*spki)
    fingerprint = hashlib.md5(der, usedforsecurity=False).hexdigest()
    published = next(each for each in world.keys if each.der == key.der)
    sha256 = hashlib.sha256(der).hexdigest()
    other = msgspec.structs.replace(published, der=der, fingerprint=fingerprint, sha256=sha256)
    changed = resigned(world, lambda _, content: {**content, "digestPublicKeyFingerprint": fingerprint})
    return changed._replace(keys=(*world.keys, other))


BLIND_SPOTS = (
    BlindSpot(
        1, "a second gzip member in a digest", lambda: simulated("digest-appended"), "second_gzip_member", _MIDDLE
    ),
    BlindSpot(2, "the newest digest deleted", lambda: simulated("digest-newest-deleted"), "missing", 5),
    BlindSpot(
        4, "the chain begins anew, an hour is in no digest", lambda: simulated("digest-restarted"), "restarted", 4
    ),
    BlindSpot(5, "a digest replaced by another signed one", _previous_replaced, "previous_hash", _MIDDLE),
    BlindSpot(5, "the signature before is another one", _previous_signed_otherwise, "previous_signature", _MIDDLE),
    BlindSpot(
        5,
        "a digest begins half an hour after the one before it",
        lambda: _begins_later(30),
        "gap",
        _MIDDLE,
    ),
    BlindSpot(
        5,
        "a digest begins half an hour before the one before it ended",
        lambda: _begins_later(-30),
        "overlap",
        _MIDDLE,
    ),
    BlindSpot(5, "a log object in two digests", _listed_twice, "listed_twice", None),
    BlindSpot(6, "a log object in no digest", lambda: simulated("log-planted"), "log_planted", None),
    BlindSpot(7, "signed by way of SHA-1", _signed_by_sha1, "signature_invalid", 5),
    BlindSpot(7, "says that it is signed by way of MD5", _other_algorithm, "algorithm", 5),
    BlindSpot(
        8,
        "a digest edited, beside a trail named like the trail and its region",
        _names_collide,
        "signature_invalid",
        _MIDDLE,
    ),
    BlindSpot(9, "access denied to a log object", _log_forbidden, "log_unread", None),
    BlindSpot(9, "access denied to a digest", _digest_forbidden, "forbidden", _MIDDLE),
    BlindSpot(9, "a digest without `logFiles`", _no_log_files, "malformed", _MIDDLE),
    BlindSpot(10, "a backfill digest deleted", lambda: simulated("digest-backfill-deleted"), "log_planted", None),
)
