"""The simulated digests: chained, signed with keys that their regions publish, and the same every time."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from pipeline.local_storage import LocalStorage
from pipeline.public_keys import handed_keys
from pipeline.simulate import write_simulation
from schemas.times import DAY_US, HOUR_US, MINUTE_US, format_us, parse_iso_us
from transforms.simulation import Scenario, SimulatedObject, simulate
from transforms.simulation.signing import attackers_key, published_keys, signing_key

START_US = parse_iso_us("2026-11-01T00:00:00Z")
SCENARIO = Scenario(
    seed=1, start_us=START_US, hours=4, accounts=2, regions=("us-east-1", "eu-west-1"), rate=100, attacks=()
)


@pytest.fixture(scope="module")
def digests() -> list[SimulatedObject]:
    """The digests of the scenario, in delivery order."""
    return [each for each in simulate(SCENARIO) if each.metadata]


def content_of(digest: SimulatedObject) -> dict[str, Any]:
    """What a digest says."""
    content: dict[str, Any] = json.loads(gzip.decompress(digest.body))
    return content


def chains(digests: list[SimulatedObject]) -> list[list[SimulatedObject]]:
    """The digests of each account and region."""
    key = lambda each: each.path.split("/CloudTrail-Digest/")[0] + each.path.split("/")[4]  # noqa: E731
    return [list(group) for _, group in itertools.groupby(sorted(digests, key=key), key)]


def test_digests_are_signed_with_a_published_key(digests: list[SimulatedObject]) -> None:
    """Each signature is right under the key of its region that the digest names, over what AWS documents."""
    keys = {(key.region, key.fingerprint): key for key in published_keys(SCENARIO)}
    for digest in digests:
        content = content_of(digest)
        key = keys[digest.path.split("/")[4], content["digestPublicKeyFingerprint"]]
        assert hashlib.md5(key.der).hexdigest() == key.fingerprint  # noqa: S324 - as CloudTrail has it
        assert key.valid_from_us <= digest.delivered_us < key.valid_until_us
        lines = [content["digestEndTime"], f"security-logs/{digest.path}"]
        lines += [
            hashlib.sha256(gzip.decompress(digest.body)).hexdigest(),
            content["previousDigestSignature"] or "null",
        ]
        public = load_der_public_key(key.der)
        assert isinstance(public, rsa.RSAPublicKey)
        signature = bytes.fromhex(digest.metadata["signature"])
        public.verify(signature, "\n".join(lines).encode(), padding.PKCS1v15(), hashes.SHA256())
        with pytest.raises(InvalidSignature):
            public.verify(signature, "\n".join(lines[:3]).encode(), padding.PKCS1v15(), hashes.SHA256())


def test_digests_are_chained(digests: list[SimulatedObject]) -> None:
    """Each names the one before it in place, hash and signature, and begins where that one ended."""
    assert len(chains(digests)) == 3 * 2
    for chain in chains(digests):
        assert len(chain) == 4
        assert content_of(chain[0])["previousDigestSignature"] is None
        for before, after in itertools.pairwise(chain):
            content = content_of(after)
            assert content["digestStartTime"] == content_of(before)["digestEndTime"]
            assert content["previousDigestS3Object"] == before.path
            assert content["previousDigestSignature"] == before.metadata["signature"]
            assert content["previousDigestHashValue"] == hashlib.sha256(gzip.decompress(before.body)).hexdigest()


def test_digests_list_every_object_of_their_hour(digests: list[SimulatedObject]) -> None:
    """A digest lists what its place delivered since the one before, with the hash of what that inflates to."""
    delivered = {each.path: each for each in simulate(SCENARIO) if "/o-" in each.path and "/CloudTrail/" in each.path}
    listed = {}
    for digest in digests:
        content = content_of(digest)
        for log in content["logFiles"]:
            body = gzip.decompress(delivered[log["s3Object"]].body)
            assert log["hashValue"] == hashlib.sha256(body).hexdigest()
            assert digest.delivered_us - HOUR_US < delivered[log["s3Object"]].delivered_us <= digest.delivered_us
            listed[log["s3Object"]] = digest
    until_us = START_US + 4 * HOUR_US
    assert set(listed) == {path for path, each in delivered.items() if each.delivered_us <= until_us}


def test_stopped_trail_leaves_a_last_digest() -> None:
    """It lists what was delivered since the hour, up to the object with the event that stopped the trail."""
    stopped = list(simulate(msgspec.structs.replace(SCENARIO, attacks=("stop-logging",))))
    mine = [each for each in stopped if "/o-" in each.path and "/444455556666/" in each.path]
    digests = [each for each in mine if each.metadata and "/us-east-1/" in each.path]
    assert [each.delivered_us - START_US for each in digests] == [HOUR_US, 2 * HOUR_US, 2 * HOUR_US + 30 * MINUTE_US]
    listed = {log["s3Object"] for digest in digests for log in content_of(digest)["logFiles"]}
    assert listed == {each.path for each in mine if "/CloudTrail/us-east-1/" in each.path}


def test_keys_differ_by_region_and_are_renewed() -> None:
    """No two regions share a key, a month later there is another, and the attacker's is none of them."""
    year = msgspec.structs.replace(SCENARIO, hours=100 * 24)
    published = list(published_keys(year))
    assert len({key.fingerprint for key in published}) == len(published)
    assert attackers_key().fingerprint not in {key.fingerprint for key in published}
    for region, days in itertools.product(year.regions, range(0, 100, 7)):
        us = START_US + days * DAY_US
        (valid, *overlapping) = [
            key for key in published if key.region == region and key.valid_from_us <= us < key.valid_until_us
        ]
        assert signing_key(year, region, us).fingerprint in {key.fingerprint for key in (valid, *overlapping)}, (
            format_us(us)
        )


def test_primes_are_primes() -> None:
    """The keys are RSA keys: of the primes that they are made of each passes Fermat's test."""
    keys = [attackers_key(), *(signing_key(SCENARIO, "us-east-1", days * DAY_US) for days in range(0, 29 * 66, 29))]
    numbers = [key.private.private_numbers() for key in keys]
    primes = {each.p for each in numbers} | {each.q for each in numbers}
    assert len(primes) == 12
    assert all(pow(base, prime - 1, prime) == 1 for prime in primes for base in (2, 3, 5))
    assert {key.private.key_size for key in keys} == {2048}


def test_signatures_and_keys_are_written_beside(tmp_path: Path) -> None:
    """In a folder a digest is read back with its metadata, and the folder hands over the keys that signed it."""
    storage = LocalStorage(str(tmp_path))
    write_simulation(storage, msgspec.structs.replace(SCENARIO, hours=1, accounts=1), io.StringIO())
    digests = [each.path for each in storage.list() if "_CloudTrail-Digest_" in each.path]
    assert len(digests) == 2 * 2
    for path in digests:
        assert set(storage.read(path).metadata) == {"signature", "signature-algorithm"}
    assert set(handed_keys(storage)) == set(published_keys(SCENARIO))
