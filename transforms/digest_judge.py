"""One look at the digests of an account and region: the verdict, its alerts, and what the lake keeps of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import msgspec

from schemas.alerts import Alert
from schemas.digest_proofs import Patience, Place
from schemas.digests import Digest, PublicKey, SignedDigest, Tree
from schemas.sight import Settlement, sight_path
from schemas.storage import Storage
from transforms.absence_confidence import PlaceSight, sight_of
from transforms.digest_alerts import digest_alerts, of_place
from transforms.digest_book import DigestBook, DigestPlace, Told, tell
from transforms.digest_dues import covered_us, next_due_us
from transforms.digest_notes import Clock
from transforms.digest_places import Places
from transforms.digest_proof import Trust
from transforms.digest_signature import KeyRing, key_ring
from transforms.sight_file import encode_sight


class DigestCheck(msgspec.Struct, frozen=True):
    """What every verdict rests on, and where it is kept. Picklable.

    `read_keys` gives the pinned keys; `read_books` what the lake knows of all places, or of those that are named.
    """

    lake: Storage
    places: tuple[Place, ...]
    patience: Patience
    read_keys: Callable[[], Iterable[PublicKey]]
    read_books: Callable[[Collection[DigestPlace] | None], Iterable[DigestBook]]

    @property
    def roots(self) -> tuple[str, ...]:
        """The inputs that are meant."""
        return tuple(place.root for place in self.places)


class Verdict(msgspec.Struct, frozen=True):
    """What a look says: the book to go on with, alerts, perhaps told before, and when to look again at the latest.

    Logs that are delivered after `covered_us` are no news before that. `sight` is what it means for canaries.
    """

    book: DigestBook
    alerts: tuple[Alert, ...]
    due_us: int | None
    covered_us: int | None
    sight: PlaceSight


class DigestJudge:
    """Judges places, one after the other, with keys that it reads anew where a digest names one that is not known."""

    def __init__(self, check: DigestCheck) -> None:
        self._check = check
        self._places = Places(check.places)
        self._ring: KeyRing = {}

    def judge(self, book: DigestBook, opened: Iterable[Alert], as_of_us: int) -> Verdict:
        """The verdict on what is known by then. Where sight has changed, its file is written. Raises StorageError."""
        trust, clock = Trust(self._keys(book.digests), self._places), Clock(as_of_us, self._check.patience)
        told = tell(book, trust, clock)
        for tree, kept in told.book.trees.items():
            self._write(tree, kept, book.trees.get(tree), told, clock)
        alerts = tuple(digest_alerts(told, of_place(opened, book.place), self._check.roots, clock))
        due_us = next_due_us(told, self._places, clock)
        return Verdict(told.book, alerts, due_us, covered_us(told), sight_of(told))

    def _keys(self, digests: Iterable[Digest]) -> KeyRing:
        named = {(each.chain.region, each.fingerprint) for each in digests if isinstance(each, SignedDigest)}
        if not named <= self._ring.keys():
            self._ring = key_ring(self._check.read_keys())
        return self._ring

    def _write(self, tree: Tree, kept: Settlement, before: Settlement | None, told: Told, clock: Clock) -> None:
        """What is merely awaited is longer at each look, and no change."""
        if before is None or (kept.spans, kept.open_spans) != (before.spans, before.open_spans):
            spans = [span for span in told.spans if span.chain.tree == tree]
            self._check.lake.write(sight_path(tree), encode_sight(tree, spans, kept, clock.as_of_us))
