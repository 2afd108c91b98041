"""What watches beside the trails (log groups, alarms, event rules, recorders, service logs): what a call touched.

Which alarm or log group serves detection is in no record. Names tell most of the time: `security_named` looks for the
words that detections, their log groups and the products that read them go by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from transforms.rules.members import member, parameters, text, texts

# Service: members of requestParameters that name what is touched, the most telling first; a dot is a step down.
_NAMING: dict[str, tuple[str, ...]] = {
    "logs": (
        *("filterName", "destinationName", "policyName", "deliveryDestinationName", "anomalyDetectorArn", "taskId"),
        *("logGroupName", "logGroupIdentifier", "resourceIdentifier", "resourceArn", "identifier", "name", "id"),
    ),
    "monitoring": (
        *("alarmNames", "alarmName", "muteTargets.alarmNames", "names", "ruleNames", "dashboardNames", "name"),
        "alarmMuteRuleName",
    ),
    "events": ("rule", "name", "archiveName", "eventBusName"),
    "config": (
        *("configRuleName", "organizationConfigRuleName", "conformancePackName", "organizationConformancePackName"),
        *("remediationConfigurations.configRuleName", "configurationRecorderName", "configurationRecorder.name"),
        *(
            "configurationRecorderArn",
            "arn",
            "deliveryChannelName",
            "deliveryChannel.name",
            "configurationAggregatorName",
        ),
        *("authorizedAccountId", "requesterAccountId", "retentionConfigurationName", "resourceId", "servicePrincipal"),
    ),
    "oam": ("identifier", "sinkIdentifier"),
    "observabilityadmin": ("ruleIdentifier", "pipelineIdentifier"),
    "ec2": (
        *("FlowLogId.content", "FlowLogId", "ResourceId.content", "ResourceId", "TrafficMirrorSessionId"),
        *("ClientVpnEndpointId", "VerifiedAccessInstanceId"),
    ),
    "route53resolver": (
        *("resolverQueryLogConfigId", "firewallRuleGroupAssociationId", "firewallRuleGroupId", "arn", "resourceId"),
    ),
    "route53": ("id",),
    "ram": ("resourceShareArn",),
    "wafv2": ("resourceArn", "loggingConfiguration.resourceArn", "name"),
    "network-firewall": ("firewallArn", "firewallName"),
    "shield": ("logBucket",),
    "elasticloadbalancing": ("loadBalancerArn", "loadBalancerName"),
    "cloudfront": ("id", "distributionId", "name", "arn"),
    "apigateway": ("restApiId", "apiId"),
    "eks": ("name",),
    "rds": ("dBInstanceIdentifier", "dBClusterIdentifier", "resourceArn"),
    "redshift": ("clusterIdentifier",),
    "es": ("domainName",),
    "vpc-lattice": ("accessLogSubscriptionIdentifier",),
    "lambda": ("functionName",),
    "ecs": ("cluster",),
    "ses": ("configurationSetName",),
    "transfer": ("serverId",),
    "workspaces-web": ("userAccessLoggingSettingsArn",),
    "guardduty": ("detectorId", "malwareProtectionPlanId", "adminAccountId"),
    "securityhub": (
        *("StandardsSubscriptionArns", "StandardsControlArn", "SecurityControlId", "InsightArn", "ActionTargetArn"),
        *("FindingAggregatorArn", "AggregatorV2Arn", "ProductSubscriptionArn", "ConnectorId", "Identifier"),
        *("AutomationRulesArns", "RuleName", "AdminAccountId", "AccountIds"),
    ),
    "macie2": ("id", "jobId", "adminAccountId"),
    "inspector2": ("filterArn", "accountId", "delegatedAdminAccountId", "accountIds"),
    "detective": ("GraphArn",),
    "access-analyzer": ("analyzerArn", "analyzerName"),
    "auditmanager": ("assessmentId", "adminAccountId"),
    "fms": ("policyId", "policy.policyName"),
    "ssm": ("name", "automationExecutionId", "syncName", "settingId"),
    "states": ("stateMachineArn", "executionArn"),
    "notifications": ("notificationConfigurationArn", "arn"),
    "chatbot": ("ChatConfigurationArn",),
    "security-ir": ("membershipId",),
}
_SECURITY = re.compile(
    # what is watched
    r"secur|trail|audit|forensic|complian|threat|intrusion|incident|detect|tamper|canar|malware|unauthori|mfa|nacl"
    r"|sign[-_ ]?in|console[-_ ]?log|root[-_ ]?(?:acc|user|log|us)|(?:iam|policy|bucket|key|cmk|acl|vpc|gateway"
    r"|route[-_ ]?table|group|config|organi[sz]ations?)[-_ ]?change"
    # what watches it
    r"|guard[-_ ]?duty|macie|inspector|access[-_ ]?analyzer|firewall|aws[-_.]config|flow[-_ ]?log|vpc[-_ ]?flow"
    r"|resolver|dns|/eks/|(?:^|[^a-z])(?:waf|cis|soc|ids|ips|iam|dlq|kms)(?:[^a-z]|$)|dead[-_ ]?letter"
    r"|age[-_ ]?of[-_ ]?oldest"
    # who reads it
    r"|siem|splunk|datadog|sentinel|sumo[-_ ]?logic|crowdstrike|panther|qradar|exabeam|rapid7|lacework|pager",
    re.IGNORECASE,
)

_WITH_NAME = re.compile(
    r"arn:[^:]*:(?:cloudwatch|logs|events):[^:]*:(?P<account>\d+):"
    r"(?:alarm:|log-group:|rule/(?:[^/]+/)?)(?P<name>[^:*]+)(?::\*|:log-stream:.*)?"
)

# Calls whose subject has no telling name: an id, or whatever the whole account writes and sends.
_NAMELESS = frozenset(
    {
        *("DeleteDelivery", "DeleteDeliverySource", "DeleteDeliveryDestination", "UpdateDeliveryConfiguration"),
        *("PutAccountPolicy", "DeleteAccountPolicy", "PutDestinationPolicy", "PutDeliveryDestinationPolicy"),
        *("DeleteDestination", "PutResourcePolicy", "DeleteResourcePolicy", "DisassociateSourceFromS3TableIntegration"),
        *("DeleteEventBus", "UpdateEventBus", "PutPermission", "RemovePermission", "DeactivateEventSource"),
        *("DeleteMetricStream", "StopMetricStreams"),
    }
)


def watched_names(event: Mapping[str, Any]) -> list[str]:
    """Names of what was touched, those that suggest security first; empty for other services."""
    found = [name for path in _NAMING.get(_service(event), ()) for name in _named(_request(event), path)]
    return sorted((bare_name(event, name) for name in found), key=lambda name: not _SECURITY.search(name))


def bare_name(event: Mapping[str, Any], arn: str) -> str:
    """The name of an alarm, log group or event rule of the recipient, which requests give bare and refusals as ARN."""
    found = _WITH_NAME.fullmatch(arn)
    return found["name"] if found and found["account"] == event.get("recipientAccountId") else arn


def describe_names(event: Mapping[str, Any], resource: str | None, *, unseen: bool) -> dict[str, Any]:
    """Whether any text of the request, or the name of the resource, has a word that detections go by.

    Nothing is said of calls on what is not named by people, such as the delivery of a vended log, nor where the request
    is unseen and there is no resource.
    """
    if _service(event) not in _NAMING or event.get("eventName") in _NAMELESS or (unseen and resource is None):
        return {}
    found = (*_values_in(parameters(event)), resource or "")
    return {"derived.security_named": any(_SECURITY.search(name) for name in found)}


def _service(event: Mapping[str, Any]) -> str:
    return (text(event.get("eventSource")) or "").removesuffix(".amazonaws.com")


def _request(event: Mapping[str, Any]) -> Any:
    """The request's members; newer EC2 calls wrap them in an object named for the call."""
    wrapped = parameters(event, f"{event.get('eventName')}Request")
    return parameters(event) if wrapped is None else wrapped


def _named(request: Any, path: str) -> Iterator[str]:
    """Texts at a path, through lists of objects."""
    first, _, rest = path.partition(".")
    found = member(request, first)
    for each in found if isinstance(found, list) else [found]:
        yield from filter(None, _named(each, rest) if rest else texts(each))


def _values_in(value: Any) -> Iterator[str]:
    """Every text in a value but the names of members, which are AWS's own; without recursion."""
    pending = [value]
    while pending:
        found = pending.pop()
        if isinstance(found, str):
            yield found
        elif isinstance(found, dict):
            pending += found.values()
        elif isinstance(found, list):
            pending += found
