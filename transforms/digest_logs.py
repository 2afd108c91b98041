"""Logs: those that digests list, against those that were read; and those that no digest lists."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence

from schemas.dead_letters import Reason
from schemas.digest_proofs import LogObject
from schemas.digests import DigestFault, ListedLog, SignedDigest, Tree, log_tree
from schemas.times import HOUR_US, MINUTE_US
from transforms.digest_chain import ChainCase
from transforms.digest_notes import Clock, Note, Span, note_of
from transforms.digest_places import Places

LAG_US = HOUR_US
"""How long after the minute in its name a log can be delivered, and so listed; AWS's own sample has seven minutes."""

_LEAD_US = 5 * MINUTE_US  # names fall on five minutes
_TAMPERED = {
    Reason.NOT_GZIP,
    Reason.TRUNCATED_GZIP,
    Reason.CORRUPT_GZIP,
    Reason.WRONG_TRAILER,
    Reason.SECOND_MEMBER,
    Reason.TRAILING_BYTES,
}


class LogCase:
    """All logs of a tree: as they were read (`objects`), and as trusted digests list them, one after the other."""

    def __init__(
        self, tree: Tree, objects: Iterable[LogObject], listed: Iterable[str], places: Places, clock: Clock
    ) -> None:
        self._tree, self._places, self._clock = tree, places, clock
        self._objects: dict[str, list[LogObject]] = {}
        for each in objects:
            self._objects.setdefault(each.uri, []).append(each)
        self.listed: dict[str, str] = dict.fromkeys(listed, "")

    def check(self, digest: SignedDigest) -> tuple[set[DigestFault], list[Note]]:
        """What is wrong with the logs that a digest lists: why its interval is not proved, and what is to be told."""
        causes: set[DigestFault] = set()
        notes: list[Note] = []
        for log in digest.logs:
            uri = self._places.uri_of(digest, log.bucket, log.key)
            if uri is None:
                causes.add(DigestFault.ELSEWHERE)
                continue
            if uri in self.listed:
                detail = f"listed by {digest.uri} and by {self.listed[uri] or 'an earlier one'}"
                notes.append(note_of(digest, DigestFault.LISTED_TWICE, uri, detail))
            self.listed[uri] = digest.uri
            fault, proved = self._fault(digest, log, uri)
            if fault and not proved:
                causes.add(fault)
            if fault and fault not in (DigestFault.ELSEWHERE, DigestFault.AWAITED):
                notes.append(self._note(digest, uri, fault))
        return causes, notes

    def planted(self, chains: Sequence[ChainCase], accounted_us: int | None) -> Iterator[Note]:
        """Logs that no trusted digest lists, though all chains of the tree cover their time, and the hour after it."""
        covers = [(chain, chain.covered.spans()) for chain in chains]
        for uri, versions in self._objects.items():
            at_us = min(each.delivered_us for each in versions)
            if uri in self.listed or not self._clock.is_due(at_us + LAG_US) or not self._is_ours(uri):
                continue
            if not _is_covered(covers, at_us, self._clock):
                continue
            certain = self._clock.as_of_us >= at_us + self._clock.patience.settle_us
            late = accounted_us is not None and at_us <= accounted_us
            deadline_us = at_us + LAG_US + self._clock.patience.grace_us
            detail = "in no digest, though its time is covered"
            told = (at_us, at_us), at_us, deadline_us, detail
            yield Note(DigestFault.LOG_PLANTED, None, uri, *told, certain=certain or late)

    def _note(self, digest: SignedDigest, uri: str, fault: DigestFault) -> Note:
        reasons = sorted({each.reason.value for each in self._objects.get(uri, ()) if each.reason})
        detail = f"listed by {digest.uri}" + (f"; {', '.join(reasons)}" if reasons else "")
        due_us = digest.end_us + (self._clock.patience.grace_us if fault is DigestFault.LOG_MISSING else 0)
        return note_of(digest, fault, uri, detail, due_us)

    def _fault(self, digest: SignedDigest, log: ListedLog, uri: str) -> tuple[DigestFault | None, bool]:
        """What is wrong with a listed log; and whether what CloudTrail wrote was read all the same."""
        versions = self._objects.get(uri, ())
        hashes = {each.body_sha256 for each in versions if each.body_sha256}
        reasons = {each.reason for each in versions if not each.body_sha256}
        proved = log.sha256 in hashes
        if hashes - {log.sha256}:
            return DigestFault.LOG_ALTERED, proved
        if reasons & _TAMPERED:
            return DigestFault.LOG_UNREADABLE, proved
        if proved:
            return None, True
        if reasons - {Reason.VANISHED}:
            return DigestFault.LOG_UNREAD, False
        if not versions and not self._is_ours(uri):
            return DigestFault.ELSEWHERE, False
        return (DigestFault.LOG_MISSING if self._clock.is_due(digest.end_us) else DigestFault.AWAITED), False

    def _is_ours(self, uri: str) -> bool:
        root = self._tree.root + "/"
        return uri.startswith(root) and log_tree(self._tree.root, uri.removeprefix(root)) == self._tree


def _is_covered(covers: Collection[tuple[ChainCase, Sequence[Span]]], at_us: int, clock: Clock) -> bool:
    """Whether every chain that could have delivered a log of that time covers it; False where there is none.

    A log of the first moment of a span may be listed by the digest before, which is not there or not trusted.
    """
    concerned = [spans for chain, spans in covers if _concerns(chain, at_us, clock)]
    return bool(concerned) and all(_lies_within(spans, at_us) for spans in concerned)


def _lies_within(spans: Sequence[Span], at_us: int) -> bool:
    before = bisect_left(spans, at_us, key=lambda span: span[0])
    return before > 0 and at_us + LAG_US <= spans[before - 1][1]


def _concerns(chain: ChainCase, at_us: int, clock: Clock) -> bool:
    if chain.chain.backfill or chain.ends_us is None:
        return False
    starts_us, ends_us = chain.starts_us, chain.ends_us
    if starts_us is not None and at_us + _LEAD_US < starts_us:
        return False
    return at_us <= ends_us or not is_ended(chain, clock)


def is_ended(chain: ChainCase, clock: Clock) -> bool:
    """True for a chain that has been silent for so long that nothing more is waited for."""
    return chain.ends_us is None or clock.as_of_us >= chain.ends_us + clock.patience.give_up_us
