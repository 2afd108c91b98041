"""Whose a resource or an account is, as far as the configuration and the record tell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from schemas.trails import LogPath, Ownership, Trail
from transforms.rules.members import at, elements, parameters, text


def caller_account(event: Mapping[str, Any]) -> str | None:
    """The account that a bare name is relative to: the caller's, or else the one that received the record."""
    return text(at(event, "userIdentity", "accountId")) or text(event.get("recipientAccountId"))


def declared_trail(event: Mapping[str, Any], log_path: LogPath) -> Trail | None:
    """The declared trail that the call names, by name or by ARN."""
    name = text(parameters(event, "trailName")) or text(parameters(event, "name"))
    if name is None:
        return None
    account = caller_account(event)
    return next((trail for trail in log_path.trails if _is_named(trail, name, account)), None)


@lru_cache(maxsize=16)
def declared_accounts(log_path: LogPath) -> frozenset[str]:
    """The accounts of the declared trails, and of all that is declared with them by ARN."""
    accounts = {trail.account for trail in log_path.trails}
    for trail in log_path.trails:
        named = (trail.kms_key or "", *trail.topics, *trail.queues, *trail.roles, *trail.log_groups, *trail.rules)
        accounts.update(map(account_of, named))
    return frozenset(accounts - {""})


def inside_accounts(event: Mapping[str, Any], log_path: LogPath) -> frozenset[str]:
    """Accounts that are no outsiders to the call: the declared ones, the resource's owner and the recipient."""
    owners = {text(at(resource, "accountId")) for resource in elements(event.get("resources"))}
    owners.add(text(event.get("recipientAccountId")))
    return declared_accounts(log_path) | frozenset(owner for owner in owners if owner)


def account_of(arn: str) -> str:
    """The account in an ARN; empty where there is none (buckets) or it is no ARN."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 and parts[0] == "arn" else ""


def owns_account(account: str, log_path: LogPath) -> Ownership:
    """OWN for a declared account, else UNKNOWN: which other accounts carry logs is not declared."""
    return Ownership.OWN if account in declared_accounts(log_path) else Ownership.UNKNOWN


def owns_key_or_alias(arn: str, log_path: LogPath) -> Ownership:
    """Whose a key or alias ARN is; an alias may stand for a key that is declared by its ARN, so it is never OTHER."""
    alias = arn.partition(":alias/")[2]
    if not alias:
        return log_path.owns_key(arn)
    found = {log_path.owns_key(name) for name in (arn, f"alias/{alias}")}
    return Ownership.OWN if Ownership.OWN in found else Ownership.UNKNOWN


def _is_named(trail: Trail, name: str, account: str | None) -> bool:
    return LogPath(trails=(trail,)).owns_trail(name, account) is Ownership.OWN
