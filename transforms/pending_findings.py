"""Findings on what is not known to be on the log path, which are told again if it proves to be."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.tampering import Tampering
from schemas.times import DAY_US

ESCALATED_WITHIN_US = 7 * DAY_US
"""How long after its delivery a finding is told again: what is kept for it must not grow with the years."""


def pending(findings: Iterable[Tampering]) -> tuple[Tampering, ...]:
    """Findings that may still be escalated, each once: no older than the time for it, seen from the newest of them."""
    found = {each for each in findings if each.own_severity is not None}
    newest_us = max((each.delivered_us for each in found), default=0)
    kept = (each for each in found if each.delivered_us > newest_us - ESCALATED_WITHIN_US)
    return tuple(sorted(kept, key=finding_order))


def finding_order(finding: Tampering) -> tuple[int, str, str, str]:
    """Sorts by event, then by copy, then by rule."""
    return finding.event_us, finding.event_id or "", finding.object_key, finding.rule
