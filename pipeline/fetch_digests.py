"""`trailcanary fetch-digests`: a copy of digests with their metadata, which a plain copy of the bytes loses."""

from __future__ import annotations

from typing import TextIO

import msgspec

from pipeline.log_folders import side_by_side
from pipeline.log_trees import DIGESTS, Scope, list_tree, log_trees, open_logs
from schemas.digest_sidecars import VERSION
from schemas.digests import parse_digest_key
from schemas.errors import ObjectVanished, StorageError
from schemas.storage import Storage
from schemas.times import HOUR_US
from transforms.unicode_text import encodable

_SIGNATURE = "signature"


class _Copied(msgspec.Struct, frozen=True):
    """What became of one digest: whether it is new, and what is wrong with it."""

    new: bool
    problem: str | None = None


def fetch_digests(uri: str, output: Storage, scope: Scope, out: TextIO, log: TextIO) -> int:
    """Copy the digests that tell of a scope's time, the hour after it included; 0 if all are there, signed, else 1.

    A copy that is there is kept: one that differs from its digest is told, and so is a digest that cannot be read.

    Raises:
        UsageError: `uri` is none.
        StorageError: the input cannot be listed, or the output not written.
    """
    source = open_logs(uri)
    if scope.until_us is not None:  # what was delivered up to then is in the digest of the hour after
        scope = msgspec.structs.replace(scope, until_us=scope.until_us + HOUR_US)
    storage = source.storage
    copied: list[_Copied] = []
    for tree in log_trees(source, scope):
        stats = list_tree(storage, tree, DIGESTS, scope.from_us, scope.until_us)
        named = ((stat.path, parse_digest_key(stat.path)) for stat in stats)
        paths = [path for path, name in named if name is not None and scope.holds(name.end_us)]
        some = side_by_side(storage, lambda path: [_copy(storage, output, path)], paths)
        for each in some:
            if each.problem is not None:
                log.write(f"trailcanary: {encodable(each.problem)}\n")
        copied += some
    new, bad = sum(each.new for each in copied), sum(each.problem is not None for each in copied)
    out.write(f"{len(copied):,} digests of {storage.root}: {new:,} copied, {len(copied) - new - bad:,} there already")
    out.write(f", {bad:,} with a problem\n" if bad else "\n")
    return 0 if copied and not bad else 1


def _copy(storage: Storage, output: Storage, path: str) -> _Copied:
    try:
        digest = storage.read(path)
    except StorageError as error:
        return _Copied(new=False, problem=str(error))
    metadata = {**digest.metadata, VERSION: digest.version} if digest.version else dict(digest.metadata)
    unsigned = None if _SIGNATURE in digest.metadata else f"{storage.root}/{path}: has no signature in its metadata"
    try:
        there = output.read(path)
    except ObjectVanished:
        output.write(path, digest.body, metadata)
        return _Copied(new=True, problem=unsigned)
    if there.body != digest.body:
        return _Copied(new=False, problem=f"{storage.root}/{path}: is not what was copied to {output.root} before")
    if unsigned is None and there.metadata.get(_SIGNATURE) != digest.metadata[_SIGNATURE]:
        if _SIGNATURE in there.metadata:
            return _Copied(new=False, problem=f"{storage.root}/{path}: has another signature than its copy")
        output.write(path, digest.body, metadata)
        return _Copied(new=True)
    return _Copied(new=False, problem=unsigned)
