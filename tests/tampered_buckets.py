"""Buckets with digest chains, simulated and changed by hand, and what `transforms.digest_proof` finds in them."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from digest_peer import Walk

from schemas.dead_letters import Reason
from schemas.digest_proofs import DigestFinding, LogObject, Patience, Place, Proof
from schemas.digests import Digest, PublicKey, Tree, log_tree
from schemas.errors import UnreadableContent
from schemas.keys import Kind, parse_key
from schemas.objects import ObjectRef
from schemas.storage import Fetched
from schemas.times import HOUR_US, MINUTE_US, format_us, parse_iso_us
from transforms.digest_decode import read_digest, unread_digest
from transforms.digest_notes import Clock
from transforms.digest_places import Places
from transforms.digest_proof import Trust, prove
from transforms.digest_signature import key_ring
from transforms.inflate import inflate
from transforms.simulation import Scenario, SimulatedObject, simulate
from transforms.simulation.digests import signed_digest
from transforms.simulation.scenario import BUCKET, INTERVAL_US, TRAIL
from transforms.simulation.signing import published_keys, signing_key

ROOT = f"s3://{BUCKET}"
START_US = parse_iso_us("2026-11-01T00:00:00Z")
PEACE = Scenario(
    seed=1, start_us=START_US, hours=6, accounts=1, regions=("us-east-1", "eu-west-1"), rate=60, attacks=()
)
VICTIM, REGION = "111122223333", "us-east-1"
_MOST_BYTES = 1 << 26
_OVERDUE_US = Patience().grace_us + 30 * MINUTE_US

Content = dict[str, Any]
Found = frozenset[tuple[str, str]]
"""Faults with the keys that they are about."""


class World(NamedTuple):
    """A bucket by key, the keys that its digests can be signed with, and the objects that may not be read."""

    scenario: Scenario
    objects: Mapping[str, SimulatedObject]
    keys: tuple[PublicKey, ...]
    forbidden: frozenset[str] = frozenset()

    def with_objects(self, *changed: SimulatedObject, without: tuple[str, ...] = ()) -> World:
        """The same with other objects."""
        objects = {**self.objects, **{each.path: each for each in changed}}
        return self._replace(objects={key: each for key, each in objects.items() if key not in without})

    @property
    def digests(self) -> list[SimulatedObject]:
        """The victim's hourly digests in the trail's region, in order of time."""
        name = f"{VICTIM}_CloudTrail-Digest_{REGION}_{TRAIL}_{REGION}_2"
        return [self.objects[key] for key in sorted(self.objects) if name in key and "_backfill" not in key]

    @property
    def newest_us(self) -> int:
        """When the last digest of a trail that goes on ends."""
        return (self.scenario.intervals.stop + 1) * INTERVAL_US // HOUR_US * HOUR_US

    def walks(self) -> Iterator[Walk]:
        """Every chain of the organisation's trail, as the peer is asked for it."""
        scenario, until_us = self.scenario, self.scenario.start_us + int(self.scenario.hours + 1) * HOUR_US
        times = format_us(scenario.start_us), format_us(until_us)
        for account in scenario.delivering:
            for region in scenario.regions:
                yield Walk(TRAIL, account, region, scenario.home_region, scenario.organisation, *times)


@functools.cache
def simulated(*attacks: str, hours: float = PEACE.hours) -> World:
    """A simulated bucket; what is late has come where `hours` are long enough."""
    scenario = msgspec.structs.replace(PEACE, attacks=attacks, hours=hours)
    return World(scenario, {each.path: each for each in simulate(scenario)}, tuple(published_keys(scenario)))


def content_of(digest: SimulatedObject) -> Content:
    """What a digest says."""
    content: Content = json.loads(gzip.decompress(digest.body))
    return content


def previous_of(digest: SimulatedObject) -> Mapping[str, str]:
    """What the next digest says of this one."""
    content = content_of(digest)
    return {
        "previousDigestS3Bucket": content["digestS3Bucket"],
        "previousDigestS3Object": content["digestS3Object"],
        "previousDigestHashValue": hashlib.sha256(gzip.decompress(digest.body)).hexdigest(),
        "previousDigestHashAlgorithm": "SHA-256",
        "previousDigestSignature": digest.metadata["signature"],
    }


def signed(world: World, content: Content, delivered_us: int) -> SimulatedObject:
    """A digest that CloudTrail itself signed."""
    return signed_digest(content, signing_key(world.scenario, REGION, delivered_us), delivered_us)


def resigned(world: World, edit: Callable[[int, Content], Content]) -> World:
    """The victim's chain as if CloudTrail itself had written other contents: links and signatures fit."""
    chain: list[SimulatedObject] = []
    for number, digest in enumerate(world.digests):
        content = {**content_of(digest), **(previous_of(chain[-1]) if chain else {})}
        chain.append(signed(world, edit(number, content), digest.delivered_us))
    return world.with_objects(*chain)


def findings(world: World) -> list[DigestFinding]:
    """All that we find once a digest of the last hour is overdue, and the one after it is not."""
    return [finding for proof in proofs(world).values() for finding in proof.findings]


def unproved(world: World) -> list[Tree]:
    """Where there are logs and not one digest."""
    return [tree for tree, proof in proofs(world).items() if not proof.spans]


def proofs(world: World) -> Mapping[Tree, Proof]:
    """What is proved of each account and region."""
    digests, logs = _read(world)
    trust = Trust(key_ring(world.keys), Places([Place(ROOT)]))
    clock = Clock(world.newest_us + _OVERDUE_US, Patience())
    trees = sorted({each.chain.tree for each in digests} | set(logs))
    return {tree: prove(tree, digests, logs.get(tree, []), trust, clock) for tree in trees}


def found(world: World) -> Found:
    """The faults that we find, and where."""
    return frozenset((each.fault.value, each.uri.removeprefix(f"{ROOT}/")) for each in findings(world))


def _read(world: World) -> tuple[list[Digest], Mapping[Tree, list[LogObject]]]:
    digests: list[Digest] = []
    logs: dict[Tree, list[LogObject]] = {}
    for key, each in world.objects.items():
        tree, ref = log_tree(ROOT, key), _ref(each)
        if ref.kind is Kind.DIGEST and key in world.forbidden:
            digests.append(unread_digest(ref, Reason.FORBIDDEN, "AccessDenied"))
        elif ref.kind is Kind.DIGEST:
            digests.append(read_digest(ref, Fetched(each.body, None, each.metadata), _MOST_BYTES))
        elif tree is not None:
            logs.setdefault(tree, []).append(_log(each, forbidden=key in world.forbidden))
    return digests, logs


def _ref(each: SimulatedObject) -> ObjectRef:
    facts = parse_key(each.path)
    times = each.delivered_us, facts.kind, facts.account_id, facts.region, facts.delivered_us or each.delivered_us
    return ObjectRef(ROOT, each.path, len(each.body), "etag", *times)


def _log(each: SimulatedObject, *, forbidden: bool) -> LogObject:
    uri, delivered_us = f"{ROOT}/{each.path}", parse_key(each.path).delivered_us or each.delivered_us
    if forbidden:
        return LogObject(uri, delivered_us, None, Reason.FORBIDDEN)
    try:
        return LogObject(uri, delivered_us, hashlib.sha256(inflate(each.body, _MOST_BYTES)).hexdigest())
    except UnreadableContent as error:
        return LogObject(uri, delivered_us, None, error.reason)
