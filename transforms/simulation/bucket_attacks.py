"""Attacks on the log bucket and on what lies in it, in the security account."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.simulation.attack import Attack, Effect, Origin
from transforms.simulation.template import Call

_HOST = "<bucket>.s3.<region>.amazonaws.com"
_NOTES = '{"SignatureVersion":"SigV4","AuthenticationMethod":"AuthHeader","x-amz-id-2":"<base64:76>"}'
_OWNED = '{"accountId":"<account>","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::<bucket>"}'
_XMLNS = '"xmlns":"http://s3.amazonaws.com/doc/2006-03-01/"'


def _bucket(name: str, members: str) -> tuple[Call, ...]:
    return (
        Call(
            "s3",
            name,
            parameters='{"bucketName":"<bucket>","Host":"' + _HOST + '",' + members + "}",
            additional=_NOTES,
            resources="[" + _OWNED + "]",
            host=_HOST,
            version="1.09",
        ),
    )


def _object(name: str, asked: str, key: str) -> Call:
    return Call(
        "s3",
        name,
        parameters='{"bucketName":"<bucket>","Host":"' + _HOST + '",' + asked + "}",
        resources='[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::<bucket>/' + key + '"},' + _OWNED + "]",
        additional=_NOTES,
        host=_HOST,
        data=True,
        version="1.09",
    )


def _log(label: str) -> str:
    return (
        f"AWSLogs/<organisation>/<victim>/CloudTrail/<region>/<victim>_CloudTrail_<region>_<base32:16#{label}>.json.gz"
    )


_DENY = (
    '"policy":"","bucketPolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"Service":'
    '"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::<bucket>/AWSLogs/*"}]}'
)
_EXPIRE = (
    '"lifecycle":"","LifecycleConfiguration":{"Rule":{"ID":"tidy","Status":"Enabled","Filter":{"Prefix":"AWSLogs/"},'
    '"Expiration":{"Days":1}}}'
)
_OUTSIDE_KEY = (
    '"encryption":"","ServerSideEncryptionConfiguration":{' + _XMLNS + ',"Rule":{"ApplyServerSideEncryptionByDefault":'
    '{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":"arn:aws:kms:<region>:123456789012:key/<uuid>"},'
    '"BucketKeyEnabled":true}}'
)
_SHORT_LOCK = (
    '"object-lock":"","ObjectLockConfiguration":{' + _XMLNS + ',"ObjectLockEnabled":"Enabled","Rule":'
    '{"DefaultRetention":{"Mode":"GOVERNANCE","Days":1}}}'
)

BUCKET_ATTACKS: Mapping[str, Attack] = {
    "bucket-policy": Attack(
        "PutBucketPolicy denies CloudTrail the log bucket; nobody's logs can be delivered any more.",
        Effect.ALL_DELIVERIES,
        _bucket("PutBucketPolicy", _DENY),
        Origin.SECURITY,
    ),
    "requester-pays": Attack(
        "PutBucketRequestPayment makes requesters pay for the log bucket; nobody's logs are delivered any more.",
        Effect.ALL_DELIVERIES,
        _bucket(
            "PutBucketRequestPayment",
            '"requestPayment":"","RequestPaymentConfiguration":{' + _XMLNS + ',"Payer":"Requester"}',
        ),
        Origin.SECURITY,
    ),
    "lifecycle": Attack(
        "PutBucketLifecycle lets the log bucket's objects expire after a day; deliveries go on.",
        Effect.NONE,
        _bucket("PutBucketLifecycle", _EXPIRE),
        Origin.SECURITY,
    ),
    "ownership-controls": Attack(
        "PutBucketOwnershipControls leaves log objects to their writer; deliveries go on.",
        Effect.NONE,
        _bucket(
            "PutBucketOwnershipControls",
            '"ownershipControls":"","OwnershipControls":{' + _XMLNS + ',"Rule":{"ObjectOwnership":"ObjectWriter"}}',
        ),
        Origin.SECURITY,
    ),
    "suspend-versioning": Attack(
        "PutBucketVersioning suspends versions of the log bucket: what is deleted is gone; deliveries go on.",
        Effect.NONE,
        _bucket(
            "PutBucketVersioning",
            '"versioning":"","VersioningConfiguration":{' + _XMLNS + ',"Status":"Suspended"}',
        ),
        Origin.SECURITY,
    ),
    "object-lock": Attack(
        "PutBucketObjectLockConfiguration locks new log objects for a day only, and not for administrators.",
        Effect.NONE,
        _bucket("PutBucketObjectLockConfiguration", _SHORT_LOCK),
        Origin.SECURITY,
    ),
    "bucket-encryption": Attack(
        "PutBucketEncryption with a key of another account as the log bucket's default; deliveries go on.",
        Effect.NONE,
        _bucket("PutBucketEncryption", _OUTSIDE_KEY),
        Origin.SECURITY,
    ),
    "replication-off": Attack(
        "DeleteBucketReplication: the copy of the log bucket in another account ends; deliveries go on.",
        Effect.NONE,
        _bucket("DeleteBucketReplication", '"replication":""'),
        Origin.SECURITY,
    ),
    "bucket-notification": Attack(
        "PutBucketNotification without a target: no queue is told of new log objects; deliveries go on.",
        Effect.NONE,
        _bucket("PutBucketNotification", '"notification":"","NotificationConfiguration":{' + _XMLNS + "}"),
        Origin.SECURITY,
    ),
    "delete-objects": Attack(
        "DeleteObject and DeleteObjects below AWSLogs/ in the log bucket; deliveries go on.",
        Effect.NONE,
        (
            _object("DeleteObject", '"key":"' + _log("a") + '"', _log("a")),
            _object("DeleteObjects", '"delete":""', _log("b")),
        ),
        Origin.SECURITY,
    ),
    "plant-object": Attack(
        "PutObject by a person over a log object; deliveries go on.",
        Effect.NONE,
        (_object("PutObject", '"key":"' + _log("a") + '"', _log("a")),),
        Origin.SECURITY,
    ),
}
