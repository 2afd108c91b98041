"""Digests: each hour's list of the log objects that a place delivered, chained by hash and signed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from schemas.times import HOUR_US, format_us
from transforms.simulation.objects import SimulatedObject, folder, gzip_bytes, stamp
from transforms.simulation.scenario import BUCKET, TRAIL, Scenario
from transforms.simulation.signing import SigningKey, signing_key

SIGNATURE_ALGORITHM = "SHA256withRSA"
_EVENT_TIME = re.compile(rb'"eventTime":"([^"]{20})"')
_NO_PREVIOUS: Mapping[str, str | None] = {
    "previousDigestS3Bucket": None,
    "previousDigestS3Object": None,
    "previousDigestHashValue": None,
    "previousDigestHashAlgorithm": None,
    "previousDigestSignature": None,
}


def digest_body(content: Mapping[str, object]) -> bytes:
    """A digest's JSON."""
    return json.dumps(content, separators=(",", ":")).encode()


def signed_digest(
    content: Mapping[str, object], key: SigningKey, delivered_us: int, *, backfill: bool = False
) -> SimulatedObject:
    """The object of a digest, at the place that it gives as its own, with its signature as metadata.

    The signature covers end time, place, SHA-256 of the body and previous signature, as AWS's user guide says under
    "Custom implementations of CloudTrail log file integrity validation".
    """
    body = digest_body(content)
    place = f"{content['digestS3Bucket']}/{content['digestS3Object']}"
    previous = content["previousDigestSignature"] or "null"
    text = f"{content['digestEndTime']}\n{place}\n{hashlib.sha256(body).hexdigest()}\n{previous}"
    metadata = {"signature": key.sign(text), "signature-algorithm": SIGNATURE_ALGORITHM}
    if backfill:
        metadata["backfill-generation-timestamp"] = format_us(delivered_us)
    return SimulatedObject(str(content["digestS3Object"]), gzip_bytes(body), delivered_us, metadata)


class DigestChain:
    """One chain of the organisation trail, of one account and region: the hourly one, or the backfill one."""

    def __init__(self, scenario: Scenario, account: str, region: str, *, backfill: bool = False) -> None:
        self._scenario = scenario
        self._account = account
        self._region = region
        self._backfill = backfill
        self._logs: list[dict[str, str]] = []
        self._start_us: int | None = None
        self._previous = _NO_PREVIOUS

    @property
    def holds_logs(self) -> bool:
        """Whether the next digest will list any."""
        return bool(self._logs)

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

    def restart(self, start_us: int) -> None:
        """Forget what was delivered until now: no digest will list it, and the next one has none before it."""
        self._logs, self._start_us, self._previous = [], start_us, _NO_PREVIOUS

    def close(self, end_us: int, delivered_us: int) -> SimulatedObject:
        """The digest of what was delivered since the last one, also where that is nothing."""
        content = self._content(end_us, self._start_us if self._start_us is not None else end_us - HOUR_US)
        key = signing_key(self._scenario, self._region, end_us)
        digest = signed_digest(content, key, delivered_us, backfill=self._backfill)
        self._logs, self._start_us = [], end_us
        self._previous = {
            "previousDigestS3Bucket": BUCKET,
            "previousDigestS3Object": digest.path,
            "previousDigestHashValue": hashlib.sha256(digest_body(content)).hexdigest(),
            "previousDigestHashAlgorithm": "SHA-256",
            "previousDigestSignature": digest.metadata["signature"],
        }
        return digest

    def _key(self, end_us: int) -> str:
        before = folder(self._scenario.organisation, self._account, "CloudTrail-Digest", self._region, end_us)
        name = f"{self._account}_CloudTrail-Digest_{self._region}_{TRAIL}_{self._scenario.home_region}"
        return f"{before}/{name}_{stamp(end_us)}Z{'_backfill' if self._backfill else ''}.json.gz"

    def _content(self, end_us: int, start_us: int) -> dict[str, object]:
        return {
            "awsAccountId": self._account,
            "digestStartTime": format_us(start_us),
            "digestEndTime": format_us(end_us),
            "digestS3Bucket": BUCKET,
            "digestS3Object": self._key(end_us),
            "digestPublicKeyFingerprint": signing_key(self._scenario, self._region, end_us).fingerprint,
            "digestSignatureAlgorithm": SIGNATURE_ALGORITHM,
            "newestEventTime": max((log["newestEventTime"] for log in self._logs), default=None),
            "oldestEventTime": min((log["oldestEventTime"] for log in self._logs), default=None),
            **self._previous,
            "logFiles": self._logs,
        }
