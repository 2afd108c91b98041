"""Settings of a log bucket beside policy and lifecycle: which of them break delivery, reading or safekeeping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from schemas.trails import LogPath, Ownership
from transforms.rules.lifecycle import RETENTION_FLOOR_DAYS
from transforms.rules.members import at, elements, number, parameters, sent, text, texts, truth
from transforms.rules.ownership import inside_accounts
from transforms.rules.resources import parameters_missing

_YEAR_DAYS = 365
_LOGS_PREFIXES = ("AWSLogs", "AWSLogs/")
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_OPEN_ACLS = frozenset({"public-read", "public-read-write", "authenticated-read", "aws-exec-read"})
_OPEN_GROUPS = ("/global/AllUsers", "/global/AuthenticatedUsers")
_SAFE_OWNERSHIP = frozenset({"BucketOwnerEnforced", "BucketOwnerPreferred"})
_DEFAULT_LOG_BUCKET = re.compile(r"aws-cloudtrail-logs-(\d{12})-.*")  # what the CloudTrail console proposes


def describe_creation(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """CreateBucket under a name that belongs to the log path: a declared one, or another account's default one."""
    name = text(parameters(event, "bucketName")) or ""
    default = _DEFAULT_LOG_BUCKET.fullmatch(name)
    squatted = default is not None and default[1] != event.get("recipientAccountId")
    return {"derived.bucket_name_taken": squatted or log_path.owns_bucket(name) is Ownership.OWN}


def describe_object_lock(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """True unless the default retention is COMPLIANCE for at least the retention floor."""
    retention = parameters(event, "ObjectLockConfiguration", "Rule", "DefaultRetention")
    days, years = number(at(retention, "Days")) or 0, number(at(retention, "Years")) or 0
    lasting = max(days, years * _YEAR_DAYS) >= RETENTION_FLOOR_DAYS
    return {"derived.object_lock_weakened": not lasting or at(retention, "Mode") != "COMPLIANCE"}


def describe_replication(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """True if a rule is disabled, none copies the whole bucket or AWSLogs, or a copy goes to an outside account."""
    configuration = parameters(event, "ReplicationConfiguration")
    found = [*elements(at(configuration, "Rule")), *elements(at(configuration, "Rules"))]
    inside = inside_accounts(event, log_path)
    accounts = [text(at(rule, "Destination", "Account")) for rule in found]
    disabled = any(at(rule, "Status") != "Enabled" for rule in found)
    outside = any(account is not None and account not in inside for account in accounts)
    return {"derived.replication_weakened": disabled or outside or not any(map(_copies_logs, found))}


def describe_encryption(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """True if the default is a KMS key that is not declared, or none is in the record.

    KMS without a key is AWS's own key of the account, which is never declared.
    """
    configuration = parameters(event, "ServerSideEncryptionConfiguration")
    rules = [*elements(at(configuration, "Rule")), *elements(at(configuration, "Rules"))]
    foreign = any(_is_foreign_key(at(rule, "ApplyServerSideEncryptionByDefault"), log_path) for rule in rules)
    return {"derived.key_not_declared": foreign or not rules}


def describe_acl(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """True if a grant goes beyond the owner and S3's log delivery, or the owner's own full control is left out.

    Also where the record shows no grant at all: neither a canned ACL nor a policy nor grants by header.
    """
    members = sent(event)
    canned = {name.lower() for name in texts(members.get("x-amz-acl"))}
    by_header = any(name.startswith("x-amz-grant-") for name in members)
    policy = members.get("AccessControlPolicy")
    weak = not canned if policy is None else _is_acl_weak(policy)
    return {"derived.acl_weakened": bool(canned & _OPEN_ACLS) or by_header or weak}


def describe_ownership_controls(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """True unless objects become the bucket owner's: ObjectWriter leaves them to whoever writes them."""
    controls = parameters(event, "OwnershipControls")
    rules = [*elements(at(controls, "Rule")), *elements(at(controls, "Rules"))]
    modes = {text(at(rule, "ObjectOwnership")) for rule in rules}
    return {"derived.ownership_weakened": not modes or not modes <= _SAFE_OWNERSHIP}


def describe_public_access(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """Which of bucket and account a public access block is for, and whether one of the four is off or left out.

    The API's own event name (PutPublicAccessBlock) is the same for both: only a bucket's call names a bucket.
    """
    blocks = parameters(event, "PublicAccessBlockConfiguration")
    named_account = "Account" in (text(event.get("eventName")) or "")
    no_bucket = parameters(event, "bucketName") is None and not parameters_missing(event)
    is_bucket_call = "Bucket" in (text(event.get("eventName")) or "")
    return {
        "derived.account_level": named_account or (no_bucket and not is_bucket_call),
        "derived.public_access_allowed": not all(truth(at(blocks, name)) for name in _BLOCKS),
    }


def describe_tiering(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """True if an enabled configuration has an archive tier; Intelligent-Tiering configures no other kind."""
    configuration = parameters(event, "IntelligentTieringConfiguration")
    tiers = [*elements(at(configuration, "Tiering")), *elements(at(configuration, "Tierings"))]
    return {"derived.archive_tier_enabled": bool(tiers) and at(configuration, "Status") != "Disabled"}


def _copies_logs(rule: Any) -> bool:
    prefixes = (at(rule, "Prefix"), at(rule, "Filter", "Prefix"), at(rule, "Filter", "And", "Prefix"))
    prefix = next((found for found in map(text, prefixes) if found), "")
    tags = (at(rule, "Filter", "Tag"), at(rule, "Filter", "And", "Tag"), at(rule, "Filter", "And", "Tags"))
    tagged = any(tag is not None for tag in tags)
    return at(rule, "Status") == "Enabled" and not tagged and (not prefix or prefix.endswith(_LOGS_PREFIXES))


def _is_foreign_key(default: Any, log_path: LogPath) -> bool:
    key = text(at(default, "KMSMasterKeyID"))
    algorithm = text(at(default, "SSEAlgorithm")) or ""
    if key is None:
        return algorithm.startswith("aws:kms")
    return log_path.owns_key(key) is not Ownership.OWN


def _is_acl_weak(policy: Any) -> bool:
    owner = text(at(policy, "Owner", "ID"))
    grants = [grant for each in elements(at(policy, "AccessControlList")) for grant in elements(at(each, "Grant"))]
    outside = any(_is_outside_grant(at(grant, "Grantee"), owner) for grant in grants)
    kept = any(at(grant, "Grantee", "ID") == owner and at(grant, "Permission") == "FULL_CONTROL" for grant in grants)
    return outside or not kept


def _is_outside_grant(grantee: Any, owner: str | None) -> bool:
    group = text(at(grantee, "URI"))
    if group is not None:
        return group.endswith(_OPEN_GROUPS)
    return text(at(grantee, "ID")) != owner
