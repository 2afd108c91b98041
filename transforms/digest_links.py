"""How a digest follows the one before it: the hash, the signature and the name that it was signed with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from schemas.digest_proofs import SettledChain
from schemas.digests import Chain, Digest, DigestFault, Previous, SignedDigest, parse_digest_key
from transforms.digest_notes import Clock, Note, note_of
from transforms.digest_places import Places


class Last(msgspec.Struct, frozen=True):
    """The trusted digest before, in order of time."""

    uri: str
    body_sha256: str
    signature: str


class Link(msgspec.Struct, frozen=True):
    """What a digest says of the one before it.

    `fault` is what is wrong with the link, or why it cannot be checked; `explains` tells that a hole before the digest
    is due to that. `absent` is REMOVED or FIRST_REMOVED where the one before, at `uri`, is not there. `spoiled` are
    digests that are not what they were.
    """

    uri: str = ""
    fault: DigestFault | None = None
    note: Note | None = None
    explains: bool = False
    absent: DigestFault | None = None
    absent_end_us: int | None = None
    spoiled: tuple[str, ...] = ()


class Links:
    """Looks up what digests name: all digests by where they lie, trusted or not; `lost` are known to be forged."""

    def __init__(
        self,
        digests: Mapping[str, Sequence[Digest]],
        trusted: Collection[str],
        lost: Collection[str],
        places: Places,
        clock: Clock,
    ) -> None:
        self._digests, self._trusted, self._lost, self._places, self._clock = digests, trusted, lost, places, clock

    def link(self, digest: SignedDigest, last: Last | None, head: SettledChain | None) -> Link:
        """Compare what a digest names with what is there; `last` comes before it in time, `head` is settled."""
        previous = digest.previous
        if previous is None:
            restarted = last is not None and not digest.chain.backfill
            return Link(fault=DigestFault.RESTARTED, explains=True) if restarted else Link()
        uri = self._places.uri_of(digest, previous.bucket, previous.key)
        if uri is None:
            return Link(fault=DigestFault.ELSEWHERE, explains=True)
        there = [each for each in self._digests.get(uri, ()) if isinstance(each, SignedDigest)]
        known: list[SignedDigest | SettledChain] = [*there, *([head] if head and uri == head.uri else [])]
        if known:
            return self._compare(digest, previous, known, last)
        if uri in self._digests:
            return Link(uri)
        return self._absent(digest, uri, last, head)

    def _compare(
        self, digest: SignedDigest, previous: Previous, known: Sequence[SignedDigest | SettledChain], last: Last | None
    ) -> Link:
        """Of an object that was overwritten any version will do."""
        uri, signatures = known[0].uri, [each.signature for each in known if each.body_sha256 == previous.sha256]
        fault = None
        if not signatures:
            fault = DigestFault.PREVIOUS_HASH
        elif all(signature and signature.lower() != previous.signature.lower() for signature in signatures):
            fault = DigestFault.PREVIOUS_SIGNATURE
        if fault and uri in self._lost and uri not in self._trusted:
            return Link(uri)
        if fault:
            note = note_of(digest, fault, uri, f"{digest.uri} was signed after another digest than the one there")
            span = min((each.start_us, each.end_us) for each in known)
            return Link(uri, fault, msgspec.structs.replace(note, span=span), spoiled=(uri,))
        if uri in self._trusted and last and last.uri != uri and not digest.chain.backfill:
            return self._unlinked(digest, uri, last)
        return Link(uri)

    def _unlinked(self, digest: SignedDigest, uri: str, last: Last) -> Link:
        detail = f"follows {uri}, though {last.uri} lies between"
        return Link(uri, DigestFault.UNLINKED, note_of(digest, DigestFault.UNLINKED, digest.uri, detail), explains=True)

    def _absent(self, digest: SignedDigest, uri: str, last: Last | None, head: SettledChain | None) -> Link:
        end_us = _end_us(digest.chain, uri)
        since_us = self._clock.since_us
        if end_us is None or (since_us is not None and end_us < since_us):
            return Link(uri, DigestFault.ELSEWHERE, explains=True)
        if head and end_us <= head.end_us:
            return Link(uri) if digest.chain.backfill else self._unlinked(digest, uri, Last(head.uri, "", ""))
        if not self._clock.is_due(end_us):
            return Link(uri, DigestFault.AWAITED, explains=True)
        absent = DigestFault.REMOVED if last else DigestFault.FIRST_REMOVED
        return Link(uri, absent, explains=True, absent=absent, absent_end_us=end_us)


def _end_us(chain: Chain, uri: str) -> int | None:
    """When a digest of this chain ends, by its name; None for one of another chain, which is not looked for."""
    root = chain.root + "/"
    name = parse_digest_key(uri.removeprefix(root)) if uri.startswith(root) else None
    return name.end_us if name and name.chain(chain.root) == chain else None
