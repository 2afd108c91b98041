"""Digests and logs of a tree, read for verification; what cannot be read is a verdict like another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.log_folders import side_by_side
from pipeline.log_trees import DIGESTS, LOGS, Scope, list_tree
from schemas.digest_proofs import LogObject
from schemas.digests import Digest, SignedDigest, Tree, parse_digest_key
from schemas.keys import Kind
from schemas.objects import ObjectRef
from schemas.storage import Stat, Storage
from schemas.times import DAY_US
from transforms.digest_decode import read_digest, unread_digest
from transforms.digest_places import Places
from transforms.fetch import Inflated, fetch, read_object
from transforms.object_refs import ref_of
from transforms.unicode_text import encodable
from transforms.verified_trails import listed_uris

_Identity = tuple[str, str, int]


class TreeReader(msgspec.Struct, frozen=True):
    """Reads trees of some inputs, by their roots. Bodies that the `ledger` knows the hash of are not read again.

    Of a folder all are read: whoever edits a file there can give it its old time and size.
    `originals` tells of which root a root is a copy: logs that were not copied are as the ledger has them there.
    """

    inputs: Mapping[str, Storage]
    places: Places
    max_bytes: int
    ledger: pa.Table | None = None
    originals: Mapping[str, str] = {}

    def digests(self, tree: Tree, scope: Scope) -> list[Digest]:
        """The digests whose hour ends in the scope. Raises StorageError where they cannot be listed."""
        storage = self.inputs[tree.root]
        stats = list_tree(storage, tree, DIGESTS, scope.from_us, scope.until_us)
        named = ((stat, parse_digest_key(stat.path)) for stat in stats)
        refs = [ref_of(tree.root, stat) for stat, name in named if name is not None and scope.holds(name.end_us)]
        return side_by_side(storage, lambda ref: [self._digest(storage, ref)], refs)

    def logs(self, trees: Iterable[Tree], scope: Scope, digests: Sequence[Digest]) -> list[LogObject]:
        """The logs of a scope's days, and those of other days that digests list. Raises StorageError likewise."""
        from_us = None if scope.from_us is None else scope.from_us - DAY_US  # names are older than the hour that ends
        objects: list[LogObject] = []
        rest: list[ObjectRef] = []
        for tree in trees:
            known = self._known(tree)
            for stat in list_tree(self.inputs[tree.root], tree, LOGS, from_us, scope.until_us):
                ref = ref_of(tree.root, stat)
                if sha256 := known.get(_identity(ref)):
                    objects.append(self._object(ref, sha256))
                elif ref.kind is Kind.LOG:
                    rest.append(ref)
        there = {each.uri for each in objects} | {encodable(ref.uri) for ref in rest}
        elsewhere = list(self._elsewhere(digests, there))
        copied = self._uncopied(elsewhere)
        rest += [ref for ref in elsewhere if ref.uri not in copied]
        return [*objects, *copied.values(), *self._read(rest)]

    def listed(self, digests: Iterable[Digest]) -> list[LogObject]:
        """Logs as digests list them, unread: as if all were there and right."""
        signed = (each for each in digests if isinstance(each, SignedDigest))
        uris = ((self.places.uri_of(each, log.bucket, log.key), log.sha256) for each in signed for log in each.logs)
        return [LogObject(uri, 0, sha256) for uri, sha256 in uris if uri is not None]

    def _digest(self, storage: Storage, ref: ObjectRef) -> Digest:
        fetched = read_object(storage, ref)
        if isinstance(fetched, tuple):
            return unread_digest(ref, *fetched)
        return read_digest(ref, fetched, self.max_bytes)

    def _read(self, refs: Iterable[ObjectRef]) -> Iterator[LogObject]:
        for each in fetch(enumerate(refs), self.inputs, self.max_bytes):
            if isinstance(each, Inflated):
                yield self._object(each.ref, each.sha256)
            else:
                yield LogObject(encodable(each.ref.uri), each.ref.delivered_us, None, each.reason)

    def _elsewhere(self, digests: Iterable[Digest], known: set[str]) -> Iterator[ObjectRef]:
        """Listed logs that lie among other days, or under another input."""
        signed = [each for each in digests if isinstance(each, SignedDigest)]
        for uri in sorted(listed_uris(signed, self.places) - known):
            roots = [root for root in self.inputs if uri.startswith(f"{root}/")]
            if roots:
                root = max(roots, key=len)
                yield ref_of(root, Stat(uri.removeprefix(f"{root}/"), 0, "", 0))

    def _uncopied(self, refs: Iterable[ObjectRef]) -> dict[str, LogObject]:
        """What the ledger knows of logs at the place that they were not copied from, by the name a copy would have."""
        names = {
            self.originals[ref.root] + ref.uri.removeprefix(ref.root): ref for ref in refs if ref.root in self.originals
        }
        if self.ledger is None or not names:
            return {}
        rows = self.ledger.filter(pc.is_in(self.ledger["uri"], value_set=pa.array(list(names), pa.string())))
        found = zip(rows["uri"].to_pylist(), rows["body_sha256"].to_pylist(), strict=True)
        return {names[name].uri: self._object(names[name], sha256) for name, sha256 in found if sha256}

    def _known(self, tree: Tree) -> dict[_Identity, str]:
        if self.ledger is None or not self.inputs[tree.root].remote:
            return {}
        folder = f"{tree.root}/{tree.logs}{tree.account_id}/{LOGS}/{tree.region}/"
        rows = self.ledger.filter(pc.starts_with(self.ledger["uri"], folder))
        columns = (rows[name].to_pylist() for name in ("uri", "etag", "size", "body_sha256"))
        return {(uri, etag, size): sha256 for uri, etag, size, sha256 in zip(*columns, strict=True) if sha256}

    def _object(self, ref: ObjectRef, sha256: str) -> LogObject:
        return LogObject(encodable(ref.uri), ref.delivered_us, sha256)


def _identity(ref: ObjectRef) -> _Identity:
    return encodable(ref.uri), ref.etag, ref.size
