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

from schemas.keys import Kind, is_region, parse_key
from schemas.times import SECOND_US, format_us, parse_iso_us

_NAME = re.compile(
    r"(?P<account>\d{12})_CloudTrail-Digest_(?P<region>[^_/]+)_(?P<trail>[^/]+)_(?P<home>[^_/]+)_"
    r"(?P<time>\d{8}T\d{6})Z(?P<backfill>_backfill)?\.json\.gz",
    re.ASCII,
)
_FOLDERS = re.compile(
    r"(?P<logs>(?:[^/]*/)*?)(?:(?:(?:\d{12}/)?(?:CloudTrail|CloudTrail-Digest)/)?[a-z]{2}[a-z0-9-]*-\d{1,2}/)?"
    r"\d{4}/\d{2}/\d{2}/[^/]+",
    re.ASCII,
)


class Tree(msgspec.Struct, frozen=True, order=True):
    """Where the logs of one account and region lie: `logs` is the path below `root` up to and with AWSLogs/[o-ORG/]."""

    root: str
    logs: str
    account_id: str
    region: str


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
    name = _NAME.fullmatch(path.rpartition("/")[2])
    if name is None or not (is_region(name["region"]) and is_region(name["home"])):
        return None
    time = name["time"]
    try:
        end_us = parse_iso_us(f"{time[:4]}-{time[4:6]}-{time[6:8]}T{time[9:11]}:{time[11:13]}:{time[13:]}+00:00")
    except ValueError:  # digits that are no date
        return None
    whose = name["account"], name["region"], name["trail"], name["home"]
    return DigestName(_logs(path), *whose, name["backfill"] is not None, end_us)


def digest_path(chain: Chain, end_us: int) -> str:
    """Where a chain's digest lies below its root that ends at a time."""
    date, _, time = format_us(end_us - end_us % SECOND_US).replace("-", "").replace(":", "").partition("T")
    folder = f"{chain.logs}{chain.account_id}/CloudTrail-Digest/{chain.region}/{date[:4]}/{date[4:6]}/{date[6:]}"
    trail = f"{chain.trail}_{chain.home_region}_{date}T{time}{'_backfill' if chain.backfill else ''}"
    return f"{folder}/{chain.account_id}_CloudTrail-Digest_{chain.region}_{trail}.json.gz"


def log_tree(root: str, path: str) -> Tree | None:
    """The tree that a log object belongs to; None for what is none, or does not say whose it is.

    Logs and digests find to each other below any root from the account's folder up.
    """
    facts = parse_key(path)
    if facts.kind is not Kind.LOG or facts.account_id is None or facts.region is None:
        return None
    return Tree(root, _logs(path), facts.account_id, facts.region)


def _logs(path: str) -> str:
    found = _FOLDERS.fullmatch(path)
    return found["logs"] if found else path[: path.rfind("/") + 1]


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
    KEY_NOT_VALID = "key_not_valid"  # signed by a pinned key that was not valid when it can have been signed
    # Of a chain.
    FIRST_REMOVED = "first_removed"  # as below, and no older one is there: removed, expired or never copied
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

    `bucket` and `key` are its own claim; `delivered_us` is the time in the name that it really has, the end of a digest
    that is right. `end_text` is its end verbatim, as it was signed. `previous` is None in the
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
