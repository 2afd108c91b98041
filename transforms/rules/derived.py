"""Derived fields: what Sigma's grammar cannot say of a record, computed and named `derived.*`. See docs/rules.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schemas.trails import LogPath, Ownership
from transforms.path_names import declared_types
from transforms.rules import (
    access_policies,
    buckets,
    keys,
    lifecycle,
    log_objects,
    security_services,
    selectors,
    trail_settings,
)
from transforms.rules.delivery_calls import DESCRIBE_DELIVERY
from transforms.rules.members import sent
from transforms.rules.resources import describe_resource
from transforms.rules.security_names import describe_names
from transforms.rules.touched import path_ownership, touched_names
from transforms.rules.watcher_calls import DESCRIBE_WATCHERS

_Describe = Callable[[Mapping[str, Any], LogPath], dict[str, Any]]


def derive(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """Compute the derived fields of one record.

    Args:
        event: The record under the vendor's names, None left out. Members of any type and shape are accepted.
        log_path: The declared trails, buckets and keys.

    Returns:
        `derived.resource`, `derived.ownership`, `derived.parameters_missing`, `derived.security_named` of what watches
        beside the trails, and those of the call that it is: text or bool. Which there are: docs/rules.md.
    """
    source, name = event.get("eventSource"), event.get("eventName")
    described = describe_resource(event, log_path)
    if declared_types(log_path) and described["derived.ownership"] == Ownership.UNKNOWN.value:
        described["derived.ownership"] = path_ownership(touched_names(event), log_path).value
    unseen = described["derived.parameters_missing"]
    described |= describe_names(event, described.get("derived.resource"), unseen=unseen)
    if described["derived.ownership"] == Ownership.OWN.value and "derived.security_named" in described:
        described["derived.security_named"] = True
    describe = DESCRIBE.get((source, name)) if isinstance(source, str) and isinstance(name, str) else None
    return described | describe(event, log_path) if describe else described


def _describe_channel(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    return {"derived.channel_destinations_sent": "destinations" in sent(event)}


def _for(source: str, describe: _Describe, *names: str) -> dict[tuple[str, str], _Describe]:
    return {(f"{source}.amazonaws.com", name): describe for name in names}


_PUBLIC_ACCESS_CALLS = (
    "PutBucketPublicAccessBlock",
    "PutAccountPublicAccessBlock",
    "PutPublicAccessBlock",
    "DeleteBucketPublicAccessBlock",
    "DeleteAccountPublicAccessBlock",
    "DeletePublicAccessBlock",
)
_OBJECT_CALLS = (
    "DeleteObject",
    "PutObject",
    "CopyObject",
    "CompleteMultipartUpload",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectTagging",
    "GetObject",
)

DESCRIBE: dict[tuple[str, str], _Describe] = {
    **_for("cloudtrail", trail_settings.describe_update, "UpdateTrail"),
    **_for("cloudtrail", trail_settings.describe_creation, "CreateTrail"),
    **_for("cloudtrail", selectors.describe_event_selectors, "PutEventSelectors"),
    **_for("cloudtrail", selectors.describe_insights, "PutInsightSelectors"),
    **_for("cloudtrail", selectors.describe_event_configuration, "PutEventConfiguration"),
    **_for("cloudtrail", selectors.describe_data_store, "UpdateEventDataStore"),
    **_for("cloudtrail", access_policies.describe_resource_policy, "PutResourcePolicy"),
    **_for("cloudtrail", _describe_channel, "UpdateChannel"),
    **_for("s3", buckets.describe_creation, "CreateBucket"),
    **_for("s3", access_policies.describe_bucket_policy, "PutBucketPolicy"),
    **_for("s3", access_policies.describe_resource_policy, "PutAccessPointPolicy"),
    **_for("s3", lifecycle.describe_lifecycle, "PutBucketLifecycle", "PutBucketLifecycleConfiguration"),
    **_for("s3", buckets.describe_object_lock, "PutBucketObjectLockConfiguration", "PutObjectLockConfiguration"),
    **_for("s3", buckets.describe_replication, "PutBucketReplication"),
    **_for("s3", buckets.describe_encryption, "PutBucketEncryption"),
    **_for("s3", buckets.describe_acl, "PutBucketAcl"),
    **_for("s3", buckets.describe_ownership_controls, "PutBucketOwnershipControls"),
    **_for("s3", buckets.describe_public_access, *_PUBLIC_ACCESS_CALLS),
    **_for("s3", buckets.describe_tiering, "PutBucketIntelligentTieringConfiguration"),
    **_for("s3", log_objects.describe_object, *_OBJECT_CALLS),
    **_for("s3", log_objects.describe_objects, "DeleteObjects"),
    **_for("s3", log_objects.describe_retention, "PutObjectRetention"),
    **_for("s3", log_objects.describe_object_encryption, "UpdateObjectEncryption"),
    **_for("kms", access_policies.describe_key_policy, "PutKeyPolicy"),
    **_for("kms", keys.describe_grant, "CreateGrant"),
    **_for("kms", keys.describe_material, "ImportKeyMaterial"),
    **DESCRIBE_WATCHERS,
    **DESCRIBE_DELIVERY,
    **_for("guardduty", security_services.describe_findings, "UpdateFindingsFeedback"),
    **_for("securityhub", security_services.describe_findings, "BatchUpdateFindings", "BatchUpdateFindingsV2"),
    **_for("access-analyzer", security_services.describe_findings, "UpdateFindings"),
    **_for("inspector2", security_services.describe_encryption_key, "UpdateEncryptionKey"),
    **_for("fms", security_services.describe_firewall_policy, "PutPolicy"),
    **_for("ssm", security_services.describe_document, "UpdateDocument"),
    **_for("ssm", security_services.describe_responder, "DeleteDocument", "UpdateDocumentDefaultVersion"),
    **_for("states", security_services.describe_responder, "DeleteStateMachine", "UpdateStateMachine", "StopExecution"),
}
"""What is derived for which call: eventSource and eventName to the function that describes it."""


def derived_fields() -> frozenset[str]:
    """Every field that `derive` can give: a rule that asks for another would never hold."""
    calls = ({"eventSource": source, "eventName": name} for source, name in DESCRIBE)
    return frozenset({"derived.resource", "derived.security_named"}.union(*(derive(call, LogPath()) for call in calls)))
