"""CreateTrail and UpdateTrail: which settings a call changes for the worse.

Only the members that were sent appear in requestParameters (facts §4). The trail's previous state is not in the
record: where the configuration declares it, the value is compared with that; elsewhere sending it counts as a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.trails import LogPath, Ownership, Trail
from transforms.rules.members import parameters, sent, text, truth
from transforms.rules.ownership import declared_trail


def describe_update(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """What UpdateTrail turns off, clears or diverts; `derived.trail_change_listed` if it is any of that."""
    members, declared = sent(event), declared_trail(event, log_path)
    changes = {
        "derived.trail_diverted": _is_diverted(members, declared),
        "derived.trail_key_changed": _is_key_changed(members, declared),
        "derived.trail_single_region": truth(members.get("isMultiRegionTrail")) is False,
        "derived.trail_global_events_off": truth(members.get("includeGlobalServiceEvents")) is False,
        "derived.trail_organization_off": truth(members.get("isOrganizationTrail")) is False,
        "derived.trail_validation_off": truth(members.get("enableLogFileValidation")) is False,
        "derived.trail_notification_changed": "snsTopicName" in members,
        "derived.trail_log_group_changed": "cloudWatchLogsLogGroupArn" in members or "cloudWatchLogsRoleArn" in members,
    }
    return {**changes, "derived.trail_change_listed": any(changes.values())}


def describe_creation(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """Whether CreateTrail delivers to a bucket that no declared trail uses; True where nothing can be told."""
    bucket = text(parameters(event, "s3BucketName"))
    return {"derived.trail_diverted": bucket is None or log_path.owns_bucket(bucket) is not Ownership.OWN}


def _is_diverted(members: Mapping[str, Any], declared: Trail | None) -> bool:
    """Another bucket, or a key prefix; an empty prefix beside the declared bucket is how the console repeats it."""
    bucket, prefix = members.get("s3BucketName"), members.get("s3KeyPrefix")
    if declared is None or (bucket is not None and bucket != declared.bucket):
        return bucket is not None or "s3KeyPrefix" in members
    return bool(prefix) or ("s3KeyPrefix" in members and bucket is None)


def _is_key_changed(members: Mapping[str, Any], declared: Trail | None) -> bool:
    if "kmsKeyId" not in members:
        return False
    key = text(members["kmsKeyId"]) or ""
    if declared is None:
        return True
    if declared.kms_key is None or not key:
        return key != (declared.kms_key or "")
    return LogPath(trails=(declared,)).owns_key(key) is not Ownership.OWN
