"""Tampering with logs: one object after the attack is edited, deleted, added to, or joined by another."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections.abc import Callable, Iterable

import msgspec

from transforms.simulation.objects import SimulatedObject, gzip_bytes, log_body
from transforms.simulation.tampering import Scene, Tamper

_ADDRESS = re.compile(rb'"sourceIPAddress":"[^"]*"')
_NOBODY = b'"sourceIPAddress":"203.0.113.66"'
_UNIQUE_CHARS = 16
_Change = Callable[[SimulatedObject], Iterable[SimulatedObject]]


def edit_log(scene: Scene) -> Tamper:
    """Other source addresses than CloudTrail wrote."""
    return _first(scene, lambda log: [_with(log, gzip_bytes(_ADDRESS.sub(_NOBODY, gzip.decompress(log.body))))])


def delete_log(scene: Scene) -> Tamper:
    """Nothing is left of it."""
    return _first(scene, lambda _: [])


def append_to_log(scene: Scene) -> Tamper:
    """A second gzip member: most readers take its JSON for more of the log, and AWS's validator did not look."""
    return _first(scene, lambda log: [_with(log, log.body + gzip_bytes(_planted(scene, log)))])


def plant_log(scene: Scene) -> Tamper:
    """A log object that CloudTrail never wrote lies beside."""

    def plant(log: SimulatedObject) -> Iterable[SimulatedObject]:
        unique = f"{scene.scenario.rng('planted').getrandbits(64):0{_UNIQUE_CHARS}x}"
        before = log.path.removesuffix(".json.gz")[:-_UNIQUE_CHARS]
        yield log
        yield SimulatedObject(f"{before}{unique}.json.gz", gzip_bytes(_planted(scene, log)), log.delivered_us)

    return _first(scene, plant)


def _first(scene: Scene, change: _Change) -> Tamper:
    """Change the first log after the attack, and no other."""
    done = False

    def tamper(delivered: SimulatedObject) -> Iterable[SimulatedObject]:
        nonlocal done
        if done or not scene.log(delivered):
            return [delivered]
        done = True
        return change(delivered)

    return tamper


def _with(log: SimulatedObject, body: bytes) -> SimulatedObject:
    return msgspec.structs.replace(log, body=body)


def _planted(scene: Scene, log: SimulatedObject) -> bytes:
    """The JSON of a harmless read that never happened."""
    record = json.loads(gzip.decompress(log.body))["Records"][0]
    event_id = uuid.UUID(bytes=scene.scenario.rng("planted event").randbytes(16), version=4)
    for name in ("errorCode", "errorMessage", "resources", "additionalEventData"):
        record.pop(name, None)
    record |= {"eventSource": "s3.amazonaws.com", "eventName": "ListBuckets", "readOnly": True}
    record |= {"requestParameters": None, "responseElements": None, "eventID": str(event_id)}
    return log_body([json.dumps(record, separators=(",", ":"))])
