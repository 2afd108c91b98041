"""CloudTrail's signed digests: their names, their contents, the keys that signed them, and what can be wrong.

    [prefix/]AWSLogs/[o-ORGID/]ACCOUNT/CloudTrail-Digest/REGION/YYYY/MM/DD/
        ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_YYYYMMDDTHHMMSSZ[_backfill].json.gz

Source: AWS CloudTrail user guide, "CloudTrail digest file structure" and "Validating CloudTrail log file integrity".
What follows from a set of digests is in `schemas.digest_proofs`.
"""

from __future__ import annotations

import enum
import re

import msgspec

from schemas.keys import dated_key, is_region
from schemas.times import parse_iso_us

_NAME = re.compile(
    r"(?P<account>\d{12})_CloudTrail-Digest_(?P<region>[^_/]+)_(?P<trail>[^/]+)_(?P<home>[^_/]+)_"
    r"(?P<time>\d{8}T\d{6})Z(?P<backfill>_backfill)?\.json\.gz",
    re.ASCII,
)


class Tree(msgspec.Struct, frozen=True, order=True):
    """Where the logs of one account and region lie: `logs` is the path below `root` up to and with AWSLogs/[o-ORG/]."""

    root: str
    logs: str
    account_id: str
    region: str

    @property
    def logs_uri(self) -> str:
        """What the full name of each of its log objects begins with."""
        return f"{self.root}/{self.logs}{self.account_id}/CloudTrail/{self.region}/"


class Chain(msgspec.Struct, frozen=True, order=True):
    """One chain of digests: those of a trail (name and home region) for one tree; backfill digests are a second one."""

    root: str
    logs: str
    account_id: str
    region: str
    trail: str
    home_region: str
    backfill: bool

    @property
    def tree(self) -> Tree:
        """Whose logs its digests list."""
        return Tree(self.root, self.logs, self.account_id, self.region)


class DigestName(msgspec.Struct, frozen=True):
    """What a digest's key says. The time in a name is when the digest's interval ends."""

    logs: str
    account_id: str
    region: str
    trail: str
    home_region: str
    backfill: bool
    end_us: int

    def chain(self, root: str) -> Chain:
        """The chain that it belongs to, read from `root`."""
        return Chain(root, self.logs, self.account_id, self.region, self.trail, self.home_region, self.backfill)


def parse_digest_key(path: str) -> DigestName | None:
    """Read a digest's key, or its path below an input; None for what is not named as a digest.

    Trail names may hold `_` and even a region, so a name is read from both ends. Of a digest that was copied out of
    its tree, `logs` is the folder that it lies in.
    """
    folder, slash, base = path.rpartition("/")
    name = _NAME.fullmatch(base)
    if name is None or not (is_region(name["region"]) and is_region(name["home"])):
        return None
    time = name["time"]
    try:
        end_us = parse_iso_us(f"{time[:4]}-{time[4:6]}-{time[6:8]}T{time[9:11]}:{time[11:13]}:{time[13:]}+00:00")
    except ValueError:  # digits that are no date
        return None
    dated = dated_key(path)
    logs = dated.logs if dated else folder + slash
    return DigestName(
        logs, name["account"], name["region"], name["trail"], name["home"], name["backfill"] is not None, end_us
    )


class DigestFault(enum.Enum):
    """What is wrong with a digest, a chain or a listed log: a closed list."""

    # A digest's own: nothing that it says counts.
    MALFORMED = "malformed"  # not gzip, not JSON, not of a digest's fields and types, or larger than our limit
    SECOND_MEMBER = "second_gzip_member"  # anything behind the first gzip member
    SIGNATURE_INVALID = "signature_invalid"
    ALGORITHM = "algorithm"  # says that it is signed or hashed by other means than RSASSA-PKCS1-v1_5 and SHA-256
    SWAPPED = "swapped"  # signed, and it is another digest than the one whose place it takes
    # A digest's own, and most likely ours: it cannot be checked.
    FORBIDDEN = "forbidden"
    UNREAD = "unread"  # the store failed
    MOVED = "moved"  # a copy: signed for another bucket or prefix than where it lies
    NO_SIGNATURE = "no_signature"  # a copy without its metadata
    KEY_UNKNOWN = "key_unknown"  # no pinned key of the region has its fingerprint
    KEY_UNUSABLE = "key_unusable"  # the pinned key is no RSA key of 2,048 bits or more
    # Of a chain.
    REMOVED = "removed"  # a later digest names it as the one before, and it is not there
    MISSING = "missing"  # due by the clock, and not there
    PREVIOUS_HASH = "previous_hash"  # the digest that is there is not the one that the next was signed after
    PREVIOUS_SIGNATURE = "previous_signature"  # as above, by its signature
    UNLINKED = "unlinked"  # names another digest as the one before than the one before
    GAP = "gap"  # begins after the one before ended, though it names it
    OVERLAP = "overlap"  # begins before the one before ended
    RESTARTED = "restarted"  # names none before it, though there is one: nobody covers the time between
    ELSEWHERE = "elsewhere"  # names a place outside of the inputs: no fault, and cannot be checked
    # Of a log.
    LOG_MISSING = "log_missing"  # listed, and not there
    LOG_ALTERED = "log_altered"  # listed with another hash
    LOG_UNREADABLE = "log_unreadable"  # listed, and not the one gzip member that CloudTrail wrote
    LOG_UNREAD = "log_unread"  # listed, and we could not read it
    LOG_PLANTED = "log_planted"  # in no digest, though its time is covered
    LISTED_TWICE = "listed_twice"
    # Of nothing: why an interval is not proved yet.
    AWAITED = "awaited"

    @property
    def lost(self) -> bool:
        """True for what somebody did to the files; False for what is ours, CloudTrail's or undecided."""
        return self in _LOST


_LOST = {
    DigestFault.MALFORMED,
    DigestFault.SECOND_MEMBER,
    DigestFault.SIGNATURE_INVALID,
    DigestFault.ALGORITHM,
    DigestFault.SWAPPED,
    DigestFault.REMOVED,
    DigestFault.PREVIOUS_HASH,
    DigestFault.PREVIOUS_SIGNATURE,
    DigestFault.LOG_MISSING,
    DigestFault.LOG_ALTERED,
    DigestFault.LOG_UNREADABLE,
    DigestFault.LOG_PLANTED,
}


class ListedLog(msgspec.Struct, frozen=True):
    """A log object as a digest lists it; `sha256` is the lower-case hex hash of its inflated body."""

    bucket: str
    key: str
    sha256: str
    oldest_us: int | None
    newest_us: int | None


class Previous(msgspec.Struct, frozen=True):
    """The digest before, as a digest names it; `sha256` of its inflated body, and its signature, in lower-case hex."""

    bucket: str
    key: str
    sha256: str
    signature: str


class SignedDigest(msgspec.Struct, frozen=True, tag=True):
    """A digest as read: where it lies, what it says, and its metadata. Nothing about it is verified yet.

    `bucket` and `key` are its own claim; `end_text` is its end verbatim, as it was signed. `previous` is None in the
    first digest after validation or logging began. `signature` is None where no metadata came with it.
    """

    uri: str
    chain: Chain
    start_us: int
    end_us: int
    end_text: str
    bucket: str
    key: str
    body_sha256: str
    fingerprint: str
    algorithm: str
    previous: Previous | None
    signature: str | None
    signature_algorithm: str | None
    backfill_generated_us: int | None
    logs: tuple[ListedLog, ...]
    delivered_us: int
    modified_us: int
    version: str | None


class BrokenDigest(msgspec.Struct, frozen=True, tag=True):
    """A digest that could not be read; `end_us` is what its name says."""

    uri: str
    chain: Chain
    end_us: int
    fault: DigestFault
    detail: str
    modified_us: int
    version: str | None


Digest = SignedDigest | BrokenDigest


class PublicKey(msgspec.Struct, frozen=True):
    """A key that CloudTrail signs with in one region: DER, PKCS#1 or SubjectPublicKeyInfo, as ListPublicKeys gives it.

    `fingerprint` is the hex MD5 of the DER, a lookup key and no more; `sha256` is what it is pinned by.
    """

    region: str
    fingerprint: str
    sha256: str
    der: bytes
    valid_from_us: int
    valid_until_us: int
