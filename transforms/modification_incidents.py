"""What alert and which incident a finding is of; without Beam, for the pool's processes."""

from __future__ import annotations

from schemas.alerts import content_id
from schemas.tampering import Tampering

CANARY = "canary"


def kind_of(tampering: Tampering) -> str:
    """The alert kind: `trail.tampered`, `watcher.attempted`, `rule.matched`, `canary.forged` and so on."""
    if tampering.scope == CANARY:
        return tampering.rule
    if not tampering.succeeded:
        return f"{tampering.scope}.attempted"
    return "rule.matched" if tampering.scope == "rule" else f"{tampering.scope}.tampered"


def incident_id_of(tampering: Tampering) -> str:
    """The incident: what was done to which canary, resource or service, in which account and region."""
    touched = tampering.canary or tampering.resource or tampering.event_source or tampering.event_name
    return content_id("modification", kind_of(tampering), touched, tampering.account_id, tampering.region)


def is_call(tampering: Tampering) -> bool:
    """Whether it was found in a canary's call, and by no rule."""
    return tampering.scope == CANARY
