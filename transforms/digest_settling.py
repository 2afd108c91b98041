"""Settling: up to where nothing changes any more, so that later calls need no digests and logs from before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from schemas.digest_proofs import LogObject, Settled, SettledChain
from schemas.digests import Digest, SignedDigest
from schemas.keys import parse_key
from schemas.times import HOUR_US
from transforms.digest_chain import ChainCase
from transforms.digest_logs import is_ended
from transforms.digest_notes import Clock, Note
from transforms.digest_places import Places

_MARGIN_US = 2 * HOUR_US  # names of logs are somewhat earlier than the digests that list them


def settle(
    before: Settled, chains: Sequence[ChainCase], notes: Iterable[Note], listed: Mapping[str, str], clock: Clock
) -> Settled:
    """The state after a call; `listed` tells by which digest each log is listed (`""`: by one that was settled).

    A digest settles with all before it, once the time for backfill is over, the digest after it is there, and every
    fault up to it has been open for so long that it stays one.
    """
    open_us = [note.span[0] for note in notes if note.is_open(clock)]
    until_us = min([clock.as_of_us - clock.patience.settle_us, *open_us])
    heads = [head for case in chains if (head := _head(case, until_us, clock))]
    objects_us = _objects_us(before, chains, heads, clock)
    done = {head.chain: head.end_us for head in heads}
    unsettled = {each.uri for case in chains for each in case.trusted if each.end_us > done.get(case.chain, -1)}
    to_come = (uri for uri, lister in listed.items() if lister not in unsettled and not _is_before(uri, objects_us))
    return Settled(objects_us, tuple(sorted(heads, key=lambda head: head.chain)), tuple(sorted(to_come)))


def named_us(digest: Digest) -> int:
    """The time in a digest's name."""
    return digest.delivered_us if isinstance(digest, SignedDigest) else digest.end_us


def still_needed(
    settled: Settled, digests: Iterable[Digest], objects: Iterable[LogObject], places: Places
) -> tuple[list[Digest], list[LogObject]]:
    """Of what a call knew, what the next one needs besides what is new."""
    ends_us = {head.chain: head.end_us for head in settled.chains}
    kept = [digest for digest in digests if digest.chain not in ends_us or named_us(digest) > ends_us[digest.chain]]
    signed = [digest for digest in kept if isinstance(digest, SignedDigest)]
    listed = {places.uri_of(digest, log.bucket, log.key) for digest in signed for log in digest.logs}
    objects_us = settled.objects_us
    return kept, [
        each for each in objects if objects_us is None or each.delivered_us > objects_us or each.uri in listed
    ]


def is_final(note: Note, before: Settled, after: Settled, clock: Clock) -> bool:
    """True for what is told this once: it belongs to what is settled."""
    return _is_settled(note, before) or (not note.is_open(clock) and _is_settled(note, after))


def _is_settled(note: Note, settled: Settled) -> bool:
    if note.chain is None:
        return settled.objects_us is not None and note.anchor_us <= settled.objects_us
    return any(head.chain == note.chain and note.anchor_us <= head.end_us for head in settled.chains)


def _head(case: ChainCase, until_us: int, clock: Clock) -> SettledChain | None:
    if case.chain.backfill:  # it comes when it comes
        until_us = min(until_us, clock.as_of_us - clock.patience.give_up_us)
    ready = [digest for digest in case.trusted[:-1] if digest.end_us <= until_us]
    return _settled(ready[-1], case) if ready else case.head


def _settled(digest: SignedDigest, case: ChainCase) -> SettledChain:
    covered = tuple(
        (start_us, min(end_us, digest.end_us)) for start_us, end_us in case.covered.spans() if start_us <= digest.end_us
    )
    what = digest.uri, digest.body_sha256, digest.signature or ""
    return SettledChain(case.chain, digest.start_us, digest.end_us, *what, covered, case.starts_us)


def _objects_us(
    before: Settled, chains: Sequence[ChainCase], heads: Sequence[SettledChain], clock: Clock
) -> int | None:
    """Up to when logs are accounted for: all chains that still deliver must have settled beyond it."""
    ends_us = {head.chain: head.end_us for head in heads}
    live = [case.chain for case in chains if not (case.chain.backfill or is_ended(case, clock))]
    if not live or not all(chain in ends_us for chain in live):
        return before.objects_us
    objects_us = min(ends_us[chain] for chain in live) - _MARGIN_US
    return objects_us if before.objects_us is None else max(objects_us, before.objects_us)


def _is_before(uri: str, objects_us: int | None) -> bool:
    """True for a log whose name's minute is accounted for; one without a time in its name is kept."""
    delivered_us = parse_key(uri).delivered_us
    return objects_us is not None and delivered_us is not None and delivered_us <= objects_us
