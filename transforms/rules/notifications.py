"""Topics, queues and mappings that tell of new log objects: what keeps them from telling, and who listens in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.trails import LogPath, Ownership
from transforms.rules.log_objects import is_caller_outside
from transforms.rules.members import at, document, elements, number, parameters, text, texts, truth
from transforms.rules.ownership import account_of, inside_accounts
from transforms.rules.policies import CLOUDTRAIL, Statement, statements

RETENTION_FLOOR_S = 4 * 24 * 3600
"""Messages kept for less than SQS's own default (4 days) are lost over a weekend without a reader."""

VISIBILITY_CEILING_S = 3600
"""Messages hidden for longer after one read are as good as lost to whoever waits for them; the default is 30 s."""

MESSAGE_FLOOR_BYTES = 262_144
"""What SQS took by default for years; SNS sends messages of up to this size."""

_S3 = "s3.amazonaws.com"
_SNS = "sns.amazonaws.com"
_PUBLISH = "sns:publish"
_SEND = "sqs:sendmessage"
_READ = ("sqs:receivemessage", "sqs:deletemessage")
_BATCH_FAILURES = "ReportBatchItemFailures"


def describe_topic(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """SetTopicAttributes: a policy by which neither CloudTrail nor S3 may publish, or a key that is not declared."""
    name, value = text(parameters(event, "attributeName")), parameters(event, "attributeValue")
    found = statements(value)
    locks_out = not _lets(found, _PUBLISH, (CLOUDTRAIL, _S3)) or _denies(found, (_PUBLISH,))
    return {
        "derived.policy_locks_out": name == "Policy" and locks_out,
        "derived.key_not_declared": name == "KmsMasterKeyId" and _is_foreign_key(value, log_path),
    }


def describe_queue(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """SetQueueAttributes: whom the policy locks out, which limits lose messages, where messages that fail go."""
    sent = parameters(event, "attributes")
    policy = at(sent, "Policy")
    found = statements(policy)
    locks_out = not _lets(found, _SEND, (_S3, _SNS)) or _denies(found, (_SEND, *_READ))
    return {
        "derived.policy_locks_out": policy is not None and locks_out,
        "derived.queue_limits_weakened": _are_limits_weak(sent),
        "derived.queue_redrive_weakened": _is_redrive_weak(sent, event, log_path),
        "derived.key_not_declared": _is_foreign_key(at(sent, "KmsMasterKeyId"), log_path),
    }


def describe_subscription(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """Subscribe: True for an endpoint of an outside account, or one that names no account (e-mail, SMS, HTTPS)."""
    endpoint = text(parameters(event, "endpoint")) or ""
    return {"derived.endpoint_outside": account_of(endpoint) not in inside_accounts(event, log_path)}


def describe_mapping(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """UpdateEventSourceMapping: True if it is disabled, gets a filter, or stops reporting which messages failed."""
    types = parameters(event, "functionResponseTypes")
    filters = elements(parameters(event, "filterCriteria", "filters"))
    silent = isinstance(types, list) and _BATCH_FAILURES not in texts(types)
    return {"derived.mapping_weakened": truth(parameters(event, "enabled")) is False or bool(filters) or silent}


def describe_caller(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """Whether the caller is of an account that is not inside; AWS services are no outsiders."""
    return {"derived.caller_outside": is_caller_outside(event, log_path)}


def _lets(found: Iterable[Statement], action: str, services: tuple[str, ...]) -> bool:
    """Whether one of the services may; anyone of the topic's own account (the default policy) is no service."""
    return any(
        each.allows and each.covers(action) and (each.services.intersection(services) or _is_for_services(each))
        for each in found
    )


def _is_for_services(statement: Statement) -> bool:
    return statement.is_for_anyone and statement.values_of("aws:sourceowner") is None


def _denies(found: Iterable[Statement], actions: tuple[str, ...]) -> bool:
    """A Deny for any service or principal: which of them send and read is not in the record."""
    return any(not each.allows and not each.is_about_transport and any(map(each.covers, actions)) for each in found)


def _is_foreign_key(value: Any, log_path: LogPath) -> bool:
    """A key that is not declared; an empty value turns encryption off, which loses nothing."""
    key = text(value)
    return bool(key) and log_path.owns_key(key or "") is not Ownership.OWN


def _are_limits_weak(sent: Any) -> bool:
    kept, hidden = number(at(sent, "MessageRetentionPeriod")), number(at(sent, "VisibilityTimeout"))
    delay, size = number(at(sent, "DelaySeconds")), number(at(sent, "MaximumMessageSize"))
    return (
        (kept is not None and kept < RETENTION_FLOOR_S)
        or (hidden is not None and not 0 < hidden <= VISIBILITY_CEILING_S)
        or (delay or 0) > 0
        or (size is not None and size < MESSAGE_FLOOR_BYTES)
    )


def _is_redrive_weak(sent: Any, event: Mapping[str, Any], log_path: LogPath) -> bool:
    """No queue for failed messages any more, one read and a message is gone, or the queue is another account's."""
    policy = at(sent, "RedrivePolicy")
    if policy is None:
        return False
    redrive = document(policy)
    target, reads = text(at(redrive, "deadLetterTargetArn")), number(at(redrive, "maxReceiveCount"))
    outside = target is not None and account_of(target) not in inside_accounts(event, log_path)
    return target is None or outside or (reads is not None and reads <= 1)
