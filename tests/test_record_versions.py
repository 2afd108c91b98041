"""One record of each eventVersion with every member that it knows, and the kinds that differ."""

from __future__ import annotations

from typing import Any

import pytest
from record_worlds import EVENT_TIME, body_of, rebuilt, rows_of

from schemas.archive import RECORD_MEMBERS
from transforms.parse import parse_fast

ACCOUNT = "111122223333"
ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/canary/tc-1"

SESSION = {
    "sessionIssuer": {
        "type": "Role",
        "userName": "canary",
        "principalId": "AROAEXAMPLE",
        "arn": f"arn:aws:iam::{ACCOUNT}:role/canary",
        "accountId": ACCOUNT,
    },
    "webIdFederationData": {"federatedProvider": "accounts.example.com", "attributes": {}},
    "attributes": {"creationDate": EVENT_TIME, "mfaAuthenticated": "false"},
    "sourceIdentity": "alice",
    "ec2RoleDelivery": "2.0",
    "assumedRoot": "true",
    "signInSessionArn": f"arn:aws:signin:us-east-1:{ACCOUNT}:session/1",
}
IDENTITY = {
    "type": "AssumedRole",
    "userName": "canary",
    "principalId": "AROAEXAMPLE:tc-1",
    "arn": ARN,
    "accountId": ACCOUNT,
    "accessKeyId": "",
    "sessionContext": SESSION,
    "invokedBy": "cloudformation.amazonaws.com",
    "invokedByDelegate": {"accountId": ACCOUNT},
    "identityProvider": "accounts.example.com",
    "credentialId": "EXAMPLE",
    "onBehalfOf": {"userId": "u-1", "identityStoreArn": "arn:aws:identitystore::111122223333:identitystore/d-1"},
    "inScopeOf": {"sourceArn": ARN, "sourceAccount": ACCOUNT, "issuerType": "AWS::Lambda::Function"},
}
TLS = {
    "tlsVersion": "TLSv1.3",
    "cipherSuite": "TLS_AES_128_GCM_SHA256",
    "clientProvidedHostHeader": "ec2.us-east-1.amazonaws.com",
    "keyExchange": "X25519MLKEM768",
}
ADDENDUM = {"reason": "UPDATED_DATA", "updatedFields": "a,b", "originalRequestID": "r-0", "originalEventID": "e-0"}

# What each version brought. Source: AWS CloudTrail user guide, "CloudTrail record contents".
SINCE: dict[str, dict[str, Any]] = {
    "1.0": {
        "eventTime": EVENT_TIME,
        "eventSource": "ec2.amazonaws.com",
        "eventName": "RunInstances",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1",
        "userIdentity": IDENTITY,
        "userAgent": "aws-cli/2",
        "errorCode": "Client.UnauthorizedOperation",
        "errorMessage": "You are not authorized…",
        "requestParameters": {"clientToken": "tc-1", "instancesSet": {"items": [{"minCount": 1}]}},
        "responseElements": {"_return": True},
        "additionalEventData": {"bytesTransferredIn": 0.0},
    },
    "1.01": {
        "requestID": "r-1",
        "eventID": "e-1",
        "readOnly": False,
        "resources": [
            {"ARN": "arn:aws:s3:::b", "accountId": ACCOUNT, "type": "AWS::S3::Bucket"},
            {"ARNPrefix": "arn:aws:s3:::b/"},
        ],
        "apiVersion": "2016-11-15",
    },
    "1.02": {"eventType": "AwsApiCall", "recipientAccountId": ACCOUNT},
    "1.03": {"sharedEventID": "s-1"},
    "1.04": {"vpcEndpointId": "vpce-1"},
    "1.05": {"serviceEventDetails": {"keyId": "k-1"}},
    "1.06": {"managementEvent": True},
    "1.07": {"eventCategory": "Management"},
    "1.08": {
        "addendum": ADDENDUM,
        "sessionCredentialFromConsole": "true",
        "edgeDeviceDetails": {"deviceId": "d"},
        "tlsDetails": TLS,
    },
    "1.09": {"vpcEndpointAccountId": ACCOUNT},
    "1.10": {},
    "1.11": {"eventContext": {"requestContext": {"aws:PrincipalTag/a": "b"}, "tagContext": {}}},
}


def record_of(version: str) -> dict[str, Any]:
    """A record with every member that its version knows."""
    known = list(SINCE)[: list(SINCE).index(version) + 1]
    return {"eventVersion": version} | {name: value for each in known for name, value in SINCE[each].items()}


SERVICE_EVENT = {
    "eventVersion": "1.08",
    "userIdentity": {"accountId": ACCOUNT, "invokedBy": "kms.amazonaws.com"},
    "eventTime": EVENT_TIME,
    "eventSource": "kms.amazonaws.com",
    "eventName": "RotateKey",
    "requestParameters": None,
    "responseElements": None,
    "eventID": "e-2",
    "eventType": "AwsServiceEvent",
}
INSIGHT = {
    "eventVersion": "1.07",
    "eventTime": EVENT_TIME,
    "awsRegion": "us-east-1",
    "eventID": "e-3",
    "eventType": "AwsCloudTrailInsight",
    "recipientAccountId": ACCOUNT,
    "sharedEventID": "s-3",
    "insightDetails": {
        "state": "Start",
        "eventSource": "ec2.amazonaws.com",
        "eventName": "RunInstances",
        "insightType": "ApiErrorRateInsight",
        "errorCode": "Client.UnauthorizedOperation",
        "insightContext": {"statistics": {"baseline": {"average": 0.0017}, "insight": {"average": 10}}},
    },
    "eventCategory": "Insight",
}
NETWORK_ACTIVITY = {
    "eventVersion": "1.09",
    "userIdentity": {"type": "AWSAccount", "principalId": "AIDAEXAMPLE", "accountId": ACCOUNT},
    "eventTime": EVENT_TIME,
    "eventSource": "s3.amazonaws.com",
    "eventName": "ListBuckets",
    "awsRegion": "us-east-1",
    "sourceIPAddress": "198.51.100.7",
    "errorCode": "VpceAccessDenied",
    "errorMessage": "The request was denied due to a VPC endpoint policy",
    "requestParameters": None,
    "eventID": "e-4",
    "eventType": "AwsVpceEvents",
    "vpcEndpointId": "vpce-1",
    "vpcEndpointAccountId": ACCOUNT,
    "eventCategory": "NetworkActivity",
    "annotation": {"reason": "documented nowhere"},
}
ALL = [*map(record_of, SINCE), SERVICE_EVENT, INSIGHT, NETWORK_ACTIVITY]


@pytest.mark.parametrize("record", ALL, ids=lambda record: f"{record['eventVersion']} {record.get('eventType')}")
def test_every_version_comes_back_by_the_fast_path(record: dict[str, Any]) -> None:
    """Each member has its column, nothing is left for `unmapped`, and the record comes back equal."""
    body = body_of([record])
    assert parse_fast(body) is not None
    assert rows_of(body)["unmapped"].null_count == 1
    assert rebuilt(body) == [{name: value for name, value in record.items() if value is not None}]


def test_no_member_is_left_out_here() -> None:
    """Together the records name every member of the archive's schema."""
    assert {name for record in ALL for name in record} == {member.vendor_name for member in RECORD_MEMBERS}
