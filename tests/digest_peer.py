"""AWS's own validator as a peer: what `aws cloudtrail validate-logs` says of objects in memory."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from schemas.digests import PublicKey
from transforms.simulation.objects import SimulatedObject
from transforms.simulation.scenario import BUCKET

_PROGRAM = Path(__file__).parent / "aws_validator.py"
_FAULT = re.compile(rf"(?:Digest|Log) file\ts3://{BUCKET}/(\S+)\tINVALID: ")


class Walk(NamedTuple):
    """One call of the command: the chain that it is asked to walk, and in which time (ISO 8601)."""

    trail: str
    account_id: str
    region: str
    home_region: str
    organization: str | None
    start: str
    end: str


class PeerVerdict(NamedTuple):
    """Exit code (255: it died), the keys that it called invalid, all it printed, and how many files it found valid."""

    code: int
    faults: frozenset[str]
    output: str
    valid: int


class Peer:
    """The validator, in a process of its own until it is closed."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", str(_PROGRAM)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def validate(
        self,
        objects: Mapping[str, SimulatedObject],
        keys: Sequence[PublicKey],
        walk: Walk,
        forbidden: Collection[str] = (),
    ) -> PeerVerdict:
        """Let it walk a chain; `forbidden` keys answer AccessDenied."""
        job = {
            "walk": walk._asdict(),
            "bucket": BUCKET,
            "objects": {key: _plain(each) for key, each in objects.items() if f"/{walk.account_id}/" in key},
            "keys": [msgspec.to_builtins(key) for key in keys],
            "forbidden": list(forbidden),
        }
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        faults = frozenset(_FAULT.findall(answer["output"]))
        return PeerVerdict(answer["code"], faults, answer["output"], answer["valid"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _plain(each: SimulatedObject) -> Mapping[str, object]:
    return {"body": base64.b64encode(each.body).decode(), "metadata": dict(each.metadata)}
