"""PutBucketPolicy, PutKeyPolicy and the policies of access points and CloudTrail resources, for the log path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from schemas.trails import LogPath, Trail
from transforms.rules.members import at, parameters, text, truth
from transforms.rules.ownership import inside_accounts
from transforms.rules.policies import CLOUDTRAIL, Statement, glob_matches, mentions, statements
from transforms.rules.resources import is_own

_DELIVERY = ("s3:putobject", "s3:getbucketacl")
_READING = ("s3:getobject", "s3:listbucket")
_SOURCE_KEYS = ("aws:sourcearn", "aws:sourceorgid", "aws:sourceaccount")
# Condition keys that hold the ARN of the trail that CloudTrail delivers for.
_TRAIL_KEYS = ("aws:sourcearn", "kms:encryptioncontext:aws:cloudtrail:arn")
_PARTITION = re.compile(r"^arn:[^:]*:")
_ENCRYPTION = ("kms:generatedatakey", "kms:describekey")
_DECRYPTION = "kms:decrypt"
_ADMINISTRATION = (
    "kms:putkeypolicy",
    "kms:schedulekeydeletion",
    "kms:disablekey",
    "kms:deleteimportedkeymaterial",
    "kms:creategrant",
    "kms:revokegrant",
    "kms:updateprimaryregion",
)


def describe_bucket_policy(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """Whether a log bucket's new policy locks CloudTrail or readers out, lets outsiders in, or trusts every trail.

    "Locks out" is said only of a bucket that is declared, or whose policy itself mentions CloudTrail or AWSLogs: any
    other bucket's policy rightly says nothing of CloudTrail.
    """
    policy = parameters(event, "bucketPolicy")
    found, bucket = statements(policy), text(parameters(event, "bucketName")) or ""
    is_log_bucket = is_own(event, log_path) or mentions(policy, CLOUDTRAIL, "AWSLogs")
    locks_out = _denies(found, (*_DELIVERY, *_READING)) or not _delivers(found, bucket, log_path)
    return {
        "derived.policy_locks_out": is_log_bucket and locks_out,
        "derived.policy_outside_principal": _lets_outsiders_in(found, event, log_path),
        "derived.policy_source_unconfined": any(map(_is_source_unconfined, found)),
    }


def describe_key_policy(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """The same for a key: CloudTrail must encrypt with it and someone must decrypt; no outsider may administer it."""
    policy = parameters(event, "policy")
    found, inside = statements(policy), inside_accounts(event, log_path)
    is_log_key = is_own(event, log_path) or mentions(policy, "cloudtrail")
    arns = [_arn(trail) for trail in log_path.trails if trail.kms_key]
    encrypts = all(_allows(found, action, arns) for action in _ENCRYPTION)
    decrypts = any(each.allows and each.principals and each.covers(_DECRYPTION) for each in found)
    denies = _denies(found, (*_ENCRYPTION, _DECRYPTION))
    administered = [each for each in found if each.allows and any(map(each.covers, _ADMINISTRATION))]
    return {
        "derived.policy_locks_out": is_log_key and (denies or not encrypts or not decrypts),
        "derived.policy_outside_principal": any(each.outside_of(inside) for each in administered),
        "derived.policy_lockout_check_bypassed": truth(parameters(event, "bypassPolicyLockoutSafetyCheck")) is True,
    }


def describe_resource_policy(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """For a CloudTrail resource or an access point: outsiders allowed, or anyone denied."""
    found = statements(_policy(event))
    return {
        "derived.policy_outside_principal": _lets_outsiders_in(found, event, log_path),
        "derived.policy_denies": any(not each.allows and not each.is_about_transport for each in found),
    }


def _policy(event: Mapping[str, Any]) -> Any:
    sent = parameters(event)
    nested = at(sent, "PutAccessPointPolicyRequest", "Policy")
    named = (at(sent, name) for name in ("resourcePolicy", "policy", "Policy"))
    return next((found for found in named if found is not None), nested)


def _lets_outsiders_in(found: list[Statement], event: Mapping[str, Any], log_path: LogPath) -> bool:
    inside = inside_accounts(event, log_path)
    return any(each.allows and each.outside_of(inside) for each in found)


def _denies(found: list[Statement], actions: tuple[str, ...]) -> bool:
    """A Deny for CloudTrail or any principal: which of them are readers is not in the record."""
    hitting = [each for each in found if not each.allows and (each.is_for_cloudtrail or each.principals)]
    return any(not each.is_about_transport and any(map(each.covers, actions)) for each in hitting)


def _allows(found: list[Statement], action: str, arns: list[str]) -> bool:
    """Whether CloudTrail may do something for one of the trails, or for any where none is known."""
    return any(each.allows and each.is_for_cloudtrail and each.covers(action) and _trusts(each, arns) for each in found)


def _delivers(found: list[Statement], bucket: str, log_path: LogPath) -> bool:
    """Whether CloudTrail may still ask for the bucket's ACL and put objects under AWSLogs, for a trail of ours."""
    trails = [trail for trail in log_path.trails if trail.bucket == bucket]
    accounts, arns = {trail.account for trail in trails}, [_arn(trail) for trail in trails]
    reaching = [each for each in found if any(_reaches_logs(resource, accounts) for resource in each.resources)]
    return _allows(reaching, "s3:putobject", arns) and _allows(found, "s3:getbucketacl", arns)


def _arn(trail: Trail) -> str:
    return f"arn:aws:cloudtrail:{trail.home_region}:{trail.account}:trail/{trail.name}"


def _trusts(statement: Statement, arns: list[str]) -> bool:
    """Whether every condition on the trail's ARN admits one of these; partitions are not told apart."""
    conditions = [values for key in _TRAIL_KEYS if (values := statement.values_of(key)) is not None]
    patterns = [[_PARTITION.sub("arn:aws:", value) for value in values] for values in conditions]
    return not arns or all(any(glob_matches(each, arn) for each in values for arn in arns) for values in patterns)


def _reaches_logs(resource: str, accounts: set[str]) -> bool:
    """Whether a Resource takes in where logs go: AWSLogs/ of an organization, or of an account of ours if known."""
    if not resource.endswith("*"):
        return False
    before, logs, folders = resource.rpartition(":::")[2].partition("/")[2].partition("AWSLogs/")
    if not logs:
        return not before.rstrip("*")
    return not accounts or folders.startswith("o-") or any(glob_matches(folders, f"{each}/") for each in accounts)


def _is_source_unconfined(statement: Statement) -> bool:
    """A statement for CloudTrail to write that any trail of any account satisfies (a confused deputy)."""
    writes = statement.allows and CLOUDTRAIL in statement.services and statement.covers("s3:putobject")
    return writes and all("*" in (statement.values_of(key) or ("*",)) for key in _SOURCE_KEYS)
