"""When the clock alone changes a verdict on digests: the next deadline of what has not come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.digests import Chain, DigestFault, SignedDigest, parse_digest_key
from schemas.times import HOUR_US
from transforms.digest_book import Told
from transforms.digest_logs import LAG_US
from transforms.digest_notes import Clock
from transforms.digest_places import Places
from transforms.digest_settling import named_us


def next_due_us(told: Told, places: Places, clock: Clock) -> int | None:
    """The earliest time after the clock's at which something more may be told, if nothing comes until then."""
    times_us = (*_ends(told, clock), *_named(told, places, clock), *_unlisted(told, places, clock))
    return min((us for us in times_us if us > clock.as_of_us), default=None)


def covered_us(told: Told) -> int | None:
    """The newest end of a digest: logs that are delivered later are no news yet."""
    return max((named_us(digest) for digest in told.book.digests), default=None)


def milestones(hours: int) -> Iterator[int]:
    """After how many missing hours an incident is told of again: 1, 2, 4, 8, … up to what is missing."""
    number = 1
    while number <= hours:
        yield number
        number *= 2


def _ends(told: Told, clock: Clock) -> Iterator[int]:
    """When the next digest of each chain is missing; of a chain whose end is long missing the next milestone."""
    after_us = HOUR_US + clock.patience.grace_us
    missing = {each.chain: each for each in told.findings if each.fault is DigestFault.MISSING and not each.final}
    for chain, start_us in _tails(told).items():
        found = missing.get(chain)
        if found is not None and found.end_us == start_us:
            yield found.start_us + (2 * [*milestones(found.digests)][-1]) * HOUR_US + clock.patience.grace_us
        else:
            yield start_us + after_us


def _tails(told: Told) -> Mapping[Chain, int]:
    """Where what is awaited begins, at the end of each chain."""
    last = {span.chain: span for span in told.spans}
    return {chain: span.start_us for chain, span in last.items() if span.cause is DigestFault.AWAITED}


def _named(told: Told, places: Places, clock: Clock) -> Iterator[int]:
    """When logs and digests that recent digests name, and that are not there, are overdue."""
    there = {each.uri for each in told.book.objects} | {each.uri for each in told.book.digests}
    grace_us = clock.patience.grace_us
    for digest in told.book.digests:
        if not isinstance(digest, SignedDigest) or digest.end_us + grace_us <= clock.as_of_us:
            continue
        if any(places.uri_of(digest, log.bucket, log.key) not in there for log in digest.logs):
            yield digest.end_us + grace_us
        before = digest.previous
        name = parse_digest_key(before.key) if before else None
        if before and name and places.uri_of(digest, before.bucket, before.key) not in there:
            yield name.end_us + grace_us


def _unlisted(told: Told, places: Places, clock: Clock) -> Iterator[int]:
    """When logs that no digest lists are overdue; those only whose time a digest covers by now."""
    signed = [each for each in told.book.digests if isinstance(each, SignedDigest)]
    listed = {places.uri_of(digest, log.bucket, log.key) for digest in signed for log in digest.logs}
    end_us = covered_us(told)
    for each in told.book.objects:
        if end_us is not None and each.delivered_us + LAG_US <= end_us and each.uri not in listed:
            yield each.delivered_us + LAG_US + clock.patience.grace_us
