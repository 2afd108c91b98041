"""The digests of one account and region, from one look at them to the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from schemas.digest_proofs import DigestFinding, LogObject, Proof, Settled, SightSpan
from schemas.digests import Digest, DigestFault, Tree
from schemas.sight import Settlement
from transforms.digest_notes import Clock
from transforms.digest_places import Places
from transforms.digest_proof import Trust, prove
from transforms.digest_settling import named_us, still_needed
from transforms.digest_sweep import prove_in_order

_FOREVER_US = 2**62

DigestPlace = tuple[str, str]
"""Account and region: what is verified together, because a trail may change its bucket."""


class DigestBook(msgspec.Struct, frozen=True):
    """What is known of an account and region: what is settled of each tree, and the digests and logs beyond that."""

    place: DigestPlace
    digests: tuple[Digest, ...] = ()
    objects: tuple[LogObject, ...] = ()
    trees: Mapping[Tree, Settlement] = {}

    def add(self, digests: Iterable[Digest], objects: Iterable[LogObject]) -> DigestBook:
        """It with what is new, known already or not."""
        both = dict.fromkeys((*self.digests, *digests)), dict.fromkeys((*self.objects, *objects))
        return msgspec.structs.replace(self, digests=tuple(both[0]), objects=tuple(both[1]))


class Told(msgspec.Struct, frozen=True):
    """The verdict on an account and region: all findings and spans, settled ones too, and the book to go on with."""

    book: DigestBook
    findings: tuple[DigestFinding, ...]
    spans: tuple[SightSpan, ...]


def tell(book: DigestBook, trust: Trust, clock: Clock) -> Told:
    """Prove each tree, from what is settled of it on."""
    trees = sorted({digest.chain.tree for digest in book.digests} | book.trees.keys())
    after: dict[Tree, Settlement] = {}
    findings: list[DigestFinding] = []
    spans: list[SightSpan] = []
    for tree in trees:
        before = book.trees.get(tree, Settlement())
        proofs = list(_proofs(tree, book, trust, clock))
        found = (*before.findings, *(finding for proof in proofs for finding in proof.findings))
        seen = joined((*before.spans, *(span for proof in proofs for span in proof.spans)))
        final = tuple(each for each in found if each.final), tuple(each for each in seen if each.final)
        rest = tuple(each for each in seen if not each.final and each.cause is not DigestFault.AWAITED)
        after[tree] = Settlement(proofs[-1].settled, *final, rest)
        findings += found
        spans += seen
    kept = needed(msgspec.structs.replace(book, trees=after), trust.places)
    return Told(kept, tuple(dict.fromkeys(findings)), tuple(spans))


def joined(spans: Iterable[SightSpan]) -> tuple[SightSpan, ...]:
    """Spans in order; those of one chain that touch and say the same are one."""
    done: list[SightSpan] = []
    for span in sorted(spans, key=lambda each: (each.chain, each.start_us, each.end_us)):
        last = done[-1] if done else None
        same = last and (last.chain, last.end_us, last.cause) == (span.chain, span.start_us, span.cause)
        if last and same and last.final is span.final:
            done[-1] = msgspec.structs.replace(last, end_us=span.end_us)
        else:
            done.append(span)
    return tuple(done)


def _proofs(tree: Tree, book: DigestBook, trust: Trust, clock: Clock) -> Iterator[Proof]:
    if tree in book.trees:
        yield prove(tree, book.digests, book.objects, trust, clock, book.trees[tree].settled)
        return
    digests = sorted(book.digests, key=named_us)
    objects = sorted(book.objects, key=lambda each: each.delivered_us)
    yield from prove_in_order(tree, digests, objects, trust, clock)


def needed(book: DigestBook, places: Places) -> DigestBook:
    """The book without digests and logs that are settled. A log that a digest lists is kept wherever it lies."""
    trees = {digest.chain.tree: Settlement() for digest in book.digests} | dict(book.trees)
    digests = list(book.digests)
    for kept in trees.values():
        digests, _ = still_needed(kept.settled, digests, (), places)
    _, listed = still_needed(Settled(objects_us=_FOREVER_US), digests, book.objects, places)
    objects = dict.fromkeys(listed)
    for tree, kept in trees.items():
        folder = f"{tree.root}/{tree.logs}"
        inside = (each for each in book.objects if each.uri.startswith(folder))
        objects |= dict.fromkeys(still_needed(kept.settled, (), inside, places)[1])
    return msgspec.structs.replace(book, digests=tuple(digests), objects=tuple(objects))
