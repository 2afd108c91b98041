"""What a rule, or the check of a canary's call, found in an event: between the archive stage and the alerts."""

from __future__ import annotations

import msgspec

from schemas.alerts import Severity
from schemas.trails import Ownership

RECOVERY = "recovery"
"""The scope of rules for calls that bring back sight: what they find is no tampering and raises no alert."""


class Tampering(msgspec.Struct, frozen=True):
    """One rule that held for one event. `scope` is the alert kind's first word: trail, watcher, rule or canary.

    `succeeded` False means that the call was refused or failed: an attempt. For a scope of canary, `rule` is the
    alert's kind and `canary` the name of the one concerned. `own_severity` is what the severity would be if one of the
    resources `touched` (spelled as `transforms.path_names.canonical` does) were ours, where that may still turn out.
    """

    rule: str
    rule_title: str
    scope: str
    severity: Severity
    succeeded: bool
    event_id: str | None
    event_name: str
    event_us: int
    delivered_us: int
    account_id: str | None
    region: str | None
    resource: str | None
    ownership: Ownership
    actor: str | None
    error_code: str | None
    object_key: str
    mitre: tuple[str, ...]
    event_source: str | None = None
    source_ip_address: str | None = None
    canary: str | None = None
    own_severity: Severity | None = None
    touched: tuple[str, ...] = ()
