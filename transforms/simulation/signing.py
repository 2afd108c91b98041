"""Signing: the RSA keys with which a simulated CloudTrail signs its digests. Anybody can compute them.

A key is two of twelve primes, so that none has to be searched for: they are for tests, and protect nothing.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import random
from collections.abc import Iterator

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from schemas.digests import PublicKey
from schemas.times import DAY_US
from transforms.simulation.scenario import INTERVAL_US, Scenario

_PRIME_BITS = 1024
_EXPONENT = 65_537
_AFTER = (165, 580, 386, 402, 724, 807, 146, 160, 119, 59, 1099, 495)
"""How far after its random number each prime lies: it is the next one."""
_PAIRS = tuple(itertools.combinations(range(len(_AFTER)), 2))
_IN_USE = 61  # a prime, so that no region has the same key again within years, however many regions there are
_VALID_US = 30 * DAY_US  # as AWS's: thirty days, and the next key begins before they end
_RENEWED_US = 29 * DAY_US
OUTDATED_US = 2 * _RENEWED_US
"""How long ago a key was in use that is no longer valid."""

_LATEST_US = DAY_US  # a digest can come this long after the end of a scenario


class SigningKey(msgspec.Struct, frozen=True):
    """A private key and its public one: `der` is PKCS#1, the fingerprint its hex MD5, as CloudTrail's are."""

    private: rsa.RSAPrivateKey
    der: bytes

    @property
    def fingerprint(self) -> str:
        """What a digest calls its key."""
        return hashlib.md5(self.der, usedforsecurity=False).hexdigest()

    def sign(self, text: str) -> str:
        """The hex RSASSA-PKCS1-v1_5 signature, with SHA-256, of a text: the same one every time."""
        return self.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()).hex()


def signing_key(scenario: Scenario, region: str, us: int) -> SigningKey:
    """The key that CloudTrail signs with at a time in a region: another in each region, and after 29 days."""
    first = scenario.rng("signing keys").randrange(len(_PAIRS))
    number = first + us // _RENEWED_US * len(scenario.regions) + scenario.regions.index(region)
    return _key(*_PAIRS[number % _IN_USE])


def attackers_key() -> SigningKey:
    """A key that no region publishes."""
    return _key(*_PAIRS[-1])


def published_keys(scenario: Scenario) -> Iterator[PublicKey]:
    """The keys of a scenario's time and of the two months before, as ListPublicKeys of their region tells them."""
    end_us = scenario.intervals.stop * INTERVAL_US + _LATEST_US
    for region in scenario.regions:
        for period in range(max(0, scenario.start_us - OUTDATED_US) // _RENEWED_US, end_us // _RENEWED_US + 1):
            from_us = period * _RENEWED_US
            key = signing_key(scenario, region, from_us)
            sha256 = hashlib.sha256(key.der).hexdigest()
            yield PublicKey(region, key.fingerprint, sha256, key.der, from_us, from_us + _VALID_US)


def _prime(number: int) -> int:
    rng = random.Random(f"simulated prime {number}")  # noqa: S311 - must repeat, guards nothing
    return (rng.getrandbits(_PRIME_BITS) | 3 << (_PRIME_BITS - 2)) + _AFTER[number]


@functools.cache
def _key(one: int, other: int) -> SigningKey:
    p, q = _prime(one), _prime(other)
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    private = rsa.RSAPrivateNumbers(p, q, d, *crt, public).private_key(unsafe_skip_rsa_key_validation=True)
    der = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return SigningKey(private, der)
