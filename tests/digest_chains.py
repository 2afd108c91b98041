"""Digest chains for tests, signed with a key made for the session, and the logs that they list."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from schemas.digest_proofs import DigestFinding, LogObject, Patience, Place, Proof
from schemas.digests import Chain, Digest, DigestFault, PublicKey, Tree, digest_path
from schemas.keys import Kind
from schemas.objects import ObjectRef
from schemas.storage import Fetched
from schemas.times import HOUR_US, MINUTE_US, format_us, parse_iso_us
from transforms.digest_decode import read_digest
from transforms.digest_notes import Clock
from transforms.digest_places import Places
from transforms.digest_proof import NOTHING_SETTLED, Trust, prove
from transforms.digest_signature import KeyRing, key_ring

ACCOUNT, REGION, HOME = "111122223333", "eu-west-1", "us-east-1"
BUCKET, ROOT = "security-logs", "s3://security-logs"
START_US = parse_iso_us("2026-11-01T00:04:04Z")
TREE = Tree(ROOT, "AWSLogs/", ACCOUNT, REGION)
CHAIN = Chain(ROOT, "AWSLogs/", ACCOUNT, REGION, "audit", HOME, backfill=False)
MAX_BYTES = 1 << 20


@functools.cache
def _private_key(number: int, bits: int) -> rsa.RSAPrivateKey:
    assert number >= 0
    return rsa.generate_private_key(65_537, bits)


def private_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key of this session; another for each number."""
    return _private_key(number, bits)


def public_key(
    number: int = 0, bits: int = 2048, form: serialization.PublicFormat = serialization.PublicFormat.PKCS1
) -> PublicKey:
    """Its public half, as ListPublicKeys tells it."""
    der = private_key(number, bits).public_key().public_bytes(serialization.Encoding.DER, form)
    fingerprint = hashlib.md5(der, usedforsecurity=False).hexdigest()
    return PublicKey(REGION, fingerprint, hashlib.sha256(der).hexdigest(), der, 0, 2**62)


def keys() -> KeyRing:
    """The pinned keys."""
    return key_ring([public_key()])


def hour_us(hour: float) -> int:
    """Hours after the start."""
    return START_US + int(hour * HOUR_US)


def log_at(hour: float, name: str = "", body: bytes | None = None) -> tuple[str, bytes]:
    """A log's key and body, delivered then."""
    time = format_us(hour_us(hour) // MINUTE_US * MINUTE_US)
    stamp = time[:16].replace("-", "").replace(":", "") + "Z"
    folder = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{time[:10].replace('-', '/')}"
    key = f"{folder}/{ACCOUNT}_CloudTrail_{REGION}_{stamp}_{name or 'x' * 16}.json.gz"
    return key, body if body is not None else key.encode()


def log_object(log: tuple[str, bytes], **changes: Any) -> LogObject:
    """A log as it was read."""
    key, body = log
    stamp = key.rpartition("_")[0].rpartition("_")[2]
    us = parse_iso_us(f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:{stamp[11:13]}:00Z")
    return msgspec.structs.replace(LogObject(f"{ROOT}/{key}", us, hashlib.sha256(body).hexdigest()), **changes)


class Stored(msgspec.Struct, frozen=True):
    """A digest as it lies in the bucket: path, inflated body, metadata."""

    path: str
    body: bytes
    metadata: dict[str, str]

    @property
    def digest(self) -> Digest:
        """It as the job reads it."""
        return self.read()

    @property
    def uri(self) -> str:
        """Its full name."""
        return f"{ROOT}/{self.path}"

    def read(self, data: bytes | None = None, root: str = ROOT, path: str | None = None) -> Digest:
        """It as the job reads it: other bytes, or elsewhere, if asked for."""
        ref = ref_of(path or self.path, root)
        stored = gzip.compress(self.body, 1) if data is None else data
        return read_digest(ref, Fetched(stored, "v1", self.metadata), MAX_BYTES)

    def edited(self, metadata: dict[str, str] | None = None, **members: Any) -> Stored:
        """With other members, and the old signature."""
        body = json.dumps({**json.loads(self.body), **members}).encode()
        return Stored(self.path, body, self.metadata if metadata is None else metadata)

    def signed(self, number: int = 0, algorithm: hashes.HashAlgorithm | None = None) -> Stored:
        """Signed as it is now."""
        said = json.loads(self.body)
        place = f"{said['digestS3Bucket']}/{said['digestS3Object']}"
        digest = hashlib.sha256(self.body).hexdigest()
        text = "\n".join([said["digestEndTime"], place, digest, said["previousDigestSignature"] or "null"])
        signature = private_key(number).sign(text.encode(), padding.PKCS1v15(), algorithm or hashes.SHA256()).hex()
        return Stored(self.path, self.body, self.metadata | {"signature": signature})


def ref_of(path: str, root: str = ROOT) -> ObjectRef:
    """An object to read."""
    return ObjectRef(root, path, 1, "etag", START_US, Kind.DIGEST, ACCOUNT, REGION, START_US)


def stored(
    end: float,
    previous: Stored | None,
    logs: Iterable[tuple[str, bytes]] = (),
    *,
    start: float | None = None,
    chain: Chain = CHAIN,
    **members: Any,
) -> Stored:
    """A digest that ends at an hour, signed, after another one."""
    path = digest_path(chain, hour_us(end))
    before = json.loads(previous.body) if previous else {}
    body = {
        "awsAccountId": ACCOUNT,
        "digestStartTime": format_us(hour_us(end - 1 if start is None else start)),
        "digestEndTime": format_us(hour_us(end)),
        "digestS3Bucket": BUCKET,
        "digestS3Object": path,
        "digestPublicKeyFingerprint": public_key().fingerprint,
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": None,
        "oldestEventTime": None,
        "previousDigestS3Bucket": before.get("digestS3Bucket"),
        "previousDigestS3Object": before.get("digestS3Object"),
        "previousDigestHashValue": hashlib.sha256(previous.body).hexdigest() if previous else None,
        "previousDigestHashAlgorithm": "SHA-256" if previous else None,
        "previousDigestSignature": previous.metadata["signature"] if previous else None,
        "logFiles": [
            {
                "s3Bucket": BUCKET,
                "s3Object": key,
                "hashValue": hashlib.sha256(content).hexdigest(),
                "hashAlgorithm": "SHA-256",
                "newestEventTime": None,
                "oldestEventTime": None,
            }
            for key, content in logs
        ],
        **members,
    }
    return Stored(path, json.dumps(body).encode(), {"signature-algorithm": "SHA256withRSA"}).signed()


def run_of(hours: int, logs: Sequence[tuple[str, bytes]] = (), *, chain: Chain = CHAIN, first: int = 1) -> list[Stored]:
    """An unbroken run of hourly digests from the start on, each listing the logs of its hour."""
    chained: list[Stored] = []
    for end in range(first, first + hours):
        inside = [log for log in logs if hour_us(end - 1) <= log_object(log).delivered_us < hour_us(end)]
        chained.append(stored(end, chained[-1] if chained else None, inside, chain=chain))
    return chained


def proof_of(
    digests: Iterable[Digest],
    objects: Iterable[LogObject] = (),
    *,
    as_of: float,
    places: Iterable[Place] = (Place(ROOT),),
    ring: KeyRing | None = None,
    patience: Patience = Patience(),  # noqa: B008 - frozen
    since: float | None = None,
    tree: Tree = TREE,
) -> Proof:
    """What follows from these."""
    trust = Trust(keys() if ring is None else ring, Places(places))
    clock = Clock(hour_us(as_of), patience, None if since is None else hour_us(since))
    return prove(tree, digests, objects, trust, clock, NOTHING_SETTLED)


def faults(proof: Proof) -> list[tuple[DigestFault, str]]:
    """What was found, and in which file."""
    return [(finding.fault, finding.uri) for finding in proof.findings]


def found(proof: Proof) -> list[DigestFault]:
    """What was found."""
    return [finding.fault for finding in proof.findings]


def only(proof: Proof) -> DigestFinding:
    """The one finding."""
    (finding,) = proof.findings
    return finding
