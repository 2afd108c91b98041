"""Objects: keys as CloudTrail writes them, and gzip bytes that repeat."""

from __future__ import annotations

import string
import zlib
from collections.abc import Mapping, Sequence

import msgspec

from schemas.times import format_us
from transforms.simulation.scenario import INTERVAL_US, Scenario

RECORDS_PER_OBJECT = 4000
_GZIP_WINDOW = 31  # zlib's 15 bits, and 16 more for a gzip header, whose time it leaves 0
_GZIP_LEVEL = 6
_LETTERS = string.ascii_letters + string.digits


class SimulatedObject(msgspec.Struct, frozen=True):
    """An object: its path below the bucket's root, its bytes, when it was delivered, and its S3 user metadata."""

    path: str
    body: bytes
    delivered_us: int
    metadata: Mapping[str, str] = {}


def gzip_bytes(body: bytes) -> bytes:
    """Compress to gzip without a name and a time: the same bytes from the same zlib."""
    stream = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return stream.compress(body) + stream.flush()


def log_body(records: Sequence[str]) -> bytes:
    """A log object's JSON."""
    return ('{"Records":[' + ",".join(records) + "]}").encode()


def folder(organisation: str | None, account: str, kind: str, region: str, delivered_us: int) -> str:
    """Everything before an object's name; an account's own trail has no organisation in it."""
    level = f"{organisation}/" if organisation else ""
    day = format_us(delivered_us)[:10].replace("-", "/")
    return f"AWSLogs/{level}{account}/{kind}/{region}/{day}"


def stamp(us: int) -> str:
    """A time as names have it: `20261101T0005` and the seconds, which only digests keep."""
    return format_us(us)[:19].replace("-", "").replace(":", "")


class LogNames:
    """Names log objects: the 16 characters at the end mean nothing, but repeat."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._organisation = scenario.organisation

    def key(self, account: str, region: str, mark: int, *, kind: str = "CloudTrail", part: int = 0, own: bool) -> str:
        """The key of an object delivered at `mark`, of the organisation's trail or of the account's own."""
        rng = self._scenario.rng("name", account, region, mark, kind, part, own)
        delivered_us = mark * INTERVAL_US
        unique = "".join(rng.choices(_LETTERS, k=16))
        before = folder(None if own else self._organisation, account, kind, region, delivered_us)
        return f"{before}/{account}_{kind}_{region}_{stamp(delivered_us)[:13]}Z_{unique}.json.gz"
