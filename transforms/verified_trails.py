"""What a proof says of each trail, counted as `aws cloudtrail validate-logs` counts: valid files, and invalid ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from schemas.digest_proofs import DigestFinding, Proof, SightSpan
from schemas.digests import Chain, Digest, DigestFault, SignedDigest, Tree
from transforms.digest_places import Places

ABSENT = frozenset({DigestFault.FIRST_REMOVED, DigestFault.REMOVED, DigestFault.MISSING})
"""Digests that are not there."""

LOG_FAULTS = frozenset(
    {DigestFault.LOG_MISSING, DigestFault.LOG_ALTERED, DigestFault.LOG_UNREADABLE, DigestFault.LOG_UNREAD}
)
"""Listed logs that are not what was delivered, or could not be read."""

UNTIED = frozenset(
    {
        DigestFault.UNLINKED,
        DigestFault.GAP,
        DigestFault.OVERLAP,
        DigestFault.RESTARTED,
        DigestFault.LISTED_TWICE,
        DigestFault.LOG_PLANTED,
    }
)
"""Faults that leave each digest and each listed log what it was."""


class Asked(msgspec.Struct, frozen=True):
    """Deliveries from `from_us` (None: the beginning) to `until_us`, of some trails or, none named, of all.

    Without `logs` only digests were looked at.
    """

    from_us: int | None
    until_us: int
    trails: tuple[str, ...] = ()
    logs: bool = True

    def holds(self, start_us: int, end_us: int) -> bool:
        """Whether an interval, or a moment, lies in it at least in part."""
        inside = start_us < self.until_us or start_us == end_us == self.until_us
        return inside and (self.from_us is None or end_us >= self.from_us)


class Files(msgspec.Struct, frozen=True):
    """Full names of those that are valid, and how many are not."""

    valid: tuple[str, ...] = ()
    invalid: int = 0


class VerifiedTrail(msgspec.Struct, frozen=True):
    """One trail of a tree: its chain and that of its backfill digests.

    `logs` is None where only digests were looked at. `found` reaches from the start of the first valid digest to the
    end of the last; None without any.
    """

    chain: Chain
    digests: Files
    backfill: Files
    logs: Files | None
    found: tuple[int, int] | None
    findings: tuple[DigestFinding, ...]
    spans: tuple[SightSpan, ...]
    fingerprints: dict[str, str]


class VerifiedTree(msgspec.Struct, frozen=True):
    """An account and region: its trails, and findings that are of no trail (logs that no digest lists).

    `problem` tells why it could not be looked at.
    """

    tree: Tree
    trails: tuple[VerifiedTrail, ...] = ()
    findings: tuple[DigestFinding, ...] = ()
    problem: str | None = None

    @property
    def is_valid(self) -> bool:
        """True where there are digests, and nothing is wrong."""
        return bool(self.trails) and not self.findings and not any(trail.findings for trail in self.trails)


def verified_tree(tree: Tree, proof: Proof, digests: Iterable[Digest], places: Places, asked: Asked) -> VerifiedTree:
    """The part of a proof that was asked for, and the digests that it was made from."""
    findings = [each for each in proof.findings if asked.holds(each.start_us, each.end_us)]
    spans = [each for each in proof.spans if asked.holds(each.start_us, each.end_us)]
    known = [each for each in digests if each.chain.tree == tree and asked.holds(_start_us(each), each.end_us)]
    chains = {each.chain for each in (*known, *spans, *findings) if each.chain is not None}
    standard = sorted({msgspec.structs.replace(chain, backfill=False) for chain in chains})
    return VerifiedTree(
        tree,
        tuple(
            _trail(
                chain,
                [each for each in known if _is_of(each.chain, chain)],
                [each for each in findings if _is_of(each.chain, chain)],
                [each for each in spans if _is_of(each.chain, chain)],
                places if asked.logs else None,
            )
            for chain in standard
            if not asked.trails or chain.trail in asked.trails
        ),
        tuple(each for each in findings if each.chain is None),
    )


def _trail(
    chain: Chain,
    digests: Sequence[Digest],
    findings: Sequence[DigestFinding],
    spans: Sequence[SightSpan],
    places: Places | None,
) -> VerifiedTrail:
    spoiled = {each.uri for each in findings if each.fault not in ABSENT | LOG_FAULTS | UNTIED}
    valid = [each for each in digests if isinstance(each, SignedDigest) and each.uri not in spoiled]
    found = (min(each.start_us for each in valid), max(each.end_us for each in valid)) if valid else None
    return VerifiedTrail(
        chain,
        _digests(valid, findings, backfill=False),
        _digests(valid, findings, backfill=True),
        None if places is None else _logs(valid, findings, places),
        found,
        tuple(findings),
        tuple(_joined(spans)),
        {each.uri: each.fingerprint for each in digests if isinstance(each, SignedDigest) and each.uri in spoiled},
    )


def _joined(spans: Iterable[SightSpan]) -> Iterator[SightSpan]:
    """Spans that say the same one after the other as one: whether they can still change is not asked here."""
    last = None
    for span in spans:
        if last is not None and (last.chain, last.end_us, last.cause) == (span.chain, span.start_us, span.cause):
            last = msgspec.structs.replace(last, end_us=span.end_us, final=last.final and span.final)
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last


def _digests(valid: Iterable[SignedDigest], findings: Iterable[DigestFinding], *, backfill: bool) -> Files:
    ours = [each for each in findings if each.chain is not None and each.chain.backfill is backfill]
    absent = sum(each.digests for each in ours if each.fault in ABSENT)
    spoiled = {each.uri for each in ours if each.fault not in ABSENT | LOG_FAULTS | UNTIED}
    uris = sorted({each.uri for each in valid if each.chain.backfill is backfill})
    return Files(tuple(uris), absent + len(spoiled))


def _logs(valid: Iterable[SignedDigest], findings: Iterable[DigestFinding], places: Places) -> Files:
    bad = {each.uri for each in findings if each.fault in LOG_FAULTS}
    return Files(tuple(sorted(listed_uris(valid, places) - bad)), len(bad))


def listed_uris(digests: Iterable[SignedDigest], places: Places) -> set[str]:
    """Full names of the logs that digests list, as far as they lie in an input."""
    uris = (places.uri_of(digest, log.bucket, log.key) for digest in digests for log in digest.logs)
    return {uri for uri in uris if uri is not None}


def _is_of(chain: Chain | None, standard: Chain) -> bool:
    return chain is not None and msgspec.structs.replace(chain, backfill=False) == standard


def _start_us(digest: Digest) -> int:
    return digest.start_us if isinstance(digest, SignedDigest) else digest.end_us
