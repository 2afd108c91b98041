"""Neighbours: what else lies in a log bucket and is no log. Every six hours one of Insights, one of AWS Config."""

from __future__ import annotations

import json
import uuid

from schemas.times import HOUR_US, format_us
from transforms.simulation.objects import LogNames, SimulatedObject, folder, gzip_bytes, stamp
from transforms.simulation.scenario import INTERVAL_US, Scenario

_EVERY_MARKS = 6 * HOUR_US // INTERVAL_US
_INSIGHT_AT = 4
_CONFIG_AT = 7


def neighbours_at(scenario: Scenario, names: LogNames, mark: int) -> list[SimulatedObject]:
    """The other objects delivered at `mark`, of the management account in the home region."""
    since_start = (mark - scenario.intervals.start) % _EVERY_MARKS
    if since_start == _INSIGHT_AT:
        return [_insight(scenario, names, mark)]
    return [_config(scenario, mark)] if since_start == _CONFIG_AT else []


def _insight(scenario: Scenario, names: LogNames, mark: int) -> SimulatedObject:
    account, region = scenario.members[0], scenario.home_region
    rng = scenario.rng("insight", mark)
    shared = str(uuid.UUID(bytes=rng.randbytes(16), version=4))
    records = [
        {
            "eventVersion": "1.07",
            "eventTime": format_us((mark - minutes) * INTERVAL_US),
            "awsRegion": region,
            "eventID": str(uuid.UUID(bytes=rng.randbytes(16), version=4)),
            "eventType": "AwsCloudTrailInsight",
            "recipientAccountId": account,
            "sharedEventID": shared,
            "insightDetails": {
                "state": state,
                "eventSource": "ec2.amazonaws.com",
                "eventName": "RunInstances",
                "insightType": "ApiCallRateInsight",
                "insightContext": {"statistics": {"baseline": {"average": 0.02}, "insight": {"average": 2.4}}},
            },
            "eventCategory": "Insight",
        }
        for state, minutes in (("Start", 3), ("End", 2))
    ]
    key = names.key(account, region, mark, kind="CloudTrail-Insight", own=False)
    return SimulatedObject(key, gzip_bytes(_json({"Records": records})), mark * INTERVAL_US)


def _config(scenario: Scenario, mark: int) -> SimulatedObject:
    account, region, delivered_us = scenario.members[0], scenario.home_region, mark * INTERVAL_US
    group = f"sg-0{scenario.rng('config', mark).randbytes(8).hex()}"
    item = {
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": format_us(delivered_us),
        "configurationItemStatus": "OK",
        "awsAccountId": account,
        "awsRegion": region,
        "resourceType": "AWS::EC2::SecurityGroup",
        "resourceId": group,
    }
    name = f"{account}_Config_{region}_ConfigHistory_AWS::EC2::SecurityGroup_{stamp(delivered_us)}Z_1.json.gz"
    path = f"{folder(None, account, 'Config', region, delivered_us)}/ConfigHistory/{name}"
    body = _json({"fileVersion": "1.0", "configurationItems": [item]})
    return SimulatedObject(path, gzip_bytes(body), delivered_us)


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
