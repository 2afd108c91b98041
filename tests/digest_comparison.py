"""The table in `docs/digests.md` of AWS's validator and us; `python tests/digest_comparison.py` prints it."""

from __future__ import annotations

import re
import sys

from digest_blind_spots import BLIND_SPOTS
from digest_peer import Peer
from tampered_buckets import World, findings, simulated, unproved

from transforms.simulation.file_attacks import FILE_ATTACKS

_REASON = re.compile(r"INVALID: (.+)")
_LONG_HOURS = 20


def comparison(peer: Peer) -> str:
    """A row for each simulated attack on files, and for each blind spot: what the peer says, and what we say."""
    simulations = {
        name: simulated(name, hours=_LONG_HOURS) if "late" in name else simulated(name)
        for name in ("corrupt-objects", *FILE_ATTACKS)
    }
    made = {spot.what: spot.world() for spot in BLIND_SPOTS}
    rows = [(f"`{name}`", world) for name, world in simulations.items()]
    rows += [(what, world) for what, world in made.items() if not any(world is each for each in simulations.values())]
    lines = (f"| {what} | {_of_peer(peer, world)} | {_of_us(world)} |" for what, world in rows)
    return "\n".join(
        ("| what was done | `aws cloudtrail validate-logs` | trailcanary |", "| --- | --- | --- |", *lines)
    )


def _of_peer(peer: Peer, world: World) -> str:
    verdicts = [peer.validate(world.objects, world.keys, walk, world.forbidden) for walk in world.walks()]
    if any(verdict.code == 255 for verdict in verdicts):
        return "ends with exit code 255"
    invalid = sum(len(verdict.faults) for verdict in verdicts)
    reasons = sorted({reason for verdict in verdicts for reason in _REASON.findall(verdict.output)})
    short = [re.sub(r" (in region|for fingerprint) .*", "", reason) for reason in reasons]
    return f"{invalid} × {'; '.join(short)}" if invalid else "nothing"


def _of_us(world: World) -> str:
    """The faults, how often, and how many digests are not there where a finding is about several."""
    said: dict[str, list[int]] = {}
    for finding in findings(world):
        said.setdefault(finding.fault.value, []).append(finding.digests)
    texts = [
        f"{len(digests)} × {fault}" + (f" ({sum(digests)} digests)" if sum(digests) > len(digests) else "")
        for fault, digests in sorted(said.items())
    ]
    if unseen := [tree for tree in unproved(world) if tree.logs != "AWSLogs/"]:
        texts.append(f"{len(unseen)} × no digests: nothing is proved")
    return ", ".join(texts) or "nothing"


if __name__ == "__main__":
    sys.stdout.write(comparison(Peer()) + "\n")
