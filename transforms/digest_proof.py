"""The proof: what the digests and logs of a tree say together, whatever the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from schemas.digest_proofs import LogObject, Proof, Settled, SettledChain
from schemas.digests import BrokenDigest, Chain, Digest, DigestFault, SignedDigest, Tree
from transforms.digest_chain import ChainCase, Doubtful
from transforms.digest_links import Links
from transforms.digest_logs import LogCase
from transforms.digest_notes import Clock, Span, spans_of
from transforms.digest_places import Places
from transforms.digest_settling import is_final, settle
from transforms.digest_signature import KeyRing, signature_fault

_DETAILS = {
    DigestFault.SIGNATURE_INVALID: "the key with the fingerprint {0.fingerprint:.40} did not sign this",
    DigestFault.ALGORITHM: "signed by {0.algorithm:.40}, in the metadata {0.signature_algorithm!s:.40}",
    DigestFault.NO_SIGNATURE: "no signature came with it: a copy of the bytes loses the metadata",
    DigestFault.KEY_UNKNOWN: "no pinned key of {0.chain.region} has the fingerprint {0.fingerprint:.40}",
    DigestFault.KEY_UNUSABLE: "the pinned key {0.fingerprint:.40} is no RSA key of 2,048 bits or more",
    DigestFault.KEY_NOT_VALID: "the pinned key {0.fingerprint:.40} signed it, and was not valid then",
    DigestFault.MOVED: "signed for s3://{0.bucket}/{0.key}",
    DigestFault.SWAPPED: "is the digest s3://{0.bucket}/{0.key}",
}


NOTHING_SETTLED = Settled()


class Trust(msgspec.Struct, frozen=True):
    """What verdicts rest on besides the files: pinned keys, and where inputs lie or came from."""

    keys: KeyRing
    places: Places


def prove(  # noqa: PLR0917
    tree: Tree,
    digests: Iterable[Digest],
    objects: Iterable[LogObject],
    trust: Trust,
    clock: Clock,
    settled: Settled = NOTHING_SETTLED,
) -> Proof:
    """Everything wrong with a tree, and for each of its chains what is proved of which time.

    A function of sets: order and repetition change nothing. Digests and logs of other trees are looked up where ours
    name them, and not judged. With `settled` of an earlier call it goes on from there, and needs:

    - digests: of each chain those that end after what is settled of it, and any that came since
    - objects: those with a later name than `settled.objects_us`, those that these digests list, and any that came since

    (`still_needed` in `transforms.digest_settling` tells them from the others.) Together with the final findings and
    spans of the calls before it says what one call with everything says, unless something comes later than `Patience`
    waits for it.
    """
    known = _distinct(_but_answered(digests))
    trusted, doubtful = _sorted_out([each for each in known if each.chain.tree == tree], trust)
    chains = _cases(trusted, doubtful, settled.chains, clock)
    lost = {doubt.digest.uri for doubt in doubtful if doubt.fault.lost}
    links = Links(_by_uri(known), {digest.uri for digest in trusted}, lost, trust.places, clock)
    logs = LogCase(tree, objects, settled.listed, trust.places, clock)
    for case in chains:
        case.follow(links)
    _check_logs(chains, logs)
    for case in chains:
        case.expect(_backfilled(case.chain, chains))
    notes = [note for case in chains for note in case.notes]
    notes += logs.planted(chains, settled.objects_us)
    after = settle(settled, chains, notes, logs.listed, clock)
    settled_us = {head.chain: head.end_us for head in after.chains}
    findings = sorted({note.finding(final=is_final(note, settled, after, clock)) for note in notes}, key=_order)
    spans = [span for case in chains for span in spans_of(case.chain, case.pieces(), settled_us.get(case.chain))]
    return Proof(tuple(findings), tuple(spans), after)


def _order(finding: msgspec.Struct) -> tuple[object, ...]:
    *most, fault, chain = (getattr(finding, name) for name in ("start_us", "end_us", "uri", "detail", "fault", "chain"))
    return (*most, fault.value, str(chain))


def _but_answered(digests: Iterable[Digest]) -> list[Digest]:
    """Without those that could not be read once and were read later: at the same place, and no older."""
    known = list(digests)
    read_us: dict[str, int] = {}
    for each in known:
        if not _is_unread(each):
            read_us[each.uri] = max(each.modified_us, read_us.get(each.uri, each.modified_us))
    return [each for each in known if not (_is_unread(each) and each.modified_us <= read_us.get(each.uri, -1))]


def _is_unread(digest: Digest) -> bool:
    return isinstance(digest, BrokenDigest) and digest.fault in (DigestFault.FORBIDDEN, DigestFault.UNREAD)


def _distinct(digests: Iterable[Digest]) -> list[Digest]:
    """Digests in order of time; the same bytes at the same place are one, whenever they were written."""
    ordered = sorted(digests, key=_sort_key)
    return list({(each.uri, _identity(each)): each for each in reversed(ordered)}.values())[::-1]


def _sort_key(digest: Digest) -> tuple[object, ...]:
    start_us = digest.start_us if isinstance(digest, SignedDigest) else digest.end_us
    identity = _identity(digest)
    return digest.end_us, start_us, digest.uri, identity, digest.modified_us, digest.version or ""


def _identity(digest: Digest) -> tuple[str, str, str]:
    if isinstance(digest, BrokenDigest):
        return digest.fault.value, digest.detail, ""
    return digest.body_sha256, digest.signature or "", digest.signature_algorithm or ""


def _sorted_out(digests: Iterable[Digest], trust: Trust) -> tuple[list[SignedDigest], list[Doubtful]]:
    trusted, doubtful = [], []
    for digest in digests:
        if isinstance(digest, BrokenDigest):
            doubtful.append(Doubtful(digest, digest.fault, digest.detail))
        elif fault := signature_fault(digest, trust.keys) or trust.places.fault(digest):
            doubtful.append(Doubtful(digest, fault, _DETAILS[fault].format(digest)))
        else:
            trusted.append(digest)
    return trusted, doubtful


def _cases(
    trusted: Iterable[SignedDigest], doubtful: Iterable[Doubtful], heads: Iterable[SettledChain], clock: Clock
) -> list[ChainCase]:
    by_chain: dict[Chain, tuple[list[SignedDigest], list[Doubtful]]] = {head.chain: ([], []) for head in heads}
    for digest in trusted:
        by_chain.setdefault(digest.chain, ([], []))[0].append(digest)
    for doubt in doubtful:
        by_chain.setdefault(doubt.digest.chain, ([], []))[1].append(doubt)
    head_of = {head.chain: head for head in heads}
    return [ChainCase(chain, *by_chain[chain], head_of.get(chain), clock) for chain in sorted(by_chain)]


def _by_uri(digests: Iterable[Digest]) -> dict[str, list[Digest]]:
    by_uri: dict[str, list[Digest]] = {}
    for digest in digests:
        by_uri.setdefault(digest.uri, []).append(digest)
    return by_uri


def _check_logs(chains: Sequence[ChainCase], logs: LogCase) -> None:
    """In order of time over all chains, so that the later of two that list one log is told."""
    in_order = sorted(
        ((digest, case) for case in chains for digest in case.trusted),
        key=lambda each: (each[0].end_us, each[0].chain, each[0].uri),
    )
    for digest, case in in_order:
        causes, notes = logs.check(digest)
        case.notes += notes
        case.faults.setdefault(digest.uri, set()).update(causes)


def _backfilled(chain: Chain, chains: Iterable[ChainCase]) -> list[Span]:
    """What the backfill digests of a chain cover."""
    sibling = msgspec.structs.replace(chain, backfill=True)
    return [span for case in chains if case.chain == sibling for span in case.covered.spans()]
