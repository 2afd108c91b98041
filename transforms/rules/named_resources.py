"""Which request members name the resource of a call, for services that many workloads share: names become ARNs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transforms.rules.members import at, elements, parameters, text
from transforms.rules.ownership import caller_account

_Named = tuple[tuple[str, str | None], ...]

# Service: request members that name a resource, best first, each with the resource part of the ARN that a bare value
# stands for. A part may take in other members; None is for values that are used as they are.
_MEMBERS: dict[str, _Named] = {
    "account": (("regionName", None), ("accountId", None)),
    "athena": (("workGroup", "workgroup/{workGroup}"),),
    "cloudformation": (("stackName", "stack/{stackName}"), ("stackSetName", "stackset/{stackSetName}")),
    "controltower": (
        ("landingZoneIdentifier", None),
        ("enabledBaselineIdentifier", None),
        ("enabledControlIdentifier", None),
        ("controlIdentifier", None),
    ),
    "ec2": (("vpcEndpointId", "vpc-endpoint/{vpcEndpointId}"),),
    "ecs": (("service", "service/{cluster}/{service}"),),
    "elasticmapreduce": (("jobFlowIds", "cluster/{jobFlowIds}"),),
    "firehose": (("deliveryStreamName", "deliverystream/{deliveryStreamName}"),),
    "iam": (
        ("roleName", "role/{roleName}"),
        ("policyArn", None),
        ("userName", "user/{userName}"),
        ("instanceProfileName", "instance-profile/{instanceProfileName}"),
    ),
    "kinesis": (("streamARN", None), ("streamName", "stream/{streamName}"), ("consumerARN", None)),
    "kinesisanalytics": (("applicationName", "application/{applicationName}"),),
    "lambda": (("functionName", "function:{functionName}"), ("uUID", "event-source-mapping:{uUID}")),
    "organizations": (
        ("accountId", None),
        ("policyId", None),
        ("servicePrincipal", None),
        ("policyType", None),
    ),
    "pipes": (("name", "pipe/{name}"),),
    "s3tables": (("tableBucketARN", None),),
    "scheduler": (("name", "schedule/{groupName}/{name}"),),
    "securitylake": (("subscriberId", None), ("sourceName", None)),
    "sns": (("topicArn", None), ("subscriptionArn", None), ("resourceArn", None)),
    "sqs": (("queueUrl", None), ("sourceArn", None)),
    "sts": (("roleArn", None),),
}
_TABLE = "table/{databaseName}/{name}"
_MEMBERS_OF_CALL: dict[tuple[str, str], _Named] = {
    ("glue", "BatchDeletePartition"): (("tableName", "table/{databaseName}/{tableName}"),),
    ("glue", "DeleteDatabase"): (("name", "database/{name}"),),
    ("glue", "DeleteTable"): (("name", _TABLE),),
    ("glue", "UpdateTable"): (("tableInput", "table/{databaseName}/{tableInput}"), ("name", _TABLE)),
    ("scheduler", "DeleteScheduleGroup"): (("name", "schedule-group/{name}"),),
}
_ABOUT_THE_CALLER = frozenset({("organizations", "LeaveOrganization")})  # they name nothing but who makes them
_DEFAULT = "default"  # the cluster or schedule group that AWS takes where none is named
_WITHOUT_REGION = ("iam",)
_TOPIC_PARTS = 6  # of an ARN; a subscription's has one more


def named_resources(event: Mapping[str, Any]) -> Iterator[str]:
    """ARNs of what the request names, best first; ids as they are.

    A member may be spelt with a capital letter, as some services write it, be wrapped in one member `…Request` and be
    an object with its `content` (EC2), or be an object with a `name` (Glue).
    """
    service = (text(event.get("eventSource")) or "").partition(".")[0]
    sent = _unwrapped(parameters(event))
    call = (service, text(event.get("eventName")) or "")
    for member, part in _MEMBERS_OF_CALL.get(call, _MEMBERS.get(service, ())):
        for name in _names(sent, member):
            yield _spelt(event, service, name, None if part is None else _filled(part, sent, {member: name}))
    account = caller_account(event)
    if call in _ABOUT_THE_CALLER and account:
        yield account


def resource_arn(event: Mapping[str, Any], service: str, part: str, account: str | None = None) -> str:
    """The ARN that a bare name stands for: in the account given, else the caller's, and the call's Region."""
    region = text(event.get("awsRegion")) or ""
    partition = next((f"aws-{each}" for each in ("cn", "us-gov") if region.startswith(f"{each}-")), "aws")
    place = "" if service in _WITHOUT_REGION else region
    return f"arn:{partition}:{service}:{place}:{account or caller_account(event) or ''}:{part}"


def _unwrapped(sent: Any) -> Any:
    if isinstance(sent, dict) and len(sent) == 1:
        name, inner = next(iter(sent.items()))
        return inner if name.endswith("Request") else sent
    return sent


def _names(sent: Any, member: str) -> list[str]:
    """The texts that a member holds, in either spelling of its first letter."""
    found = elements(at(sent, member)) or elements(at(sent, member[:1].upper() + member[1:]))
    texts = (text(each) or text(at(each, "content")) or text(at(each, "name")) for each in found)
    return [name for name in texts if name]


def _filled(part: str, sent: Any, known: dict[str, str]) -> str:
    """The resource part of an ARN with the names that it takes in; the default where one is not sent."""
    for piece in part.split("{")[1:]:
        member = piece.partition("}")[0]
        name = known.get(member) or next(iter(_names(sent, member)), _DEFAULT)
        part = part.replace(f"{{{member}}}", name.rpartition("/")[2] if name.startswith("arn:") else name)
    return part


def _spelt(event: Mapping[str, Any], service: str, name: str, part: str | None) -> str:
    """A name as the ARN that it stands for: a subscription as its topic, a queue's URL as the queue."""
    if name.startswith("arn:"):
        return ":".join(name.split(":")[:_TOPIC_PARTS]) if service == "sns" else name
    if service == "sqs" and name.count("/") > 1:
        *_, account, queue = name.split("/")
        return resource_arn(event, service, queue, account)
    return name if part is None else resource_arn(event, service, part)
