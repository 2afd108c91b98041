"""CloudWatch Logs: what a call takes from log groups, filters, deliveries and the policies that let services write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.trails import LogPath, Ownership
from transforms.rules.lifecycle import RETENTION_FLOOR_DAYS
from transforms.rules.members import elements, number, parameters, text, truth
from transforms.rules.ownership import inside_accounts
from transforms.rules.policies import Statement, statements

_WRITING = ("logs:putlogevents", "logs:createlogstream")
_DELIVERING = "logs:createdelivery"


def describe_retention(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """PutRetentionPolicy: true below the retention floor; a number that cannot be read counts as below."""
    days = number(parameters(event, "retentionInDays"))
    return {"derived.retention_short": days is None or days < RETENTION_FLOOR_DAYS}


def describe_key(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """AssociateKmsKey: true unless the key is declared."""
    key = text(parameters(event, "kmsKeyId"))
    return {"derived.key_not_declared": key is None or log_path.owns_key(key) is not Ownership.OWN}


def describe_writers(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """PutResourcePolicy: no service may write any more, someone is denied, or an outsider is let in."""
    found = statements(parameters(event, "policyDocument"))
    writes = any(each.allows and each.services and any(map(each.covers, _WRITING)) for each in found)
    return _described(found, event, log_path, locks_out=not writes)


def describe_delivery_policy(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """PutDeliveryDestinationPolicy: no account may deliver any more, someone is denied, or an outsider is let in."""
    found = statements(parameters(event, "deliveryDestinationPolicy"))
    delivers = any(each.allows and each.principals and each.covers(_DELIVERING) for each in found)
    return _described(found, event, log_path, locks_out=not delivers)


def describe_destination(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """PutSubscriptionFilter: whether the destination is in an account outside."""
    return {"derived.destination_outside": is_outside(parameters(event, "destinationArn"), event, log_path)}


def describe_switch(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """Protection of a log group, or an anomaly detector, turned off."""
    switches = ("deletionProtectionEnabled", "enabled")
    return {"derived.switched_off": any(truth(parameters(event, name)) is False for name in switches)}


def is_outside(arn: Any, event: Mapping[str, Any], log_path: LogPath) -> bool:
    """Whether any of the ARNs names an account that is not inside; those of buckets name none."""
    parts = [found.split(":") for found in map(text, elements(arn)) if found]
    accounts = {part[4] for part in parts if len(part) > 5 and part[4]}
    return not accounts <= inside_accounts(event, log_path)


def _described(
    found: list[Statement], event: Mapping[str, Any], log_path: LogPath, *, locks_out: bool
) -> dict[str, Any]:
    inside = inside_accounts(event, log_path)
    return {
        "derived.policy_locks_out": locks_out,
        "derived.policy_denies": any(not each.allows and not each.is_about_transport for each in found),
        "derived.policy_outside_principal": any(
            each.allows and (each.principals or each.is_for_anyone) and each.outside_of(inside) for each in found
        ),
    }
