"""Calls on what watches beside the trails: findings hidden in bulk, responders, session logging, firewall policies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from schemas.trails import LogPath
from transforms.rules.members import at, document, elements, parameters, text, texts
from transforms.rules.ownership import account_of, inside_accounts

BULK_FINDINGS = 10
"""So many findings hidden by one call are no triage any more. Security Hub takes 100 a call, GuardDuty 50."""

SESSION_PREFERENCES = "SSM-SessionManagerRunShell"
_FINDINGS = ("FindingIdentifiers", "MetadataUids", "findingIds", "ids")
_RESPONDER = re.compile(
    r"respon[ds]|remediat|quarantin|isolat|containment|incident|forensic|secur|guardduty|macie|inspector|alert|alarm",
    re.IGNORECASE,
)
_RESPONDER_NAMES = ("name", "stateMachineArn", "executionArn")
_SESSION_LOGS = ("s3BucketName", "cloudWatchLogGroupName")
# Policy types that can log, and the member of their ManagedServiceData that says where to.
_FIREWALL_LOGS = {"WAFV2": "loggingConfiguration", "NETWORK_FIREWALL": "networkFirewallLoggingConfiguration"}


def describe_findings(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """Whether a call on findings lists `BULK_FINDINGS` or more, or lists none: then it is for all of a resource."""
    named = sum(len(elements(_either(event.get("requestParameters"), member))) for member in _FINDINGS)
    return {"derived.findings_in_bulk": named >= BULK_FINDINGS or not named}


def describe_responder(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """Whether the name of a document, state machine or execution sounds like incident response."""
    names = (name for member in _RESPONDER_NAMES for name in texts(parameters(event, member)))
    return {"derived.names_responder": any(map(_RESPONDER.search, names))}


def describe_document(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """The same for UpdateDocument, and whether Session Manager's preferences then log to neither S3 nor CloudWatch."""
    name, content = text(parameters(event, "name")) or "", document(parameters(event, "content"))
    logged = any(text(at(content, "inputs", member)) for member in _SESSION_LOGS)
    off = name.endswith(SESSION_PREFERENCES) and not logged
    return {**describe_responder(event, log_path), "derived.session_logging_off": off}


def describe_firewall_policy(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """Firewall Manager's PutPolicy: whether a web ACL or network firewall policy has no log destination."""
    policy = _either(event.get("requestParameters"), "Policy", "SecurityServicePolicyData")
    member = _FIREWALL_LOGS.get(text(_either(policy, "Type")) or "")
    managed = document(_either(policy, "ManagedServiceData"))
    unlogged = member is not None and not elements(at(managed, member, "logDestinationConfigs"))
    return {"derived.firewall_policy_unlogged": unlogged}


def describe_encryption_key(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """Whether a KMS key is of an account that is not inside, or is not shown."""
    key = text(parameters(event, "kmsKeyId"))
    account = account_of(key or "")
    return {"derived.key_outside": not key or bool(account and account not in inside_accounts(event, log_path))}


def _either(value: Any, *path: str) -> Any:
    """The member at a path in the API's spelling, or with lower-case first letters as most services record it."""
    for name in path:
        found = at(value, name)
        value = at(value, name[:1].lower() + name[1:]) if found is None else found
    return value
