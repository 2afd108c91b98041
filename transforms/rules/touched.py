"""Under which names of the log path a call's resources are known, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.trails import LogPath, Ownership
from transforms.path_names import canonical, declared_names, declared_types
from transforms.rules.members import member, parameters, text, texts
from transforms.rules.named_resources import resource_arn
from transforms.rules.resources import error_arns, resources_of

_BARE = ("s3.amazonaws.com", "kms.amazonaws.com")
_LOG_GROUPS = ("logGroupName", "logGroupIdentifier", "resourceIdentifier", "resourceArn")
_KEPT = 20


def touched_names(event: Mapping[str, Any]) -> tuple[str, ...]:
    """Canonical names (`transforms.path_names`) of what a call touches; none for what only has a name of its own."""
    source = event.get("eventSource")
    found = [each.name for each in resources_of(event)]
    if source not in _BARE:
        found = [name for name in (*found, *error_arns(event)) if name.startswith("arn:")]
    match source:
        case "logs.amazonaws.com":
            found += _log_groups(event)
        case "events.amazonaws.com":
            found += _rules(event)
    return tuple(dict.fromkeys(map(canonical, found)))[:_KEPT]


def path_ownership(names: tuple[str, ...], log_path: LogPath) -> Ownership:
    """Whose topics, queues, roles, log groups and event rules are, as far as they are declared."""
    if not declared_names(log_path).isdisjoint(names):
        return Ownership.OWN
    types = declared_types(log_path)
    return Ownership.OTHER if any(each in name for each in types for name in names) else Ownership.UNKNOWN


def _log_groups(event: Mapping[str, Any]) -> Iterator[str]:
    for name in (name for each in _LOG_GROUPS for name in texts(member(parameters(event), each))):
        yield name if name.startswith("arn:") else resource_arn(event, "logs", f"log-group:{name}")


def _rules(event: Mapping[str, Any]) -> Iterator[str]:
    """The rule that the call names, on its bus."""
    name = text(member(parameters(event), "rule")) or text(member(parameters(event), "name"))
    if name:
        bus = (text(member(parameters(event), "eventBusName")) or "").rpartition("/")[2]
        yield resource_arn(event, "events", f"rule/{bus}/{name}" if bus else f"rule/{name}")
