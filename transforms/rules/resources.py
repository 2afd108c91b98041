"""What a call touched, and whose it is: the trail, bucket, object or key, found wherever the record names it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.trails import LogPath, Ownership, Trail
from transforms.rules.members import at, elements, parameters, text

_ARN = re.compile(r"arn:[\w-]+:(cloudtrail|s3|kms):[^\s\"',;)]+")
_TRAIL_CALLS = ("CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging")
_LAKE_MEMBERS = (
    "eventDataStore",
    "channel",
    "dashboardId",
    "importId",
    "resourceArn",
    "resourceId",
    "memberAccountId",
    "delegatedAdminAccountId",
)
_KEY_MEMBERS = ("aliasName", "keyId", "targetKeyId", "customKeyStoreId")


def describe_resource(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """`derived.resource` (absent where nothing names it), `derived.ownership` and `derived.parameters_missing`.

    Of several names for what was touched (a key and its alias), one that the configuration declares comes first.
    """
    found = [(name, ownership(name, event, log_path)) for name in resource_names(event)]
    found.sort(key=lambda candidate: candidate[1] is not Ownership.OWN)
    described: dict[str, Any] = {"derived.parameters_missing": parameters_missing(event)}
    if found:
        described["derived.resource"] = found[0][0]
    described["derived.ownership"] = (found[0][1] if found else Ownership.UNKNOWN).value
    return described


def parameters_missing(event: Mapping[str, Any]) -> bool:
    """True where requestParameters says nothing: null (many refusals), empty, or left out as too large (facts §2)."""
    sent = parameters(event)
    return not isinstance(sent, Mapping) or not sent or sent.get("omitted") is True


def ownership(name: str, event: Mapping[str, Any], log_path: LogPath) -> Ownership:
    """Whose a resource is; UNKNOWN for what the configuration cannot declare (data stores, channels, key stores)."""
    source = event.get("eventSource")
    if source == "cloudtrail.amazonaws.com" and _is_trail(name, event):
        return log_path.owns_trail(name, _caller_account(event))
    if source == "kms.amazonaws.com" and parameters(event, "customKeyStoreId") != name:
        return log_path.owns_key(name)
    if source == "s3.amazonaws.com" and _is_bucket(name, event):
        return log_path.owns_bucket(name)
    return Ownership.OWN if name in declared_accounts(log_path) else Ownership.UNKNOWN


def declared_trail(event: Mapping[str, Any], log_path: LogPath) -> Trail | None:
    """The declared trail that the call names, by name or by ARN."""
    name = text(parameters(event, "trailName")) or text(parameters(event, "name"))
    if name is None:
        return None
    account = _caller_account(event)
    return next((trail for trail in log_path.trails if _is_named(trail, name, account)), None)


def declared_accounts(log_path: LogPath) -> frozenset[str]:
    """The accounts of the declared trails and of their keys."""
    keys = (trail.kms_key for trail in log_path.trails if trail.kms_key)
    return frozenset({trail.account for trail in log_path.trails} | {account_of(key) for key in keys}) - {""}


def inside_accounts(event: Mapping[str, Any], log_path: LogPath) -> frozenset[str]:
    """Accounts that are no outsiders to the call: the declared ones, the resource's owner and the recipient."""
    owners = {text(at(resource, "accountId")) for resource in elements(event.get("resources"))}
    owners.add(text(event.get("recipientAccountId")))
    return declared_accounts(log_path) | frozenset(owner for owner in owners if owner)


def account_of(arn: str) -> str:
    """The account in an ARN; empty where there is none (buckets) or it is no ARN."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 and parts[0] == "arn" else ""


def _is_named(trail: Trail, name: str, account: str | None) -> bool:
    return LogPath(trails=(trail,)).owns_trail(name, account) is Ownership.OWN


def _caller_account(event: Mapping[str, Any]) -> str | None:
    return text(at(event, "userIdentity", "accountId")) or text(event.get("recipientAccountId"))


def _is_trail(name: str, event: Mapping[str, Any]) -> bool:
    if name.startswith("arn:"):
        return ":trail/" in name
    return name in (parameters(event, "trailName"), parameters(event, "name"))


def _is_bucket(name: str, event: Mapping[str, Any]) -> bool:
    return ":::" in name or parameters(event, "bucketName") is not None


def resource_names(event: Mapping[str, Any]) -> list[str]:
    """Names for what was touched, best first: what the request names, then resources[], then the error message."""
    source = event.get("eventSource")
    arns = [found for found in map(text, (at(each, "ARN") for each in elements(event.get("resources")))) if found]
    if source == "s3.amazonaws.com":
        found = [*_bucket_names(event), *arns]
    elif source == "kms.amazonaws.com":
        keys = [arn for arn in arns if ":kms:" in arn]
        found = [*keys, *(text(parameters(event, member)) for member in _KEY_MEMBERS), _service_event_key(event)]
    else:
        found = [*_trail_names(event), *arns]
    return [name for name in found if name] or list(_named_in_error(event))


def _trail_names(event: Mapping[str, Any]) -> list[str | None]:
    names = ["trailName", *_LAKE_MEMBERS]
    if event.get("eventName") in _TRAIL_CALLS:
        names = ["name"]
    return [text(parameters(event, member)) for member in names]


def _bucket_names(event: Mapping[str, Any]) -> list[str | None]:
    bucket, key = text(parameters(event, "bucketName")), text(parameters(event, "key"))
    if bucket:
        return [f"{bucket}/{key}" if key else bucket]
    return [text(parameters(event, member)) for member in ("name", "accountId", "x-amz-account-id")]


def _service_event_key(event: Mapping[str, Any]) -> str | None:
    return text(at(event, "serviceEventDetails", "keyId"))


def _named_in_error(event: Mapping[str, Any]) -> Iterator[str]:
    """ARNs of the called service in errorMessage: the caller's own ARN stands there too, under another service."""
    service = (text(event.get("eventSource")) or "").partition(".")[0]
    for match in _ARN.finditer(text(event.get("errorMessage")) or ""):
        if match[1] == service:
            yield match[0].rstrip(".")
