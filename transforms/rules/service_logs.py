"""Logs that services write of themselves: which call turns one off, as `derived.logging_off`.

Most of these calls set many things and name a log only if they change it: what is not sent is not turned off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.trails import LogPath
from transforms.rules.log_groups import is_outside
from transforms.rules.members import elements, member, parameters, text, texts, truth

_AUDIT_TYPES = frozenset({"audit", "authenticator"})
_FIREWALL_TYPES = frozenset({"ALERT", "FLOW"})
_BALANCER_LOGS = ("access_logs.s3.enabled", "connection_logs.s3.enabled")
_STAGE_LOGS = ("/accesslogsettings", "/logging/loglevel")
_ACCESS_LOGS = ("s3", "cloudWatchLogs", "kinesisDataFirehose")


def describe_balancer(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """ModifyLoadBalancerAttributes: access or connection logs off; a classic load balancer has an object for them."""
    attributes = elements(parameters(event, "attributes"))
    named = any(member(each, "key") in _BALANCER_LOGS and _is_off(member(each, "value")) for each in attributes)
    return _off(named or _is_off(member(parameters(event), "loadBalancerAttributes", "accessLog", "enabled")))


def describe_stage(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """UpdateStage: a patch that removes or empties the access log, or sets the log level OFF; HTTP APIs send levels."""
    sent = parameters(event)
    patches = [*elements(member(sent, "patchOperations")), *_nested(sent, "updateStageInput", "patchOperations")]
    level = member(sent, "defaultRouteSettings", "loggingLevel") == "OFF"
    destination = member(sent, "accessLogSettings", "destinationArn")
    return _off(any(map(_ends_stage_log, patches)) or level or destination == "")


def describe_cluster(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """UpdateClusterConfig of EKS: the audit or the authenticator log off."""
    setups = elements(member(parameters(event), "logging", "clusterLogging"))
    off = (set(texts(member(each, "types"))) for each in setups if _is_off(member(each, "enabled")))
    return _off(any(types & _AUDIT_TYPES for types in off))


def describe_database(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """ModifyDBInstance and ModifyDBCluster: the export of some log types to CloudWatch Logs ends."""
    exports = member(parameters(event), "cloudwatchLogsExportConfiguration")
    return _off(bool(elements(member(exports, "disableLogTypes"))))


def describe_domain(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """UpdateDomainConfig of OpenSearch: the audit log is not published."""
    return _off(_is_off(member(parameters(event), "logPublishingOptions", "AUDIT_LOGS", "enabled")))


def describe_endpoint(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """ModifyClientVpnEndpoint: the connection log off; ModifyVerifiedAccessInstanceLoggingConfiguration: a target."""
    sent = parameters(event, f"{event.get('eventName')}Request") or parameters(event)
    logs = member(sent, "accessLogs")
    targets = (member(logs, name, "enabled") for name in _ACCESS_LOGS)
    return _off(any(map(_is_off, (member(sent, "connectionLogOptions", "enabled"), *targets))))


def describe_function(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """PutFunctionEventInvokeConfig replaces all: events that fail go nowhere unless it names a destination."""
    return _off(not text(member(parameters(event), "destinationConfig", "onFailure", "destination")))


def describe_server(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """UpdateServer of Transfer Family: an empty list of log destinations, or an empty logging role."""
    sent = parameters(event)
    return _off(member(sent, "structuredLogDestinations") == [] or member(sent, "loggingRole") == "")


def describe_bucket_logging(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """PutBucketLogging: a status without a target turns server access logging off."""
    target = member(parameters(event), "BucketLoggingStatus", "LoggingEnabled", "TargetBucket")
    return _off(not text(target))


def describe_web_acl_log(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """PutLoggingConfiguration of WAF: a filter that drops records, hidden fields, or a destination outside."""
    setup = parameters(event, "loggingConfiguration")
    rules = member(setup, "loggingFilter")
    drops = [member(rules, "defaultBehavior"), *(member(each, "behavior") for each in _nested(rules, "filters"))]
    outside = is_outside(member(setup, "logDestinationConfigs"), event, log_path)
    return _off("DROP" in drops or bool(elements(member(setup, "redactedFields"))) or outside)


def describe_firewall_log(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """UpdateLoggingConfiguration of Network Firewall: alerts or flows have no destination among those that stay."""
    setups = elements(member(parameters(event), "loggingConfiguration", "logDestinationConfigs"))
    return _off(not {text(member(each, "logType")) for each in setups} >= _FIREWALL_TYPES)


def describe_flow_log(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """CreateFlowLogs: not all traffic, or a destination or role in an account outside."""
    sent = parameters(event, "CreateFlowLogsRequest") or parameters(event)
    ends = [member(sent, name) for name in ("logDestination", "deliverCrossAccountRole")]
    narrowed = member(sent, "trafficType") not in (None, "ALL")
    return _off(narrowed or any(is_outside(end, event, log_path) for end in ends))


def _off(value: bool) -> dict[str, Any]:  # noqa: FBT001 - the field's value
    return {"derived.logging_off": value}


def _is_off(value: Any) -> bool:
    return truth(value) is False


def _nested(value: Any, *path: str) -> Iterator[Any]:
    yield from elements(member(value, *path))


def _ends_stage_log(patch: Any) -> bool:
    path = (text(member(patch, "path")) or "").lower()
    removed = member(patch, "op") == "remove" or member(patch, "value") in ("OFF", "", None)
    return removed and any(log in path for log in _STAGE_LOGS)
