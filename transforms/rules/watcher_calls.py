"""What is derived for which call on what watches beside the trails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schemas.trails import LogPath
from transforms.rules import alarms, log_groups, recorders, service_logs

_Describe = Callable[[Mapping[str, Any], LogPath], dict[str, Any]]


def _for(source: str, describe: _Describe, *names: str) -> dict[tuple[str, str], _Describe]:
    return {(f"{source}.amazonaws.com", name): describe for name in names}


_ENDPOINT_CALLS = ("ModifyClientVpnEndpoint", "ModifyVerifiedAccessInstanceLoggingConfiguration")

DESCRIBE_WATCHERS: dict[tuple[str, str], _Describe] = {
    **_for("logs", log_groups.describe_retention, "PutRetentionPolicy"),
    **_for("logs", log_groups.describe_key, "AssociateKmsKey"),
    **_for("logs", log_groups.describe_writers, "PutResourcePolicy"),
    **_for("logs", log_groups.describe_delivery_policy, "PutDeliveryDestinationPolicy"),
    **_for("logs", log_groups.describe_destination, "PutSubscriptionFilter"),
    **_for("logs", log_groups.describe_switch, "PutLogGroupDeletionProtection", "UpdateLogAnomalyDetector"),
    **_for("monitoring", alarms.describe_alarm, "PutMetricAlarm"),
    **_for("monitoring", alarms.describe_composite_alarm, "PutCompositeAlarm"),
    **_for("events", alarms.describe_permission, "PutPermission"),
    **_for("config", recorders.describe_recorder, "PutConfigurationRecorder"),
    **_for("config", recorders.describe_kept, "PutRetentionConfiguration"),
    **_for("ec2", service_logs.describe_flow_log, "CreateFlowLogs"),
    **_for("ec2", service_logs.describe_endpoint, *_ENDPOINT_CALLS),
    **_for("elasticloadbalancing", service_logs.describe_balancer, "ModifyLoadBalancerAttributes"),
    **_for("apigateway", service_logs.describe_stage, "UpdateStage"),
    **_for("eks", service_logs.describe_cluster, "UpdateClusterConfig"),
    **_for("rds", service_logs.describe_database, "ModifyDBInstance", "ModifyDBCluster"),
    **_for("es", service_logs.describe_domain, "UpdateDomainConfig", "UpdateElasticsearchDomainConfig"),
    **_for("lambda", service_logs.describe_function, "PutFunctionEventInvokeConfig"),
    **_for("transfer", service_logs.describe_server, "UpdateServer"),
    **_for("s3", service_logs.describe_bucket_logging, "PutBucketLogging"),
    **_for("wafv2", service_logs.describe_web_acl_log, "PutLoggingConfiguration"),
    **_for("network-firewall", service_logs.describe_firewall_log, "UpdateLoggingConfiguration"),
}
"""eventSource and eventName to the function that describes the call."""
