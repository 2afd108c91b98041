"""The proof of a long time in little memory: week by week, each going on from what the one before settled."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import msgspec

from schemas.digest_proofs import LogObject, Proof
from schemas.digests import Digest, Tree
from schemas.times import DAY_US
from transforms.digest_notes import Clock
from transforms.digest_proof import NOTHING_SETTLED, Trust, prove
from transforms.digest_settling import named_us, still_needed

_STEP_US = 7 * DAY_US


def prove_in_order(
    tree: Tree, digests: Iterable[Digest], objects: Iterable[LogObject], trust: Trust, clock: Clock
) -> Iterator[Proof]:
    """What `prove` says, in parts: all but the last hold only what is final.

    Digests come in order of the time in their names, objects of `delivered_us`. Kept in memory is a week, and what is
    not settled: a month where there are faults, and everything where no digest can be trusted.
    """
    settled, known, read = NOTHING_SETTLED, list[Digest](), list[LogObject]()
    logs = _Objects(objects)
    for until_us, some in itertools.groupby(digests, _week_end_us):
        known += some
        if until_us >= clock.as_of_us:
            continue
        read += logs.until(until_us)
        proof = prove(tree, known, read, trust, msgspec.structs.replace(clock, as_of_us=until_us), settled)
        settled = proof.settled
        yield Proof(
            tuple(finding for finding in proof.findings if finding.final),
            tuple(span for span in proof.spans if span.final),
            settled,
        )
        known, read = still_needed(settled, known, read, trust.places)
    yield prove(tree, known, [*read, *logs.until(None)], trust, clock, settled)


def _week_end_us(digest: Digest) -> int:
    return -(-named_us(digest) // _STEP_US) * _STEP_US


class _Objects:
    """Objects in order of delivery, taken up to a time."""

    def __init__(self, objects: Iterable[LogObject]) -> None:
        self._objects = iter(objects)
        self._ahead = next(self._objects, None)

    def until(self, at_us: int | None) -> Iterator[LogObject]:
        """Those delivered by then; all that are left if no time is given."""
        while self._ahead is not None and (at_us is None or self._ahead.delivered_us <= at_us):
            yield self._ahead
            self._ahead = next(self._objects, None)
