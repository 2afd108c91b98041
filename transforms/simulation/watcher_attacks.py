"""Attacks on what watches beside the trail: the events they leave are all that changes."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.simulation.attack import Attack, Effect
from transforms.simulation.template import Call

_DETECTOR = '"detectorId":"<hex:32#detector>"'


def _quiet(summary: str, call: Call) -> Attack:
    return Attack(f"{summary}; nothing else changes.", Effect.NONE, (call,))


WATCHER_ATTACKS: Mapping[str, Attack] = {
    "guardduty-off": _quiet(
        "DeleteDetector: GuardDuty ends in the account's region",
        Call("guardduty", "DeleteDetector", parameters="{" + _DETECTOR + "}", version="1.11"),
    ),
    "guardduty-suppressed": _quiet(
        "CreateFilter archives what GuardDuty finds of trails before anyone sees it",
        Call(
            "guardduty",
            "CreateFilter",
            parameters="{" + _DETECTOR + ',"name":"noise","action":"ARCHIVE","rank":1,"findingCriteria":{"criterion":'
            '{"type":{"eq":["Stealth:IAMUser/CloudTrailLoggingDisabled"]}}},"clientToken":"<uuid>"}',
            response='{"name":"noise"}',
            version="1.11",
        ),
    ),
    "securityhub-off": _quiet(
        "DisableSecurityHub: findings are collected no more",
        Call("securityhub", "DisableSecurityHub", version="1.08"),
    ),
    "recorder-stopped": _quiet(
        "StopConfigurationRecorder: AWS Config records no more changes",
        Call(
            "config",
            "StopConfigurationRecorder",
            parameters='{"configurationRecorderName":"default"}',
            version="1.08",
        ),
    ),
    "alarm-disabled": _quiet(
        "DisableAlarmActions: the alarm on changes of trails goes off unheard",
        Call(
            "monitoring",
            "DisableAlarmActions",
            parameters='{"alarmNames":["CIS-CloudTrailChanges"]}',
            version="1.11",
        ),
    ),
    "metric-filter-deleted": _quiet(
        "DeleteMetricFilter: the alarm on changes of trails has nothing to count any more",
        Call(
            "logs",
            "DeleteMetricFilter",
            parameters='{"logGroupName":"aws-cloudtrail-logs-<account>-<hex:8>","filterName":"CloudTrailChanges"}',
            version="1.11",
            api_version="20140328",
        ),
    ),
    "rule-disabled": _quiet(
        "DisableRule: EventBridge no longer hands on what GuardDuty finds",
        Call(
            "events",
            "DisableRule",
            parameters='{"name":"guardduty-findings-to-responders","eventBusName":"default"}',
            version="1.09",
        ),
    ),
    "flow-logs-deleted": _quiet(
        "DeleteFlowLogs: the network of the account is recorded no more",
        Call(
            "ec2",
            "DeleteFlowLogs",
            parameters='{"DeleteFlowLogsRequest":{"FlowLogId":{"tag":1,"content":"fl-0<hex:16>"}}}',
            response='{"DeleteFlowLogsResponse":{"xmlns":"http://ec2.amazonaws.com/doc/2016-11-15/",'
            '"unsuccessful":"","requestId":"<uuid>"}}',
        ),
    ),
}
