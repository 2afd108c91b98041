"""Folders of digests, with their sidecars, and the logs that they list; and a lake that trusts the keys."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable
from pathlib import Path

from digest_worlds import START_US, Stored, hour_us, log_at, log_object, public_key, run_of

from pipeline.local_storage import LocalStorage
from pipeline.public_keys import add_keys
from schemas.digests import parse_digest_key
from schemas.times import MINUTE_US, format_us

LISTED_AFTER_US = 10 * MINUTE_US
"""How long after the end of its hour a digest is delivered."""


def real_log(hour: float, name: str = "DescribeInstances") -> tuple[str, bytes]:
    """A log that can be archived: one record, of a call three minutes before."""
    at_us = hour_us(hour) - 3 * MINUTE_US
    record = {
        "eventVersion": "1.08",
        "eventID": f"00000000-0000-0000-0000-{int(hour * 100):012}",
        "eventTime": format_us(at_us)[:19] + "Z",
        "eventName": name,
        "eventSource": "ec2.amazonaws.com",
        "recipientAccountId": "111122223333",
        "awsRegion": "eu-west-1",
    }
    return log_at(hour, body=json.dumps({"Records": [record]}).encode())


def hours_of(hours: int) -> tuple[list[Stored], list[tuple[str, bytes]]]:
    """An unbroken chain over some hours, with two logs in each."""
    logs = [real_log(hour + part) for hour in range(hours) for part in (0.25, 0.75)]
    return run_of(hours, logs), logs


def put_log(folder: Path, log: tuple[str, bytes]) -> None:
    """Deliver a log."""
    _put(folder / log[0], gzip.compress(log[1], mtime=0), log_object(log).delivered_us)


def put_digest(folder: Path, digest: Stored, *, sidecar: bool = True, late_us: int = LISTED_AFTER_US) -> None:
    """Deliver a digest, perhaps without its metadata."""
    name = parse_digest_key(digest.path)
    at_us = (START_US if name is None else name.end_us) + late_us
    if sidecar:
        _put(folder / f"{digest.path}.metadata.json", json.dumps(digest.metadata).encode(), at_us)
    _put(folder / digest.path, gzip.compress(digest.body, mtime=0), at_us)


def fill(folder: Path, digests: Iterable[Stored], logs: Iterable[tuple[str, bytes]]) -> None:
    """Deliver all of it."""
    for digest in digests:
        put_digest(folder, digest)
    for log in logs:
        put_log(folder, log)


def trusting(lake: LocalStorage) -> LocalStorage:
    """The lake, with the key that digests are signed with."""
    add_keys(lake, (), (public_key(),))
    return lake


def _put(path: Path, body: bytes, at_us: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    os.utime(path, ns=(at_us * 1000, at_us * 1000))
