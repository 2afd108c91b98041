"""Incidents of digests: which findings are one, what they are called, and how bad they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import msgspec

from schemas.alerts import Severity, content_id
from schemas.digest_proofs import DigestFinding
from schemas.digests import DigestFault
from schemas.times import HOUR_US

DIGEST_MISSING = "digest.missing"
_ALTERED, _RESTARTED, _UNVERIFIED = "digest.altered", "digest.restarted", "digest.unverified"
_LOG_REMOVED, _LOG_ALTERED, _LOG_PLANTED = "digest.log_removed", "digest.log_altered", "digest.log_planted"


class Kind(msgspec.Struct, frozen=True):
    """What an alert of a kind says; `title` may name `name` (the trail), `uri`, `count` (of logs) and `detail`."""

    title: str
    mitre: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        DIGEST_MISSING: Kind("An hourly digest of trail {name} is missing: {detail}", ("T1562.008",)),
        _ALTERED: Kind("A digest is not what CloudTrail delivered: {uri}: {detail}", ("T1565.001",)),
        _RESTARTED: Kind("The digests of trail {name} start anew: {detail}", ("T1562.008",)),
        _LOG_REMOVED: Kind("{count} that CloudTrail delivered cannot be found: {uri}", ("T1070", "T1562.008")),
        _LOG_ALTERED: Kind("{count} is not what CloudTrail delivered: {uri}", ("T1565.001",)),
        _LOG_PLANTED: Kind("A log object is in no digest, though its time is covered: {uri}", ("T1565.001",)),
        _UNVERIFIED: Kind("Digests of trail {name} cannot be verified: {detail}: {uri}"),
    }
)
_WHAT: Mapping[DigestFault, tuple[str, Severity]] = MappingProxyType(
    {
        DigestFault.REMOVED: (DIGEST_MISSING, Severity.HIGH),
        DigestFault.MISSING: (DIGEST_MISSING, Severity.HIGH),
        DigestFault.GAP: (DIGEST_MISSING, Severity.HIGH),
        DigestFault.MALFORMED: (_ALTERED, Severity.CRITICAL),
        DigestFault.SECOND_MEMBER: (_ALTERED, Severity.CRITICAL),
        DigestFault.SIGNATURE_INVALID: (_ALTERED, Severity.CRITICAL),
        DigestFault.ALGORITHM: (_ALTERED, Severity.CRITICAL),
        DigestFault.SWAPPED: (_ALTERED, Severity.CRITICAL),
        DigestFault.PREVIOUS_HASH: (_ALTERED, Severity.CRITICAL),
        DigestFault.PREVIOUS_SIGNATURE: (_ALTERED, Severity.CRITICAL),
        DigestFault.UNLINKED: (_ALTERED, Severity.MEDIUM),
        DigestFault.OVERLAP: (_ALTERED, Severity.MEDIUM),
        DigestFault.LISTED_TWICE: (_ALTERED, Severity.MEDIUM),
        DigestFault.RESTARTED: (_RESTARTED, Severity.MEDIUM),
        DigestFault.LOG_MISSING: (_LOG_REMOVED, Severity.CRITICAL),
        DigestFault.LOG_ALTERED: (_LOG_ALTERED, Severity.CRITICAL),
        DigestFault.LOG_UNREADABLE: (_LOG_ALTERED, Severity.CRITICAL),
        DigestFault.LOG_PLANTED: (_LOG_PLANTED, Severity.HIGH),
        DigestFault.FORBIDDEN: (_UNVERIFIED, Severity.MEDIUM),
        DigestFault.UNREAD: (_UNVERIFIED, Severity.MEDIUM),
        DigestFault.KEY_UNUSABLE: (_UNVERIFIED, Severity.MEDIUM),
        DigestFault.KEY_NOT_VALID: (_UNVERIFIED, Severity.MEDIUM),
        DigestFault.LOG_UNREAD: (_UNVERIFIED, Severity.MEDIUM),
        DigestFault.MOVED: (_UNVERIFIED, Severity.LOW),
        DigestFault.NO_SIGNATURE: (_UNVERIFIED, Severity.LOW),
        DigestFault.KEY_UNKNOWN: (_UNVERIFIED, Severity.LOW),
    }
)
"""What is no incident: FIRST_REMOVED, which every chain begins with whose bucket forgets, and causes of spans."""
_BY_HOUR = frozenset({_LOG_REMOVED, _LOG_ALTERED})


class Incident(msgspec.Struct, frozen=True):
    """Findings that are one incident, the earliest first. `closed_us` is when the data itself says that it ended."""

    incident_id: str
    kind: str
    findings: tuple[DigestFinding, ...]
    closed_us: int | None = None

    @property
    def first(self) -> DigestFinding:
        """The finding that opens it."""
        return self.findings[0]

    @property
    def severity(self) -> Severity:
        """That of the worst of its findings."""
        return max(_WHAT[each.fault][1] for each in self.findings)

    @property
    def name(self) -> str:
        """The trail, as people call it."""
        chain = self.first.chain
        return f"{chain.trail} in {chain.region}" if chain else ""

    @property
    def uris(self) -> tuple[str, ...]:
        """The objects concerned."""
        return tuple(dict.fromkeys(each.uri for each in self.findings))

    @property
    def is_certain(self) -> bool:
        """False while a late delivery, or a key of ours, may still answer it."""
        return all(each.fault.lost and each.fault not in _ANSWERABLE for each in self.findings)


_ANSWERABLE = frozenset({DigestFault.LOG_MISSING, DigestFault.LOG_PLANTED})


def incidents_of(findings: Iterable[DigestFinding], grace_us: int) -> list[Incident]:
    """Findings by incident.

    One for a stretch of missing digests of a chain, for each object that is not what it was, for each hour's logs, for
    each new start, and for each reason why a chain cannot be verified.
    """
    by_id: dict[tuple[str, str], list[DigestFinding]] = {}
    first_of: dict[tuple[object, ...], int] = {}
    for each in sorted(findings, key=_order):
        if each.fault in _WHAT:
            kind = _WHAT[each.fault][0]
            since_us = first_of.setdefault((each.chain, each.fault), each.start_us)
            by_id.setdefault((content_id(kind, *_identity(kind, each, since_us)), kind), []).append(each)
    found = [Incident(incident_id, kind, tuple(some)) for (incident_id, kind), some in by_id.items()]
    return [*found, *(each for incident in found for each in _before_restart(incident, grace_us))]


def _order(found: DigestFinding) -> tuple[object, ...]:
    """In order of time; one object can have several faults in one interval, and faults are no numbers."""
    return found.start_us, found.end_us, found.uri, found.fault.value, str(found.chain), found.detail


def _identity(kind: str, found: DigestFinding, since_us: int) -> tuple[object, ...]:
    chain: tuple[object, ...] = msgspec.structs.astuple(found.chain) if found.chain else ()
    if kind == DIGEST_MISSING:
        return *chain, found.start_us
    if kind == _RESTARTED:
        return *chain, found.end_us
    if kind == _UNVERIFIED:
        return *chain, found.fault.value, since_us
    return (*chain, found.start_us, found.end_us) if kind in _BY_HOUR else (found.uri,)


def _before_restart(incident: Incident, grace_us: int) -> Iterator[Incident]:
    """Until a chain starts anew nobody knows that it will: what was due by then was missing, and is explained now."""
    if incident.kind != _RESTARTED:
        return
    last = incident.findings[-1]
    hours = (last.deadline_us - grace_us - last.start_us) // HOUR_US
    if hours > 0:
        end_us, due_us = last.start_us + hours * HOUR_US, last.start_us + HOUR_US + grace_us
        missing = msgspec.structs.replace(
            last, fault=DigestFault.MISSING, end_us=end_us, digests=hours, deadline_us=due_us, detail=_EXPLAINED
        )
        identity = content_id(DIGEST_MISSING, *_identity(DIGEST_MISSING, missing, 0))
        yield Incident(identity, DIGEST_MISSING, (missing,), last.deadline_us)


_EXPLAINED = "until the chain started anew"
