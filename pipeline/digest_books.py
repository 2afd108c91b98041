"""What a lake knows of digests, place by place: sight, digests and logs, as far as they may still matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compactions import read_compactions
from pipeline.lake import read_ledger_whole
from pipeline.lake_files import paths_below, read_files
from pipeline.public_keys import lake_keys
from schemas import sight
from schemas.digest_files import DIGEST_SCHEMA
from schemas.digest_files import FOLDER as DIGESTS
from schemas.digest_proofs import LogObject, Patience, Place
from schemas.digests import Chain, Digest, SignedDigest, Tree, parse_digest_key
from schemas.keys import Kind
from schemas.settings import Settings
from schemas.sight import Settlement
from schemas.storage import Storage
from transforms.digest_book import DigestBook, DigestPlace, needed
from transforms.digest_judge import DigestCheck
from transforms.digest_places import Places
from transforms.digest_tables import digests_from, log_objects
from transforms.lake_tables import small_table
from transforms.ledger_part import ledger_rows
from transforms.sight_file import decode_sight
from transforms.verified_trails import listed_uris

_NEVER_US = -(2**63)


def digest_check(settings: Settings, inputs: Sequence[Storage], lake: Storage) -> DigestCheck | None:
    """How the digests of a job are verified; None where the lake has no public keys, and so trusts nobody.

    Raises LakeDamaged or StorageError.
    """
    if not lake_keys(lake):
        return None
    config = settings.config.digests
    places = tuple(Place(storage.root, config.original_location) for storage in inputs)
    read_books_of = partial(read_books, lake, places)
    return DigestCheck(lake, places, Patience(config.grace_us), partial(lake_keys, lake), read_books_of)


def read_books(
    lake: Storage, places: Sequence[Place], wanted: Collection[DigestPlace] | None = None
) -> Iterator[DigestBook]:
    """The books of all accounts and regions with digests below these places, or of the `wanted` ones of them.

    Raises:
        LakeDamaged: a file of the lake is not what it should be.
        StorageError: the lake could not be read.
    """
    roots = sorted((place.root for place in places), key=len, reverse=True)
    trees = {tree: kept for tree, kept in _sights(lake) if tree.root in roots}
    digests = _digests(lake, roots, trees, wanted)
    known = digests.keys() | {_place(tree) for tree in trees if wanted is None or _place(tree) in wanted}
    books = [
        DigestBook(
            place,
            tuple(digests.get(place, ())),
            trees={tree: kept for tree, kept in trees.items() if _place(tree) == place},
        )
        for place in sorted(known)
    ]
    yield from _with_logs(lake, books, Places(places))


def _sights(lake: Storage) -> Iterator[tuple[Tree, Settlement]]:
    for path, body in read_files(lake, paths_below(lake, sight.FOLDER)):
        yield decode_sight(lake, path, body)


def _digests(
    lake: Storage, roots: Sequence[str], trees: Mapping[Tree, Settlement], wanted: Collection[DigestPlace] | None
) -> Mapping[DigestPlace, list[Digest]]:
    """Those that are not settled, by place."""
    counts = read_compactions(lake).counts
    ends_us = {head.chain: head.end_us for kept in trees.values() for head in kept.settled.chains}
    found: dict[DigestPlace, list[Digest]] = defaultdict(list)
    for path, body in read_files(lake, filter(counts, paths_below(lake, DIGESTS))):
        table = small_table(lake, path, body, DIGEST_SCHEMA)
        for digest in digests_from(table.filter(pa.array(_are_open(table, roots, ends_us), pa.bool_()))):
            place = digest.chain.account_id, digest.chain.region
            if digest.chain.root in roots and (wanted is None or place in wanted):
                found[place].append(digest)
    return found


def _are_open(table: pa.Table, roots: Sequence[str], ends_us: Mapping[Chain, int]) -> Iterator[bool]:
    for uri in table["uri"].to_pylist():
        root = next((root for root in roots if uri.startswith(f"{root}/")), None)
        name = None if root is None else parse_digest_key(uri.removeprefix(f"{root}/"))
        yield root is not None and (name is None or name.end_us > ends_us.get(name.chain(root), -1))


def _with_logs(lake: Storage, books: Sequence[DigestBook], places: Places) -> Iterator[DigestBook]:
    """With the logs of the ledger that may still matter."""
    if not books:
        return
    ledger, unread = read_ledger_whole(lake)
    since_us = {book.place: _since_us(book) for book in books}
    listed = {uri for book in books for uri in listed_uris(_signed(book), places)}
    logs = ledger.filter(pc.equal(ledger["kind"], Kind.LOG.value))
    recent = pc.greater(logs["delivered_at"].cast(pa.int64()), min(since_us.values()))
    named = pc.is_in(logs["uri"], value_set=pa.array(sorted(listed), pa.string()))
    objects: dict[DigestPlace, list[LogObject]] = {book.place: [] for book in books}
    for place, each in log_objects(ledger_rows(logs.filter(pc.or_(recent, named))), unread):
        if place in objects and (each.delivered_us > since_us[place] or each.uri in listed):
            objects[place].append(each)
    for book in books:
        yield needed(book.add((), objects[book.place]), places)


def _signed(book: DigestBook) -> list[SignedDigest]:
    return [each for each in book.digests if isinstance(each, SignedDigest)]


def _since_us(book: DigestBook) -> int:
    """Logs that were delivered by then are accounted for in all trees."""
    trees = {digest.chain.tree for digest in book.digests} | book.trees.keys()
    accounted = [book.trees[tree].settled.objects_us if tree in book.trees else None for tree in trees]
    return min((_NEVER_US if us is None else us for us in accounted), default=_NEVER_US)


def _place(tree: Tree) -> DigestPlace:
    return tree.account_id, tree.region
