"""What is noted while a tree is proved, and what of it changes no more."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.digest_proofs import DigestFinding, Patience, Sight, SightSpan
from schemas.digests import Chain, DigestFault, SignedDigest

Span = tuple[int, int]
"""Start and end, microseconds."""


class Clock(msgspec.Struct, frozen=True):
    """As of when is judged, how patiently, and since when digests were looked for (None: all of them)."""

    as_of_us: int
    patience: Patience
    since_us: int | None = None

    def is_due(self, end_us: int) -> bool:
        """Whether what should have come by the end of an hour is late by now."""
        return self.as_of_us >= end_us + self.patience.grace_us


class Note(msgspec.Struct, frozen=True):
    """A finding to be; `anchor_us` is the end of the digest with which it was found, and with which it is settled."""

    fault: DigestFault
    chain: Chain | None
    uri: str
    span: Span
    anchor_us: int
    deadline_us: int
    detail: str
    digests: int = 0
    certain: bool = True

    def is_open(self, clock: Clock) -> bool:
        """True while something may still come that answers it."""
        return clock.as_of_us < self.deadline_us + clock.patience.give_up_us

    def finding(self, *, final: bool) -> DigestFinding:
        """It as it is told."""
        start_us, end_us = self.span
        told = self.detail, self.digests, self.deadline_us, self.certain, final
        return DigestFinding(start_us, end_us, self.uri, self.fault, self.chain, *told)


class Piece(msgspec.Struct, frozen=True):
    """A stretch of a chain, and why it is not proved, if it is not."""

    span: Span
    cause: DigestFault | None


def note_of(digest: SignedDigest, fault: DigestFault, uri: str, detail: str, deadline_us: int | None = None) -> Note:
    """A note about what a trusted digest tells, of its own interval."""
    span, deadline_us = (digest.start_us, digest.end_us), deadline_us or digest.end_us
    return Note(fault, digest.chain, uri, span, digest.end_us, deadline_us, detail)


def worst(causes: Iterable[DigestFault]) -> DigestFault | None:
    """The one that counts of several: what somebody did comes before what is only not proved."""
    return min(causes, key=lambda cause: (not cause.lost, cause.value), default=None)


def spans_of(chain: Chain, pieces: Iterable[Piece], settled_us: int | None) -> list[SightSpan]:
    """Pieces as spans; those that touch and say the same are one."""
    spans: list[SightSpan] = []
    for piece in sorted(pieces, key=lambda piece: piece.span):
        start_us, end_us = piece.span
        final = settled_us is not None and end_us <= settled_us
        sight = _sight(piece.cause)
        last = spans[-1] if spans else None
        if last and last.end_us == start_us and (last.cause, last.final) == (piece.cause, final):
            spans[-1] = SightSpan(chain, last.start_us, end_us, sight, piece.cause, final)
        elif start_us < end_us:
            spans.append(SightSpan(chain, start_us, end_us, sight, piece.cause, final))
    return spans


def _sight(cause: DigestFault | None) -> Sight:
    if cause is None:
        return Sight.PROVED
    return Sight.LOST if cause.lost else Sight.UNPROVED
