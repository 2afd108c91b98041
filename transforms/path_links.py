"""What calls show of how the log path is joined up: which resource leads to which.

Each link counts only once its first end is on the path: anybody may subscribe anything to topics of their own. Members
are those of facts §4 and of the services' API references; all of them may be missing or of any type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from transforms.path_names import canonical
from transforms.rules.members import at, document, elements, member, parameters, strings_of, text, texts
from transforms.rules.named_resources import resource_arn
from transforms.rules.policies import CLOUDTRAIL, Statement, statements
from transforms.rules.resources import Kind, resources_of
from transforms.rules.touched import touched_names

_LINKS_KEPT = 50  # of one call
_SOURCE, _TRAIL_CONTEXT = "aws:sourcearn", "kms:encryptioncontext:aws:cloudtrail:arn"
_CONTEXTS = ("encryptionContextSubset", "encryptionContextEquals")
_TRAIL_MEMBER = "aws:cloudtrail:arn"
_AWS_KEY = "alias/aws/"


class Link(NamedTuple):
    """What leads where, under canonical names."""

    resource: str
    to: str


_Show = Callable[[Mapping[str, Any]], Iterator[Link]]


def links_of(event: Mapping[str, Any]) -> tuple[Link, ...]:
    """The links that a successful call shows, each once."""
    source, name = event.get("eventSource"), event.get("eventName")
    show = SHOWS.get((source, name)) if isinstance(source, str) and isinstance(name, str) else None
    found = dict.fromkeys(show(event)) if show else {}
    return tuple(each for each in found if each.resource and each.to and each.resource != each.to)[:_LINKS_KEPT]


def trail_key_links(trail: str | None, key: str | None, path: str | None) -> Iterator[Link]:
    """What an encryption context for a trail's logs shows: its key, and its bucket."""
    for to in (key, path):
        if trail and to and _is_one(trail):
            yield Link(canonical(trail), canonical(to))


def _touched(event: Mapping[str, Any]) -> str:
    return next(iter(touched_names(event)), "")


def _key(event: Mapping[str, Any], value: Any) -> str:
    """A key as a request names it: by id, ARN or alias; AWS's own are nobody's."""
    name = text(value) or ""
    if not name or _AWS_KEY in name:
        return ""
    if name.startswith("alias/"):
        return canonical(resource_arn(event, "kms", name))
    return canonical(name if name.startswith(("arn:", "key/")) else f"key/{name}")


def _is_one(arn: str) -> bool:
    return arn.startswith("arn:") and "?" not in arn and "*" not in canonical(arn)


def _sources(allowed: Iterable[Statement], *keys: str) -> Iterator[str]:
    """The resources that statements let in by name."""
    for statement in allowed:
        values = [value for key in keys for value in statement.values_of(key) or ()]
        yield from (canonical(value) for value in values if statement.allows and _is_one(value))


def _from_trails(event: Mapping[str, Any], policy: Any) -> Iterator[Link]:
    """A bucket's or key's policy lets CloudTrail in for the trails that it names."""
    for_trails = (each for each in statements(policy) if CLOUDTRAIL in each.services)
    for trail in _sources(for_trails, _SOURCE, _TRAIL_CONTEXT):
        if ":trail/" in trail:
            yield Link(trail, _touched(event))


def _bucket_policy(event: Mapping[str, Any]) -> Iterator[Link]:
    return _from_trails(event, parameters(event, "bucketPolicy"))


def _key_policy(event: Mapping[str, Any]) -> Iterator[Link]:
    return _from_trails(event, parameters(event, "policy"))


def _grant(event: Mapping[str, Any]) -> Iterator[Link]:
    constraints = member(parameters(event), "constraints")
    for name in _CONTEXTS:
        trail = text(at(member(constraints, name), _TRAIL_MEMBER))
        yield from trail_key_links(trail, next(_keys_of(event), None), None)


def _keys_of(event: Mapping[str, Any]) -> Iterator[str]:
    return (each.name for each in resources_of(event) if each.kind is Kind.KEY)


def _bucket_key(event: Mapping[str, Any]) -> Iterator[Link]:
    for rule in elements(member(parameters(event, "ServerSideEncryptionConfiguration"), "Rule")):
        value = member(rule, "ApplyServerSideEncryptionByDefault", "KMSMasterKeyID")
        yield Link(_touched(event), _key(event, value))


def _bucket_notification(event: Mapping[str, Any]) -> Iterator[Link]:
    sent = strings_of(parameters(event, "NotificationConfiguration"))
    for name in sorted(name for name in sent if name.startswith("arn:") and name.count(":") > 4):
        yield Link(_touched(event), canonical(name))


def _topic(event: Mapping[str, Any]) -> Iterator[Link]:
    """SetTopicAttributes, one attribute a call; CreateTopic, all at once."""
    sent = parameters(event)
    named = {text(at(sent, "attributeName")) or "": at(sent, "attributeValue")}
    topic = _touched(event) or canonical(text(at(event, "responseElements", "topicArn")) or "")
    return _attributes(event, at(sent, "attributes") or named, topic)


def _queue(event: Mapping[str, Any]) -> Iterator[Link]:
    queue = _touched(event) or canonical(text(at(event, "responseElements", "queueUrl")) or "")
    return _attributes(event, parameters(event, "attributes"), queue)


def _attributes(event: Mapping[str, Any], attributes: Any, resource: str) -> Iterator[Link]:
    for source in _sources(statements(at(attributes, "Policy")), _SOURCE):
        yield Link(source, resource)
    yield Link(resource, _key(event, at(attributes, "KmsMasterKeyId")))


def _subscription(event: Mapping[str, Any]) -> Iterator[Link]:
    endpoint = text(parameters(event, "endpoint")) or ""
    if _is_one(endpoint):
        yield Link(_touched(event), canonical(endpoint))


def _rule(event: Mapping[str, Any]) -> Iterator[Link]:
    """A rule for what happens in buckets that its pattern names."""
    pattern = document(parameters(event, "eventPattern"))
    for bucket in texts(at(pattern, "detail", "bucket", "name")):
        yield Link(canonical(bucket), _touched(event))


def _targets(event: Mapping[str, Any]) -> Iterator[Link]:
    for target in elements(member(parameters(event), "targets")):
        for name in (text(member(target, "arn")), text(member(target, "roleArn"))):
            yield Link(_touched(event), canonical(name or ""))


def _log_group(event: Mapping[str, Any]) -> Iterator[Link]:
    """A subscription filter's destination and role, or a log group's key."""
    for name in ("destinationArn", "roleArn"):
        yield Link(_log_group_of(event), canonical(text(parameters(event, name)) or ""))
    yield Link(_log_group_of(event), _key(event, parameters(event, "kmsKeyId")))


def _log_group_of(event: Mapping[str, Any]) -> str:
    return next((each for each in touched_names(event) if ":log-group:" in each), "")


def _mapping(event: Mapping[str, Any]) -> Iterator[Link]:
    """A queue or stream that a function reads."""
    source, function = text(parameters(event, "eventSourceArn")), text(parameters(event, "functionName")) or ""
    named = function if function.startswith("arn:") else resource_arn(event, "lambda", f"function:{function}")
    yield Link(canonical(source or ""), canonical(named) if function else "")


SHOWS: Mapping[tuple[str, str], _Show] = {
    ("s3.amazonaws.com", "PutBucketPolicy"): _bucket_policy,
    ("s3.amazonaws.com", "PutBucketEncryption"): _bucket_key,
    ("s3.amazonaws.com", "PutBucketNotification"): _bucket_notification,
    ("s3.amazonaws.com", "PutBucketNotificationConfiguration"): _bucket_notification,
    ("kms.amazonaws.com", "PutKeyPolicy"): _key_policy,
    ("kms.amazonaws.com", "CreateGrant"): _grant,
    ("sns.amazonaws.com", "CreateTopic"): _topic,
    ("sns.amazonaws.com", "SetTopicAttributes"): _topic,
    ("sns.amazonaws.com", "Subscribe"): _subscription,
    ("sqs.amazonaws.com", "CreateQueue"): _queue,
    ("sqs.amazonaws.com", "SetQueueAttributes"): _queue,
    ("events.amazonaws.com", "PutRule"): _rule,
    ("events.amazonaws.com", "PutTargets"): _targets,
    ("logs.amazonaws.com", "PutSubscriptionFilter"): _log_group,
    ("logs.amazonaws.com", "AssociateKmsKey"): _log_group,
    ("lambda.amazonaws.com", "CreateEventSourceMapping20150331"): _mapping,
}
"""eventSource and eventName of each call that shows links, and how."""
