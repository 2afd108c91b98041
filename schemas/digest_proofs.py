"""What follows from a tree's digests and logs: findings, what is proved of which time, and what will not change."""

from __future__ import annotations

import enum

import msgspec

from schemas.dead_letters import Reason
from schemas.digests import Chain, DigestFault
from schemas.times import DAY_US, HOUR_US


class Place(msgspec.Struct, frozen=True):
    """An input (`s3://bucket[/prefix]` or a folder), and where what it holds was copied from, if it is a copy."""

    root: str
    original: str | None = None


class LogObject(msgspec.Struct, frozen=True):
    """A log object as it was read: the hash of its inflated body, or why there is none.

    Of an object that was overwritten there may be several. `delivered_us` is the minute in its key.
    """

    uri: str
    delivered_us: int
    body_sha256: str | None
    reason: Reason | None = None


class Patience(msgspec.Struct, frozen=True):
    """How long is waited: for a digest after its end, before what is right is settled, and before a fault is."""

    grace_us: int = 4 * HOUR_US  # of 1,804 real hourly digests 28 came more than an hour late, at most 201 minutes
    settle_us: int = DAY_US
    give_up_us: int = 30 * DAY_US  # CloudTrail tries to deliver for 30 days


class Sight(enum.Enum):
    """What is known of an interval of delivery time."""

    PROVED = "proved"  # what was delivered is what was read
    UNPROVED = "unproved"
    LOST = "lost"  # something was taken away or altered


class DigestFinding(msgspec.Struct, frozen=True):
    """One fault: about which object, of which interval, and since when it counts (`deadline_us`).

    `chain` is None for a planted log, which is in no chain. `digests` counts the hourly digests that are not there.
    `certain` is False while a late delivery would still be nothing unusual. What is `final` is told this once.
    """

    start_us: int
    end_us: int
    uri: str
    fault: DigestFault
    chain: Chain | None
    detail: str
    digests: int
    deadline_us: int
    certain: bool
    final: bool


class SightSpan(msgspec.Struct, frozen=True):
    """What is known of one interval of one chain, and if it is not proved, why not. What is `final` is told once."""

    chain: Chain
    start_us: int
    end_us: int
    sight: Sight
    cause: DigestFault | None
    final: bool


class SettledChain(msgspec.Struct, frozen=True):
    """The last digest of a chain of which nothing changes any more, and what the chain covers up to there.

    `covered` are ascending spans, without holes between the digests of each; the last one ends with this digest.
    `began_us` is when the chain began, where its first digest is known.
    """

    chain: Chain
    start_us: int
    end_us: int
    uri: str
    body_sha256: str
    signature: str
    covered: tuple[tuple[int, int], ...]
    began_us: int | None


class Settled(msgspec.Struct, frozen=True):
    """All that later calls need of what is settled in a tree.

    Logs with a name up to `objects_us` are accounted for; `listed` are names of later ones that settled digests list.
    """

    objects_us: int | None = None
    chains: tuple[SettledChain, ...] = ()
    listed: tuple[str, ...] = ()


class Proof(msgspec.Struct, frozen=True):
    """The verdict on a tree: findings and spans in order of time, and the state that the next call goes on from."""

    findings: tuple[DigestFinding, ...]
    spans: tuple[SightSpan, ...]
    settled: Settled
