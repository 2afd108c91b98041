"""A compiled rule, and what it reports when it holds for an event."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from schemas.alerts import Severity
from schemas.tampering import Tampering
from schemas.trails import Ownership
from transforms.rules.touched import touched_names
from transforms.sigma.events import Event
from transforms.sigma.predicate import Node
from transforms.unicode_text import encodable

_ACTOR = (
    ("userIdentity", "arn"),
    ("userIdentity", "invokedBy"),
    ("userIdentity", "principalId"),
    ("userIdentity", "userName"),
    ("userIdentity", "type"),
)
_ACCOUNT = (("recipientAccountId",), ("userIdentity", "accountId"))

# Calls of services that any workload uses are everyday business unless the resource is ours; those on trails,
# organizations, landing zones and Security Lake never are.
_EVERYDAY_SOURCES = frozenset(
    f"{service}.amazonaws.com"
    for service in (
        *("s3", "kms", "iam", "sts", "sns", "sqs", "kinesis", "firehose", "pipes", "lambda", "ec2", "ecs"),
        *("kinesisanalytics", "elasticmapreduce", "scheduler", "cloudformation", "glue", "athena", "lakeformation"),
        "s3tables",
    )
)
# Made for a logging service by AWS: nobody has another use for it.
_NEVER_EVERYDAY = frozenset({"DeleteServiceLinkedRole"})
# Of alarms, event rules and log groups most have nothing to do with security; only names tell which have.
_NAMED_CATEGORIES = frozenset({"cloudwatch-alarms", "cloudwatch-logs", "eventbridge"})
_CAPS = {
    (Ownership.UNKNOWN, True): Severity.LOW,
    (Ownership.OTHER, True): Severity.INFO,
    (Ownership.OTHER, False): Severity.HIGH,
}


class Rule(msgspec.Struct, frozen=True):
    """A compiled rule; its scope is trail, watcher or recovery, with a category, or else rule, without one.

    `event_sources` and `event_names` are those that it is about, as it writes them; where it names none, any.
    """

    name: str
    sigma_id: str | None
    title: str
    severity: Severity
    scope: str
    category: str | None
    mitre: tuple[str, ...]
    condition: Node
    event_sources: tuple[str, ...] = ()
    event_names: tuple[str, ...] = ()


class Provenance(NamedTuple):
    """Where and when the archive has an event."""

    event_us: int
    delivered_us: int
    object_key: str


def tampering_of(rule: Rule, event: Event, provenance: Provenance) -> Tampering:
    """Report that a rule holds for an event."""
    ownership = _ownership(event)
    cap = _cap(rule, ownership, event)
    capped = cap is not None and cap < rule.severity
    touched = touched_names(event.record) if capped else ()
    error_code = _text(event, ("errorCode",))
    return Tampering(
        rule=rule.name,
        rule_title=rule.title,
        scope=rule.scope,
        severity=rule.severity if cap is None else min(rule.severity, cap),
        own_severity=rule.severity if touched else None,
        succeeded=not any(value != "" for value in event.values(("errorCode",))),
        event_id=_text(event, ("eventID",)),
        event_name=_text(event, ("eventName",)) or "",
        event_us=provenance.event_us,
        delivered_us=provenance.delivered_us,
        account_id=_text(event, *_ACCOUNT),
        region=_text(event, ("awsRegion",)),
        resource=_text(event, ("derived", "resource")),
        ownership=ownership,
        actor=_text(event, *_ACTOR),
        error_code=error_code,
        object_key=provenance.object_key,
        mitre=rule.mitre,
        event_source=_text(event, ("eventSource",)),
        source_ip_address=_text(event, ("sourceIPAddress",)),
        touched=touched,
    )


def _cap(rule: Rule, ownership: Ownership, event: Event) -> Severity | None:
    """How loud a rule may be for what is not known to be ours; None where that does not matter."""
    if ownership is Ownership.OWN:
        return None
    if rule.category in _NAMED_CATEGORIES and event.values(("derived", "security_named")) == [False]:
        return Severity.LOW
    return _CAPS.get((ownership, _is_everyday(event))) if rule.scope == "trail" else None


def _is_everyday(event: Event) -> bool:
    source, name = _text(event, ("eventSource",)), _text(event, ("eventName",))
    return source in _EVERYDAY_SOURCES and name not in _NEVER_EVERYDAY


def _ownership(event: Event) -> Ownership:
    values: list[Any] = event.values(("derived", "ownership"))
    return Ownership(values[0]) if values else Ownership.UNKNOWN


def _text(event: Event, *paths: tuple[str, ...]) -> str | None:
    """The first non-empty text at any of the paths; lone surrogates, which no output can encode, become `?`."""
    for path in paths:
        for value in event.values(path):
            if isinstance(value, str) and value:
                return encodable(value)
    return None
