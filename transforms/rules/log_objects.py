"""Calls on objects of a log bucket (data events): is it a log, who writes or reads it, how long is it kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.trails import LogPath, Ownership
from transforms.rules.lifecycle import RETENTION_FLOOR_DAYS, is_early
from transforms.rules.members import at, elements, parameters, strings_of, text, truth
from transforms.rules.ownership import inside_accounts
from transforms.rules.policies import CLOUDTRAIL
from transforms.rules.resources import Kind, resources_of

_LOGS = "AWSLogs/"
_BYPASS = ("x-amz-bypass-governance-retention", "bypassGovernanceRetention", "BypassGovernanceRetention")


def describe_object(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """Whether an object lies under AWSLogs/, its version is named, and its own service or an insider is the caller."""
    keys = _keys(event)
    return {
        "derived.log_object": any(map(_is_log_key, keys)),
        "derived.version_named": text(parameters(event, "versionId")) is not None,
        "derived.delivered": bool(keys) and all(_delivers(_service(event), key) for key in keys),
        "derived.reader_outside": is_caller_outside(event, log_path),
    }


def describe_objects(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """DeleteObjects: a record that lists no keys counts, unless its bucket is known to be another one."""
    keys = _keys(event)
    listed = any(map(_is_log_key, keys))
    bucket = text(parameters(event, "bucketName"))
    other = bucket is not None and log_path.owns_bucket(bucket) is Ownership.OTHER
    return {"derived.log_object": listed or (not keys and not other)}


def describe_retention(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """PutObjectRetention: True if governance is bypassed, or the retention is none or ends below the floor."""
    retention = parameters(event, "Retention")
    until = at(retention, "RetainUntilDate")
    bypassed = any(truth(value) for name in _BYPASS for value in elements(parameters(event, name)))
    short = until is None or is_early(None, until, event, RETENTION_FLOOR_DAYS)
    return {**describe_object(event, log_path), "derived.retention_short": bypassed or short}


def describe_object_encryption(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """UpdateObjectEncryption: True unless every key that it names is a declared one."""
    named = [
        found for found in strings_of(parameters(event, "ObjectEncryption")) if ":kms:" in found or "alias/" in found
    ]
    own = bool(named) and all(log_path.owns_key(key) is Ownership.OWN for key in named)
    return {**describe_object(event, log_path), "derived.key_not_declared": not own}


def is_caller_outside(event: Mapping[str, Any], log_path: LogPath) -> bool:
    """Whether the caller is of no account that owns what is touched or is declared; services are insiders."""
    if _service(event) is not None:
        return False
    return text(at(event, "userIdentity", "accountId")) not in inside_accounts(event, log_path)


def _keys(event: Mapping[str, Any]) -> list[str]:
    """Keys that the request names (also a DeleteObjects body); where it names none, resources[] or the error message.

    In that order, because the resources of a copy are also what it was made from.
    """
    deleted = elements(parameters(event, "Delete", "Object")) + elements(parameters(event, "delete", "object"))
    members = (at(each, "Key") or at(each, "key") for each in deleted)
    named = [key for key in (text(parameters(event, "key")), *map(text, members)) if key]
    paths = (found.name.partition("/")[2] for found in resources_of(event) if found.kind is Kind.BUCKET)
    return named or [path for path in paths if path]


def _is_log_key(key: str) -> bool:
    return key.startswith(_LOGS) or f"/{_LOGS}" in key


def _service(event: Mapping[str, Any]) -> str | None:
    """The AWS service that calls in its own name; None for everyone else, whatever they write into userAgent."""
    identity = event.get("userIdentity")
    anonymous = at(identity, "arn") is None and at(identity, "principalId") is None
    if at(identity, "type") != "AWSService" and not anonymous:
        return None
    names = (text(at(identity, "invokedBy")), text(event.get("sourceIPAddress")))
    return next((name for name in names if name and name.endswith(".amazonaws.com")), None)


def _delivers(service: str | None, key: str) -> bool:
    """Whether the key is the calling service's to write: CloudTrail's own folders are CloudTrail's alone."""
    if service is None:
        return False
    folders = key.rpartition(_LOGS)[2].split("/")
    return service == CLOUDTRAIL or not any(folder.startswith("CloudTrail") for folder in folders)
