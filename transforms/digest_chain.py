"""One chain: which of its digests are trusted, how they link, and what the clock says is missing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from schemas.digest_proofs import SettledChain
from schemas.digests import Chain, Digest, DigestFault, SignedDigest, digest_path
from schemas.times import HOUR_US
from transforms.digest_links import Last, Link, Links
from transforms.digest_notes import Clock, Note, Piece, Span, note_of, worst
from transforms.time_spans import TimeSpans


class Doubtful(msgspec.Struct, frozen=True):
    """A digest that counts for nothing, and why."""

    digest: Digest
    fault: DigestFault
    detail: str

    @property
    def end_us(self) -> int:
        """When a digest of its name ends, whatever it says itself."""
        return self.digest.delivered_us if isinstance(self.digest, SignedDigest) else self.digest.end_us


class ChainCase:
    """What one chain's digests say: `trusted` ones in order, notes, pieces of its time, and what it covers."""

    def __init__(
        self,
        chain: Chain,
        trusted: Iterable[SignedDigest],
        doubtful: Sequence[Doubtful],
        head: SettledChain | None,
        clock: Clock,
    ) -> None:
        self.chain, self.head, self._clock = chain, head, clock
        self.trusted = [digest for digest in trusted if head is None or digest.end_us > head.end_us]
        self.doubtful = sorted(doubtful, key=lambda each: (each.end_us, each.digest.uri, each.fault.value))
        self.notes = [_doubt(each) for each in self.doubtful]
        self.faults: dict[str, set[DigestFault]] = {}
        self._pieces: list[tuple[Span, DigestFault | None, str]] = []
        self.covered = TimeSpans(head.covered if head else ())
        for digest in self.trusted:
            self.covered.add(digest.start_us, digest.end_us)

    @property
    def ends_us(self) -> int | None:
        """The newest end of which there is a trusted digest, or else one that we merely cannot check."""
        ends = [digest.end_us for digest in self.trusted[-1:]] or ([self.head.end_us] if self.head else [])
        ends = ends or [
            each.end_us for each in self.doubtful if not each.fault.lost and each.end_us <= self._clock.as_of_us
        ]
        return max(ends, default=None)

    @property
    def starts_us(self) -> int | None:
        """When its first digest begins, if that one names none before it: then the chain is no older."""
        if self.head:
            return self.head.began_us
        first = next(iter(self.trusted), None)
        return first.start_us if first and first.previous is None else None

    def pieces(self) -> list[Piece]:
        """Its time, piece by piece; to be asked once all faults are known."""
        return [
            Piece(span, worst([*self.faults.get(uri, ()), *([fault] if fault else [])]))
            for span, fault, uri in self._pieces
        ]

    def follow(self, links: Links) -> None:
        """Go through the trusted digests in order of time, and see how each follows the one before."""
        reach_us = self.head.end_us if self.head else None
        last = Last(self.head.uri, self.head.body_sha256, self.head.signature) if self.head else None
        for digest in self.trusted:
            link = links.link(digest, last, self.head)
            self._take(link)
            if not self.chain.backfill:
                self._step(digest, link, reach_us)
            elif link.absent:
                self._note_absent(digest, link, [])
            start_us = digest.start_us if reach_us is None else max(digest.start_us, reach_us)
            self._pieces.append(((start_us, max(start_us, digest.end_us)), None, digest.uri))
            reach_us = digest.end_us
            last = Last(digest.uri, digest.body_sha256, digest.signature or "")
        if reach_us is None:
            self._unfounded()

    def expect(self, closed: Iterable[Span]) -> None:
        """See what is missing by the clock since the last digest; `closed` are hours that backfill digests cover."""
        if self.chain.backfill or self.ends_us is None:
            return
        start_us = self.ends_us
        late = self._doubtful_until(self._clock.as_of_us, after_us=start_us)
        for span, doubt in _segments(start_us, start_us, late):
            if doubt:
                self._pieces.append((span, doubt.fault, doubt.digest.uri))
            else:
                self._missing(span, closed)
        start_us = max([start_us, *(each.end_us for each in late)])
        self._missing((start_us, max(start_us, self._clock.as_of_us)), closed)

    def _doubtful_until(self, until_us: int, after_us: int | None = None) -> Sequence[Doubtful]:
        first = 0 if after_us is None else bisect_right(self.doubtful, after_us, key=_end_us)
        return self.doubtful[first : bisect_right(self.doubtful, until_us, key=_end_us)]

    def _take(self, link: Link) -> None:
        if link.note:
            self.notes.append(link.note)
        for uri in link.spoiled:
            self.faults.setdefault(uri, set()).add(link.fault or DigestFault.UNLINKED)

    def _step(self, digest: SignedDigest, link: Link, reach_us: int | None) -> None:
        if reach_us is None:
            self._pieces += _single_pieces(self._doubtful_until(digest.start_us))
        elif digest.start_us < reach_us:
            self.notes.append(note_of(digest, DigestFault.OVERLAP, digest.uri, "begins before the one before it ended"))
        elif digest.start_us > reach_us:
            self._hole((reach_us, digest.start_us), digest, link)
        if link.absent and (reach_us is None or digest.start_us <= reach_us):
            self._note_absent(digest, link, [])
        if link.fault is DigestFault.RESTARTED and reach_us is not None:
            note = note_of(
                digest, link.fault, digest.uri, "starts anew: nobody covers the time since the one before it"
            )
            span = min(reach_us, digest.start_us), digest.start_us
            self.notes.append(msgspec.structs.replace(note, span=span))

    def _hole(self, hole: Span, digest: SignedDigest, link: Link) -> None:
        doubtful = self._doubtful_until(hole[1], after_us=hole[0])
        segments = list(_segments(*hole, doubtful))
        rest = [span for span, doubt in segments if doubt is None]
        fault = link.fault if link.explains else (self._unexplained(rest) if doubtful else DigestFault.GAP)
        self._pieces += [
            (span, *((doubt.fault, doubt.digest.uri) if doubt else (fault, ""))) for span, doubt in segments
        ]
        if link.absent:
            self._note_absent(digest, link, rest)
        elif rest and fault in (DigestFault.GAP, DigestFault.MISSING):
            uri = digest.uri if fault is DigestFault.GAP else self._name(rest[0])
            digests = 0 if fault is DigestFault.GAP else sum(_hours(span) for span in rest)
            detail = f"no digest covers the time before {digest.uri}"
            span = rest[0][0], rest[-1][1]
            due_us = digest.end_us if fault is DigestFault.GAP else span[1] + self._clock.patience.grace_us
            self.notes.append(Note(fault, self.chain, uri, span, digest.end_us, due_us, detail, digests))

    def _unexplained(self, rest: Sequence[Span]) -> DigestFault:
        """Why hours before a doubtful digest have none: that one cannot be asked what it follows."""
        return DigestFault.MISSING if not rest or self._clock.is_due(rest[-1][1]) else DigestFault.AWAITED

    def _note_absent(self, digest: SignedDigest, link: Link, rest: Sequence[Span]) -> None:
        """The digest before is named and not there: with it go all hours of the hole that nothing else explains."""
        end_us = digest.start_us if link.absent_end_us is None else link.absent_end_us
        span = (rest[0][0], rest[-1][1]) if rest else (end_us - HOUR_US, end_us)
        digests = sum(_hours(each) for each in rest) or 1
        note = note_of(digest, link.absent or DigestFault.REMOVED, link.uri, f"{digest.uri} names it as the one before")
        deadline_us, certain = end_us + self._clock.patience.grace_us, link.absent is DigestFault.REMOVED
        self.notes.append(
            msgspec.structs.replace(note, span=span, digests=digests, deadline_us=deadline_us, certain=certain)
        )

    def _missing(self, span: Span, closed: Iterable[Span]) -> None:
        due_us = self._due_us(span)
        self._pieces += [
            ((span[0], due_us), DigestFault.MISSING, ""),
            ((due_us, span[1]), DigestFault.AWAITED, ""),
        ]
        left = TimeSpans([(span[0], due_us)] if span[0] < due_us else ())
        for start_us, end_us in closed:
            left.remove(start_us, end_us)
        for start_us, end_us in left.spans():
            deadline_us = start_us + HOUR_US + self._clock.patience.grace_us
            uri, digests = self._name((start_us, end_us)), _hours((start_us, end_us))
            detail = f"{digests} hourly digest{'s have' if digests > 1 else ' has'} not come"
            told = (start_us, end_us), end_us, deadline_us, detail, digests
            self.notes.append(Note(DigestFault.MISSING, self.chain, uri, *told, certain=False))

    def _due_us(self, span: Span) -> int:
        """Up to where a stretch without digests is overdue: by whole hours, unless all of it is."""
        if span[1] < self._clock.as_of_us and self._clock.is_due(span[1]):
            return span[1]
        hours = (self._clock.as_of_us - self._clock.patience.grace_us - span[0]) // HOUR_US
        return span[0] + max(0, hours) * HOUR_US

    def _unfounded(self) -> None:
        """A chain without a trusted digest."""
        if not self.chain.backfill:
            until_us = self._clock.as_of_us if self.ends_us is None else self.ends_us
            self._pieces += _single_pieces(self._doubtful_until(until_us))

    def _name(self, span: Span) -> str:
        return f"{self.chain.root}/{digest_path(self.chain, min(span[0] + HOUR_US, span[1]))}"


def _end_us(each: Doubtful) -> int:
    return each.end_us


def _doubt(each: Doubtful) -> Note:
    span = each.end_us - HOUR_US, each.end_us
    return Note(each.fault, each.digest.chain, each.digest.uri, span, each.end_us, each.end_us, each.detail)


def _hours(span: Span) -> int:
    return max(1, round((span[1] - span[0]) / HOUR_US))


def _single_pieces(doubtful: Iterable[Doubtful]) -> Iterator[tuple[Span, DigestFault, str]]:
    """Where nothing trusted is: an hour for each, and nothing is said of what lies between."""
    last_us = None
    for each in doubtful:
        start_us, end_us = each.end_us - HOUR_US, each.end_us
        if end_us != last_us:
            yield (start_us if last_us is None else max(start_us, last_us), end_us), each.fault, each.digest.uri
        last_us = end_us


def _segments(start_us: int, end_us: int, doubtful: Iterable[Doubtful]) -> Iterator[tuple[Span, Doubtful | None]]:
    """A stretch cut at doubtful digests: an hour before the end of each is its own, the rest is nobody's.

    A rest of less than half an hour beside one belongs to it: hourly digests are only about an hour long.
    """
    by_end: dict[int, Doubtful] = {}
    for each in doubtful:
        known = by_end.get(each.end_us)
        by_end[each.end_us] = each if known is None or worst([known.fault, each.fault]) is each.fault else known
    for at_us, each in sorted(by_end.items()):
        own_us = at_us - HOUR_US if at_us - HOUR_US - start_us >= HOUR_US // 2 else start_us
        if own_us > start_us:
            yield (start_us, own_us), None
        yield (own_us, at_us), each
        start_us = at_us
    if end_us > start_us:
        yield (start_us, end_us), None
