"""The trees of an input, one an account and region, and their objects of some days."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from pipeline.log_folders import log_folders, side_by_side
from pipeline.storages import open_storage
from schemas.digests import Tree, log_tree, parse_digest_key
from schemas.keys import is_account, is_region
from schemas.storage import Stat, Storage
from schemas.times import DAY_US, format_us, parse_iso_us

LOGS, DIGESTS = "CloudTrail", "CloudTrail-Digest"
"""Folders of an account: what digests list, and the digests."""

_INSIDE = re.compile(
    r"(?P<outer>.+)/(?P<logs>AWSLogs(?:/o-[a-z0-9]+)?)"
    r"(?:/(?P<account>\d{12})(?:/(?:CloudTrail|CloudTrail-Digest)(?:/(?P<region>[a-z0-9-]+))?)?)?",
    re.ASCII,
)
_BY_DATE = re.compile(r"(?:.*/)?AWSLogs/(?:o-[a-z0-9]+/)?", re.ASCII)
_LATEST_US = parse_iso_us("9999-12-31T23:59:59Z")
_DAYS_ASKED = 31
"""Of more days than that a tree is listed as a whole, from the first of them on."""


class Scope(msgspec.Struct, frozen=True):
    """What is looked at: all accounts where none is named, all regions likewise, and all times without a bound."""

    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    from_us: int | None = None
    until_us: int | None = None

    def holds(self, at_us: int) -> bool:
        """Whether a time lies in it, its bounds included."""
        return (self.from_us is None or at_us >= self.from_us) and (self.until_us is None or at_us <= self.until_us)


class LogInput(msgspec.Struct, frozen=True):
    """A storage that holds AWSLogs/, and what of it was named; None stands for all of it."""

    storage: Storage
    logs: str | None = None
    account_id: str | None = None
    region: str | None = None


def open_logs(uri: str) -> LogInput:
    """An input as `open_storage` knows it; one inside of AWSLogs/ is opened from outside: keys need their beginning.

    Raises UsageError as `open_storage` does.
    """
    storage = open_storage(uri)
    inside = _INSIDE.fullmatch(storage.root)
    if inside is None or (inside["region"] and not is_region(inside["region"])):
        return LogInput(storage)
    return LogInput(open_storage(inside["outer"]), inside["logs"] + "/", inside["account"], inside["region"])


def log_trees(source: LogInput, scope: Scope) -> list[Tree]:
    """The trees that have logs or digests, in order; without AWSLogs/ they are told by the names of files.

    Raises StorageError.
    """
    storage = source.storage
    logs = _logs(source)
    if not logs:
        named = (_tree(storage.root, stat.path) for stat in storage.list())
        return sorted({tree for tree in named if tree is not None and _is_wanted(tree, source, scope)})
    accounts = [
        (folder, name)
        for folder in logs
        for name in ([source.account_id] if source.account_id else storage.folders(folder))
        if is_account(name) and (not scope.accounts or name in scope.accounts)
    ]
    places = {f"{folder}{name}/{kind}/": (folder, name) for folder, name in accounts for kind in (LOGS, DIGESTS)}
    found = side_by_side(storage, lambda place: [(place, name) for name in storage.folders(place)], places)
    trees = {Tree(storage.root, *places[place], name) for place, name in found if is_region(name)}
    return sorted(tree for tree in trees if _is_wanted(tree, source, scope))


def list_tree(storage: Storage, tree: Tree, kind: str, from_us: int | None, until_us: int | None) -> Iterator[Stat]:
    """Objects of a tree by the date in their keys, those of whole days; more where it is not kept by date.

    Raises StorageError.
    """
    if not _BY_DATE.fullmatch(tree.logs):
        named = (stat for stat in storage.list(tree.logs) if _tree(tree.root, stat.path) == tree)
        yield from (stat for stat in named if (parse_digest_key(stat.path) is not None) is (kind == DIGESTS))
        return
    folder = f"{tree.logs}{tree.account_id}/{kind}/{tree.region}/"
    first, last = _date(from_us), _date(until_us)
    if first and from_us is not None and until_us is not None and until_us - from_us <= _DAYS_ASKED * DAY_US:
        dates = [_date(day * DAY_US) for day in range(from_us // DAY_US, until_us // DAY_US + 1)]
        for date in dates:
            yield from storage.list(f"{folder}{date}/")
        return
    for stat in storage.list(folder, f"{folder}{first}" if first else ""):
        if not last or stat.path.removeprefix(folder)[: len(last)] <= last:
            yield stat


def _tree(root: str, path: str) -> Tree | None:
    name = parse_digest_key(path)
    return name.chain(root).tree if name else log_tree(root, path)


def _is_wanted(tree: Tree, source: LogInput, scope: Scope) -> bool:
    accounts = ((source.account_id,) if source.account_id else ()), scope.accounts
    regions = ((source.region,) if source.region else ()), scope.regions
    return all(not some or tree.account_id in some for some in accounts) and all(
        not some or tree.region in some for some in regions
    )


def _logs(source: LogInput) -> list[str]:
    storage = source.storage
    if source.logs is not None:
        inner = storage.folders(source.logs) if source.logs == "AWSLogs/" and source.account_id is None else ()
        return [source.logs, *(f"{source.logs}{name}/" for name in inner if name.startswith("o-"))]
    return log_folders(storage)


def _date(at_us: int | None) -> str:
    """As in keys; empty for no bound, which one before 1970 is."""
    return "" if at_us is None or at_us < 0 else format_us(min(at_us, _LATEST_US))[:10].replace("-", "/")
