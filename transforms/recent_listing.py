"""Listing again and again what may be new, without listing years of keys each time.

CloudTrail delivers below the date: once an input has been listed as a whole, a look lists each account's and region's
last days only. What lies elsewhere, or is older, is found by the next complete listing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from schemas.keys import Kind
from schemas.objects import ObjectRef
from schemas.storage import Stat, Storage
from schemas.times import DAY_US, HOUR_US, MINUTE_US
from transforms.dated_trees import DatedTrees
from transforms.object_index import ObjectIndex
from transforms.object_refs import ref_of
from transforms.objects import Listing
from transforms.unicode_text import encodable

_NAMES_KEPT = 20


class Pace(msgspec.Struct, frozen=True):
    """How much is listed how often.

    A look covers the last `look_back_us` by the date in the key, counted from now or from the newest date there, or
    all of a bucket that is listed in fewer requests than it has trees. The next complete listing is due so long after
    one that it takes a small share of the time, and of the money: a folder of 10,000 files after a second, a bucket of
    1,000 objects (one request) after a minute, larger ones after `longest_us`, and one of so many objects that a
    twentieth of that is not enough, at 50 µs each, after `bucket_least_us` for each. New accounts and regions of a
    bucket are looked for every `discover_us`, of a folder in each look.
    """

    look_back_us: int = 2 * DAY_US
    discover_us: int = 5 * MINUTE_US
    longest_us: int = HOUR_US
    folder_object_us: int = 100
    bucket_object_us: int = 60_000
    bucket_least_us: int = 1_000


class RecentListing:
    """The inputs, and what is known of how objects lie in them. Not for two threads, nor for two listings at a time."""

    def __init__(self, inputs: Sequence[Storage], index: ObjectIndex, pace: Pace | None = None) -> None:
        self._index = index
        self._pace = pace or Pace()
        self._trees = [DatedTrees(storage) for storage in _outermost(inputs)]
        self._complete_due_us = self._discovery_due_us = 0

    def look(self, now_us: int, *, thorough: bool = False) -> tuple[Listing, list[ObjectRef]]:
        """List what may be new by now; return the objects that the index does not know, in order of delivery.

        A `thorough` look misses no log object that CloudTrail had delivered by `now_us`: silence may be judged after
        one. The listing counts what was listed this time; kinds, sizes and times are those of the new objects.

        Raises:
            StorageError: an input could not be listed; the next look lists everything.
        """
        sieve = _Sieve(self._index)
        for root, some in self._listed(now_us, thorough=thorough):
            sieve.take(root, some)
        return sieve.found()

    def pieces(self, now_us: int) -> Iterator[list[ObjectRef]]:
        """A thorough look bit by bit: new objects of about a request, or none where nothing came for a moment.

        What the caller has taken from one piece the index must know before the next. Silence may be judged once the
        last piece has come; until then nothing is known. One that is dropped before counts like one that failed.

        Raises:
            StorageError: an input could not be listed; the next look lists everything.
        """
        for root, some in self._listed(now_us, thorough=True):
            sieve = _Sieve(self._index)
            sieve.take(root, some)
            yield sieve.found()[1]

    def sift(self, refs: Iterable[ObjectRef]) -> tuple[Listing, list[ObjectRef]]:
        """The same for objects that somebody has named."""
        sieve = _Sieve(self._index)
        for ref in refs:
            sieve.take(ref.root, [Stat(ref.path, ref.size, ref.etag, ref.modified_us)])
        return sieve.found()

    def _listed(self, now_us: int, *, thorough: bool) -> Iterator[tuple[str, list[Stat]]]:
        """Roots, and objects below them. Until it ends, what comes next is a complete listing."""
        complete = now_us >= self._complete_due_us or (thorough and any(trees.odd for trees in self._trees))
        discovering = complete or thorough or now_us >= self._discovery_due_us
        due_us, self._complete_due_us = self._complete_due_us, 0
        for trees in self._trees:
            if complete or trees.whole_is_cheaper:
                yield from _below(trees, trees.whole())
                continue
            if discovering or not trees.storage.remote:
                yield from _below(trees, trees.discover())
            yield from _below(trees, trees.recent(now_us, self._pace.look_back_us))
        self._complete_due_us = now_us + self._lasts_us() if complete else due_us
        if discovering:
            self._discovery_due_us = now_us + self._pace.discover_us

    def _lasts_us(self) -> int:
        """For how long a complete listing will do."""
        pace = self._pace
        in_buckets = sum(trees.objects for trees in self._trees if trees.storage.remote)
        in_folders = sum(trees.objects for trees in self._trees if not trees.storage.remote)
        length_us = in_buckets * pace.bucket_object_us + in_folders * pace.folder_object_us
        return max(min(length_us, pace.longest_us), in_buckets * pace.bucket_least_us)


class _Sieve:
    """Counts what is listed, and keeps what is new."""

    def __init__(self, index: ObjectIndex) -> None:
        self.objects = 0
        self._index = index
        self._known = 0
        self._new: dict[str, ObjectRef] = {}

    def take(self, root: str, stats: Sequence[Stat]) -> None:
        uris = [encodable(f"{root}/{stat.path}") for stat in stats]
        known = self._index.known((uri, stat.etag, stat.size) for uri, stat in zip(uris, stats, strict=True))
        new = {uri: stat for uri, stat, there in zip(uris, stats, known, strict=True) if not there}
        replaced = self._index.replaced(list(new))
        self.objects += len(stats)
        self._known += sum(known)
        self._new.update((uri, ref_of(root, stat, replaced.get(uri))) for uri, stat in new.items())

    def found(self) -> tuple[Listing, list[ObjectRef]]:
        refs = sorted(self._new.values(), key=lambda ref: (ref.delivered_us, ref.uri))
        foreign = sorted(encodable(ref.path) for ref in refs if ref.kind is Kind.OTHER)
        delivered = [ref.delivered_us for ref in refs if ref.kind is not Kind.OTHER]
        span = min(delivered, default=None), max(delivered, default=None)
        log_bytes = sum(ref.size for ref in refs if ref.kind.holds_records)
        listed = self._known + len(refs)
        return Listing(listed, log_bytes, self._known, len(foreign), tuple(foreign[:_NAMES_KEPT]), *span), refs


def _outermost(inputs: Sequence[Storage]) -> list[Storage]:
    """Inputs that lie in none of the others: an object under two inputs is one."""
    roots = [storage.root for storage in inputs]
    return [
        storage
        for at, storage in enumerate(inputs)
        if storage.root not in roots[:at] and not any(storage.root.startswith(f"{root}/") for root in roots)
    ]


def _below(trees: DatedTrees, found: Iterator[list[Stat]]) -> Iterator[tuple[str, list[Stat]]]:
    return ((trees.storage.root, some) for some in found)
