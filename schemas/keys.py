"""The grammar of CloudTrail's object keys.

    [prefix/]AWSLogs/[o-ORGID/]ACCOUNT/KIND/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_UNIQUE.json.gz

Source: AWS CloudTrail user guide, "Finding your CloudTrail log files" and "CloudTrail digest file structure".
File names of kinds other than logs are not documented, and old copies differ in small ways, so the kind comes
from the folder and the name is read leniently.
"""

from __future__ import annotations

import enum
import re

import msgspec

from schemas.times import parse_iso_us


class Kind(enum.Enum):
    """What an object is, told by its key alone."""

    LOG = "log"
    INSIGHT = "insight"
    NETWORK_ACTIVITY = "network_activity"
    AGGREGATED = "aggregated"
    DIGEST = "digest"
    OTHER = "other"

    @property
    def holds_records(self) -> bool:
        """True where the object's records belong in the archive."""
        return self in (Kind.LOG, Kind.INSIGHT, Kind.NETWORK_ACTIVITY)


class KeyFacts(msgspec.Struct, frozen=True):
    """What a key says; None where it does not say. `delivered_us` is the name's minute (a digest's second)."""

    kind: Kind
    account_id: str | None = None
    region: str | None = None
    delivered_us: int | None = None


_FOLDERS = {
    "CloudTrail": Kind.LOG,
    "CloudTrail-Insight": Kind.INSIGHT,
    "CloudTrail-NetworkActivity": Kind.NETWORK_ACTIVITY,
    "CloudTrail-Aggregated": Kind.AGGREGATED,
    "CloudTrail-Digest": Kind.DIGEST,
}
_REGION = r"[a-z]{2}[a-z0-9-]*-\d{1,2}"
_PATH = re.compile(
    rf"(?:^|/)AWSLogs/(?:o-[a-z0-9]+/)?(?P<account>\d{{12}})/(?P<service>[^/]+)/(?:(?P<region>{_REGION})/)?", re.ASCII
)
_NAME = re.compile(rf"(?P<account>\d{{12}})_(?P<service>CloudTrail[A-Za-z-]*)_(?P<region>{_REGION})(?=[_-])", re.ASCII)
_DATED = re.compile(
    rf"(?P<tree>(?P<logs>(?:.*/)?AWSLogs/(?:o-[a-z0-9]+/)?)\d{{12}}/(?:{'|'.join(_FOLDERS)})/{_REGION}/)"
    r"(?P<date>\d{4}/\d{2}/\d{2})/[^/]+",
    re.ASCII | re.DOTALL,
)
# The user guide has an example without the `_` after Z, and old copies have no Z.
_STAMP = re.compile(r"[_-](\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)?(?:Z|(?=[_.]))", re.ASCII)


class DatedKey(msgspec.Struct, frozen=True):
    """Where an object lies that is kept by date: all parts end in `/` but for the date, `YYYY/MM/DD`.

    `logs` is the folder of accounts, `tree` that of one account, kind and region.
    """

    logs: str
    tree: str
    date: str


def dated_key(key: str) -> DatedKey | None:
    """The parts of a key under which CloudTrail delivers; None for any other, whatever it may hold."""
    found = _DATED.fullmatch(key)
    return DatedKey(found["logs"], found["tree"], found["date"]) if found else None


def is_region(name: str) -> bool:
    """True for what is formed like the name of a region."""
    return re.fullmatch(_REGION, name, re.ASCII) is not None


def is_account(name: str) -> bool:
    """True for what is formed like the id of an account."""
    return re.fullmatch(r"\d{12}", name, re.ASCII) is not None


DATED_FOLDERS = tuple(_FOLDERS)
"""Folders of an account that hold objects by region and date."""


def parse_key(key: str) -> KeyFacts:
    """Read a key, or the tail of a local path.

    A key outside `AWSLogs/` that ends in `.json.gz` counts as a log: people copy objects out of their tree.
    Everything that is not CloudTrail's (AWS Config, load balancers, flow logs, the reader's own files) is `OTHER`.
    """
    base = key.rpartition("/")[2]
    folder, name = _PATH.search(key), _NAME.match(base)
    if not key.endswith(".json.gz"):
        return KeyFacts(Kind.OTHER)
    if folder:
        kind = _FOLDERS.get(folder["service"], Kind.OTHER)
    else:
        kind = _FOLDERS.get(name["service"], Kind.OTHER) if name else Kind.LOG
    if kind is Kind.OTHER:
        return KeyFacts(Kind.OTHER)
    region = name["region"] if name else (folder["region"] if folder else None)
    account = folder["account"] if folder else (name["account"] if name else None)
    return KeyFacts(kind, account, region, _delivered_us(base))


def _delivered_us(name: str) -> int | None:
    stamps = _STAMP.findall(name)
    if not stamps:
        return None
    year, month, day, hour, minute, second = stamps[-1]
    try:
        return parse_iso_us(f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}+00:00")
    except ValueError:  # digits that are no date: an odd name, not an error
        return None
