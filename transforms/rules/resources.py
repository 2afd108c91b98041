"""What a call touched: the trail, bucket, object or key, found wherever the record names it, under one spelling."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.trails import LogPath, Ownership
from transforms.rules.members import at, elements, parameters, text
from transforms.rules.named_resources import named_resources, resource_arn
from transforms.rules.ownership import owns_account, owns_key_or_alias
from transforms.rules.security_names import bare_name, watched_names


class Kind(enum.Enum):
    """What a resource is, as far as its ownership can be told."""

    TRAIL = "trail"
    BUCKET = "bucket"
    KEY = "key"
    ACCOUNT = "account"
    OTHER = "other"


class Resource(NamedTuple):
    """A resource: trails and keys by ARN, buckets by name, objects as `bucket/key`."""

    kind: Kind
    name: str


_ARN = re.compile(r"(?<!User: )arn:[\w-]+:([\w-]+):[^\s\"',;)]+")
# Services whose ARNs are not called what their events' source is.
_ARN_SERVICES = {"monitoring": "cloudwatch"}
_ACCOUNT = re.compile(r"\d{12}")
_TRAIL_CALLS = ("CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging")
# requestParameters member: the resource type in the ARN that a bare value stands for; None where there is no such ARN
_LAKE_MEMBERS = {
    "trailName": "trail",
    "eventDataStore": "eventdatastore",
    "channel": "channel",
    "dashboardId": "dashboard",
    "importId": None,
    "resourceArn": None,
    "resourceId": None,
    "memberAccountId": None,
    "delegatedAdminAccountId": None,
}
_RANKS = (Ownership.OWN, Ownership.UNKNOWN, Ownership.OTHER)


def describe_resource(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """`derived.resource` (absent where nothing names it), `derived.ownership` and `derived.parameters_missing`.

    Of several names for what was touched (a key and its alias), one that the configuration declares comes first.
    """
    described: dict[str, Any] = {"derived.parameters_missing": parameters_missing(event)}
    found = [(ownership(resource, log_path), resource) for resource in resources_of(event)]
    if not found:
        return {**described, "derived.ownership": Ownership.UNKNOWN.value}
    owned, resource = min(found, key=lambda each: _RANKS.index(each[0]))
    return {**described, "derived.resource": resource.name, "derived.ownership": owned.value}


def parameters_missing(event: Mapping[str, Any]) -> bool:
    """True where requestParameters says nothing: null (many refusals), empty, or left out as too large (facts §2)."""
    sent = parameters(event)
    return not isinstance(sent, Mapping) or not sent or sent.get("omitted") is True


def ownership(resource: Resource, log_path: LogPath) -> Ownership:
    """Whose a resource is; UNKNOWN for what the configuration cannot declare (data stores, channels, key stores)."""
    match resource.kind:
        case Kind.TRAIL:
            return log_path.owns_trail(resource.name, None)
        case Kind.BUCKET:
            return log_path.owns_bucket(resource.name)
        case Kind.KEY:
            return owns_key_or_alias(resource.name, log_path)
        case Kind.ACCOUNT:
            return owns_account(resource.name, log_path)
        case Kind.OTHER:
            return Ownership.UNKNOWN


def is_own(event: Mapping[str, Any], log_path: LogPath) -> bool:
    """Whether any name for what was touched is declared."""
    return any(ownership(resource, log_path) is Ownership.OWN for resource in resources_of(event))


def resources_of(event: Mapping[str, Any]) -> list[Resource]:
    """What was touched, best name first: what the request names, then resources[], then the error message."""
    arns = [found for found in (text(at(each, "ARN")) for each in elements(event.get("resources"))) if found]
    match event.get("eventSource"):
        case "s3.amazonaws.com":
            found = [*_buckets(event), *map(_by_arn, arns)]
        case "kms.amazonaws.com":
            found = [*map(_by_arn, arns), *_keys(event)]
        case "cloudtrail.amazonaws.com":
            found = [*_trails(event), *map(_by_arn, arns)]
        case _:
            found = [*map(_by_name, [*named_resources(event), *watched_names(event)]), *map(_by_arn, arns)]
    return found or [_by_arn(bare_name(event, arn)) for arn in error_arns(event)]


def _by_arn(arn: str) -> Resource:
    if ":s3:::" in arn:
        return Resource(Kind.BUCKET, arn.rpartition(":::")[2])
    if ":trail/" in arn:
        return Resource(Kind.TRAIL, arn)
    return Resource(Kind.KEY if ":key/" in arn or ":alias/" in arn else Kind.OTHER, arn)


def _by_name(name: str) -> Resource:
    return Resource(Kind.ACCOUNT if _ACCOUNT.fullmatch(name) else Kind.OTHER, name)


def _trails(event: Mapping[str, Any]) -> Iterator[Resource]:
    members = {"name": "trail"} if event.get("eventName") in _TRAIL_CALLS else _LAKE_MEMBERS
    for member, kind in members.items():
        name = text(parameters(event, member))
        if name and member.endswith("AccountId"):
            yield Resource(Kind.ACCOUNT, name)
        elif name and kind and not name.startswith("arn:"):
            yield Resource(
                Kind.TRAIL if kind == "trail" else Kind.OTHER, resource_arn(event, "cloudtrail", f"{kind}/{name}")
            )
        elif name:
            yield _by_arn(name)


def _buckets(event: Mapping[str, Any]) -> Iterator[Resource]:
    """The bucket or object; the access point; the account, for calls on its public access block."""
    bucket, key = text(parameters(event, "bucketName")), text(parameters(event, "key"))
    point = text(parameters(event, "name"))
    if bucket:
        name = bucket.rpartition(":::")[2]
        yield Resource(Kind.BUCKET, f"{name}/{key}" if key else name)
    elif point:
        yield Resource(Kind.OTHER, resource_arn(event, "s3", f"accesspoint/{point}"))
    elif account := _blocked_account(event):
        yield Resource(Kind.ACCOUNT, account)


def _blocked_account(event: Mapping[str, Any]) -> str | None:
    """The account that a public access block call is for; the recipient where only the event's name tells."""
    name, account = text(event.get("eventName")) or "", text(parameters(event, "accountId"))
    if name.endswith("AccountPublicAccessBlock"):
        return account or text(event.get("recipientAccountId"))
    return account if name.endswith("PublicAccessBlock") else None


def _keys(event: Mapping[str, Any]) -> Iterator[Resource]:
    for member in ("aliasName", "keyId", "targetKeyId"):
        name = text(parameters(event, member)) or text(at(event, "serviceEventDetails", member))
        if name:
            path = name if name.startswith(("alias/", "key/")) else f"key/{name}"
            yield Resource(Kind.KEY, name if name.startswith("arn:") else resource_arn(event, "kms", path))
    store = text(parameters(event, "customKeyStoreId"))
    if store:
        yield Resource(Kind.OTHER, store)


def error_arns(event: Mapping[str, Any]) -> Iterator[str]:
    """ARNs of the called service in errorMessage; the caller's own stands there too, after `User: `."""
    source = (text(event.get("eventSource")) or "").partition(".")[0]
    service = _ARN_SERVICES.get(source, source)
    for match in _ARN.finditer(text(event.get("errorMessage")) or ""):
        if match[1] == service:
            yield match[0].rstrip(".")
