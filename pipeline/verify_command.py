"""`trailcanary verify`: what digests and logs prove, of many accounts and regions in one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

import msgspec

from pipeline.lake import read_ledger
from pipeline.log_trees import LogInput, Scope, log_trees, open_logs
from pipeline.public_keys import handed_keys, lake_keys
from pipeline.storages import open_storage
from pipeline.tree_reader import TreeReader
from pipeline.verify_json import verify_json
from pipeline.verify_text import VerifyText
from schemas.digest_proofs import Patience, Place
from schemas.digests import PublicKey, Tree
from schemas.errors import StorageError, UsageError
from schemas.settings import Limits
from schemas.times import DAY_US, HOUR_US
from transforms.digest_notes import Clock
from transforms.digest_places import Places
from transforms.digest_proof import Trust, prove
from transforms.digest_signature import key_ring
from transforms.verified_trails import Asked, VerifiedTree, verified_tree


class Verify(msgspec.Struct, frozen=True):
    """The options; `now_us` bounds what is due. Without `until_us` all up to now is asked for."""

    inputs: tuple[str, ...]
    now_us: int
    keys: str | None = None
    output: str | None = None
    original: str | None = None
    scope: Scope = Scope()
    trails: tuple[str, ...] = ()
    as_json: bool = False
    verbose: bool = False
    digests_only: bool = False

    @property
    def asked(self) -> Asked:
        """What is told of all that is known."""
        until_us = self.now_us if self.scope.until_us is None else self.scope.until_us
        return Asked(self.scope.from_us, until_us, self.trails, not self.digests_only)


def verify(options: Verify, out: TextIO, errors: TextIO) -> int:
    """Verify, and say what was found; 0 if there are digests and nothing is wrong, else 1.

    Raises:
        UsageError: the options contradict each other, or name no folder, bucket or lake.
        LakeDamaged, StorageError: keys or ledger cannot be read, or an input not looked into. What concerns one object
            or one account's region is told, and is no error.
    """
    if options.keys is None and options.output is None:
        raise UsageError(["name --keys or --output: whose public keys are to be trusted"])
    sources = [open_logs(uri) for uri in dict.fromkeys(options.inputs)]
    places = _places(options, sources)
    verified = _verified(options, sources, places, Trust(key_ring(_keys(options)), Places(places)))
    if options.as_json:
        document, valid = verify_json(verified, options.asked, options.now_us)
        out.write(document + "\n")
    else:
        text = VerifyText(options.asked, out, errors, verbose=options.verbose)
        for tree in verified:
            text.tell(tree)
        valid = text.end()
    return 0 if valid else 1


def _verified(
    options: Verify, sources: Sequence[LogInput], places: Sequence[Place], trust: Trust
) -> Iterator[VerifiedTree]:
    """Tree by tree; those of one account and region are read together: a trail may have changed its bucket."""
    ledger = None if options.output is None else read_ledger(open_storage(options.output))
    inputs = {source.storage.root: source.storage for source in sources}
    originals = {place.root: place.original for place in places if place.original is not None}
    reader = TreeReader(inputs, trust.places, Limits().max_object_bytes, ledger, originals)
    asked, scope, patience = options.asked, _read_scope(options.scope), Patience()
    as_of_us = min(options.now_us, asked.until_us + HOUR_US + patience.grace_us)
    clock = Clock(as_of_us, patience, scope.from_us)
    trees = {tree for source in sources for tree in log_trees(source, options.scope)}
    for some in _by_place(trees).values():
        try:
            digests = [digest for tree in some for digest in reader.digests(tree, scope)]
            logs = reader.listed(digests) if options.digests_only else reader.logs(some, scope, digests)
        except StorageError as error:
            yield from (VerifiedTree(tree, problem=str(error)) for tree in some)
            continue
        for tree in some:
            proof = prove(tree, digests, logs, trust, clock)
            yield verified_tree(tree, proof, digests, trust.places, asked)


def _read_scope(scope: Scope) -> Scope:
    """A day more before, so that the first digest's predecessor is known, or known to be gone, and an hour after.

    What was delivered up to the end may be in the digest of the hour after.
    """
    from_us = None if scope.from_us is None else scope.from_us - DAY_US
    until_us = None if scope.until_us is None else scope.until_us + HOUR_US
    return msgspec.structs.replace(scope, from_us=from_us, until_us=until_us)


def _by_place(trees: set[Tree]) -> Mapping[tuple[str, str], list[Tree]]:
    places: dict[tuple[str, str], list[Tree]] = {}
    for tree in sorted(trees, key=lambda tree: (tree.account_id, tree.region, tree)):
        places.setdefault((tree.account_id, tree.region), []).append(tree)
    return places


def _places(options: Verify, sources: Sequence[LogInput]) -> list[Place]:
    if options.original is None:
        return [Place(source.storage.root) for source in sources]
    if len(sources) > 1:
        raise UsageError(["--original-location is that of one --input; there are more"])
    storage = open_storage(options.original)
    if not storage.remote:
        raise UsageError([f"--original-location {options.original}: not s3://bucket/prefix"])
    root = sources[0].storage.root
    inside = open_storage(options.inputs[0]).root.removeprefix(root)
    if not storage.root.endswith(inside):
        raise UsageError([f"--original-location {options.original}: does not end in {inside}, as the --input does"])
    return [Place(root, storage.root.removesuffix(inside))]


def _keys(options: Verify) -> tuple[PublicKey, ...]:
    if options.keys is not None:
        return handed_keys(open_storage(options.keys))
    return lake_keys(open_storage(options.output or ""))
