"""Digests: each hour's list of the log objects that a place delivered, chained by hash. Signatures are made up."""

from __future__ import annotations

import hashlib
import json
import re

from schemas.times import HOUR_US, format_us
from transforms.simulation.objects import SimulatedObject, folder, gzip_bytes, stamp
from transforms.simulation.scenario import BUCKET, TRAIL, Scenario

_EVENT_TIME = re.compile(rb'"eventTime":"([^"]{20})"')


class DigestChain:
    """The organisation trail's digests of one account and region."""

    def __init__(self, scenario: Scenario, account: str, region: str) -> None:
        self._scenario = scenario
        self._account = account
        self._region = region
        self._logs: list[dict[str, str]] = []
        self._previous: dict[str, str | None] = {
            "previousDigestS3Bucket": None,
            "previousDigestS3Object": None,
            "previousDigestHashValue": None,
            "previousDigestHashAlgorithm": None,
            "previousDigestSignature": None,
        }

    def add(self, key: str, body: bytes) -> None:
        """List a log object: its key and its JSON."""
        times = [match[1].decode() for match in _EVENT_TIME.finditer(body)]
        self._logs.append(
            {
                "s3Bucket": BUCKET,
                "s3Object": key,
                "hashValue": hashlib.sha256(body).hexdigest(),
                "hashAlgorithm": "SHA-256",
                "newestEventTime": max(times),
                "oldestEventTime": min(times),
            }
        )

    def close(self, end_us: int) -> SimulatedObject:
        """The digest of the hour that ends at `end_us`, also where nothing was delivered."""
        key = self._key(end_us)
        rng = self._scenario.rng("digest", self._account, self._region, end_us)
        body = json.dumps(self._content(key, end_us), separators=(",", ":")).encode()
        self._logs = []
        self._previous = {
            "previousDigestS3Bucket": BUCKET,
            "previousDigestS3Object": key,
            "previousDigestHashValue": hashlib.sha256(body).hexdigest(),
            "previousDigestHashAlgorithm": "SHA-256",
            "previousDigestSignature": rng.randbytes(256).hex(),
        }
        return SimulatedObject(key, gzip_bytes(body), end_us)

    def _key(self, end_us: int) -> str:
        before = folder(self._scenario.organisation, self._account, "CloudTrail-Digest", self._region, end_us)
        name = f"{self._account}_CloudTrail-Digest_{self._region}_{TRAIL}_{self._scenario.home_region}"
        return f"{before}/{name}_{stamp(end_us)}Z.json.gz"

    def _content(self, key: str, end_us: int) -> dict[str, object]:
        newest = max((log["newestEventTime"] for log in self._logs), default=None)
        oldest = min((log["oldestEventTime"] for log in self._logs), default=None)
        return {
            "awsAccountId": self._account,
            "digestStartTime": format_us(end_us - HOUR_US),
            "digestEndTime": format_us(end_us),
            "digestS3Bucket": BUCKET,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": self._scenario.rng("fingerprint", self._region).randbytes(16).hex(),
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": newest,
            "oldestEventTime": oldest,
            **self._previous,
            "logFiles": self._logs,
        }
