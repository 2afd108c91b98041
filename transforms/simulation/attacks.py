"""Attacks on the log path, by name: the call that leaves one last event, and what it takes from the log."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from transforms.simulation.template import Call


class Effect(enum.Enum):
    """What changes after an attack. Deliveries end after the one that carries the attack's event."""

    NONE = enum.auto()
    EVENTS = enum.auto()  # the victim's later events are not recorded
    WRITES = enum.auto()  # … those that change something are not
    MANAGEMENT = enum.auto()  # … management events are not
    CANARIES = enum.auto()  # … the canary's are not
    DELIVERIES = enum.auto()  # the victim's deliveries end
    REGION = enum.auto()  # the victim's deliveries from its last region end
    ALL_DELIVERIES = enum.auto()  # everyone's deliveries end
    HELD = enum.auto()  # 30 minutes of the victim's deliveries come 40 minutes late
    TRUNCATED = enum.auto()  # 30 minutes of the victim's objects are cut short
    ALLOWED = enum.auto()  # the victim's canary calls are no longer refused
    FORGED = enum.auto()  # … come from somebody who copies them without the secret
    REPLAYED = enum.auto()  # … who repeats them an hour later


class Attack(msgspec.Struct, frozen=True):
    """`summary` says in one sentence what it does; `calls` are recorded in the victim's account or the security one.

    They lie `pause_s` seconds apart.
    """

    summary: str
    effect: Effect
    calls: tuple[Call, ...] = ()
    by_owner: bool = False
    pause_s: int = 0


def _trail(name: str, parameters: str, response: str = "null") -> Call:
    return Call("cloudtrail", name, parameters=parameters, response=response, version="1.11")


def _key(name: str, parameters: str, response: str = "null") -> tuple[Call, ...]:
    resources = '[{"accountId":"<account>","type":"AWS::KMS::Key","ARN":"<kms_key>"}]'
    return (Call("kms", name, parameters=parameters, response=response, resources=resources, version="1.11"),)


def _bucket(name: str, members: str) -> tuple[Call, ...]:
    return (
        Call(
            "s3",
            name,
            parameters='{"bucketName":"<bucket>","Host":"<bucket>.s3.<region>.amazonaws.com",' + members + "}",
            additional='{"SignatureVersion":"SigV4","AuthenticationMethod":"AuthHeader","x-amz-id-2":"<base64:76>"}',
            resources='[{"accountId":"<account>","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::<bucket>"}]',
            host="<bucket>.s3.<region>.amazonaws.com",
            version="1.09",
        ),
    )


def _selectors(selectors: str) -> tuple[Call, ...]:
    return (
        _trail(
            "PutEventSelectors",
            '{"trailName":"<trail_arn>",' + selectors + "}",
            '{"trailARN":"<trail_arn>",' + selectors + "}",
        ),
    )


def _deletion(name: str, asked: str, deleted: str) -> Call:
    return Call(
        "s3",
        name,
        parameters='{"bucketName":"<bucket>","Host":"<bucket>.s3.<region>.amazonaws.com",' + asked + "}",
        resources='[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::<bucket>/' + deleted + '"},'
        '{"accountId":"<account>","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::<bucket>"}]',
        additional='{"SignatureVersion":"SigV4","AuthenticationMethod":"AuthHeader","x-amz-id-2":"<base64:76>"}',
        host="<bucket>.s3.<region>.amazonaws.com",
        data=True,
        version="1.09",
    )


_STOP = _trail("StopLogging", '{"name":"<trail_arn>"}')
_REFUSED = (
    "User: arn:aws:sts::<account>:assumed-role/admin/mallory is not authorized to perform: cloudtrail:StopLogging on "
    "resource: <trail_arn> with an explicit deny in a service control policy"
)
_NARROW = (
    '"eventSelectors":[{"readWriteType":"ReadOnly","includeManagementEvents":true,"dataResources":[],'
    '"excludeManagementEventSources":[]}]'
)
_ADVANCED = (
    '"advancedEventSelectors":[{"name":"data only","fieldSelectors":[{"field":"eventCategory","equals":["Data"]},'
    '{"field":"resources.type","equals":["AWS::S3::Object"]}]}]'
)
_REDIRECT = '"name":"<trail_arn>","s3BucketName":"elsewhere-<hex:12#to>"'
_STATE = (
    '{"includeGlobalServiceEvents":true,"isMultiRegionTrail":true,"isOrganizationTrail":true,"logFileValidationEnabled"'
    ':true,"name":"<trail>","s3BucketName":"elsewhere-<hex:12#to>","trailARN":"<trail_arn>"}'
)
_DENY = (
    '"policy":"","bucketPolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"Service":'
    '"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::<bucket>/AWSLogs/*"}]}'
)
_EXPIRE = (
    '"lifecycle":"","LifecycleConfiguration":{"Rule":{"ID":"tidy","Status":"Enabled","Filter":{"Prefix":"AWSLogs/"},'
    '"Expiration":{"Days":1}}}'
)
_KEY_POLICY = (
    '{"keyId":"<kms_key>","policyName":"default","bypassPolicyLockoutSafetyCheck":false,"policy":'
    '"{\\"Version\\":\\"2012-10-17\\",\\"Statement\\":[{\\"Effect\\":\\"Allow\\",\\"Principal\\":{\\"AWS\\":'
    '\\"arn:aws:iam::<account>:root\\"},\\"Action\\":\\"kms:*\\",\\"Resource\\":\\"*\\"}]}"}'
)
_DELETED = (
    "AWSLogs/<organisation>/<victim>/CloudTrail/<region>/<victim>_CloudTrail_<region>_<base32:16#{label}>.json.gz"
)

ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {
        "stop-logging": Attack(
            "StopLogging on the trail; the account's later events are not recorded.", Effect.EVENTS, (_STOP,)
        ),
        "delete-trail": Attack(
            "DeleteTrail; the account's later events are not recorded.",
            Effect.EVENTS,
            (_trail("DeleteTrail", '{"name":"<trail_arn>"}'),),
        ),
        "narrow-selectors": Attack(
            "PutEventSelectors keeps reads only; the account's writes, the canary among them, vanish.",
            Effect.WRITES,
            _selectors(_NARROW),
        ),
        "advanced-selectors": Attack(
            "PutEventSelectors with advanced selectors keeps data events only; the account's management events vanish.",
            Effect.MANAGEMENT,
            _selectors(_ADVANCED),
        ),
        "redirect-bucket": Attack(
            "UpdateTrail sends the logs to an outside bucket; the account's deliveries end.",
            Effect.DELIVERIES,
            (_trail("UpdateTrail", "{" + _REDIRECT + "}", _STATE),),
        ),
        "disable-key": Attack(
            "DisableKey on the trail's key in the security account; nobody's logs can be delivered any more.",
            Effect.ALL_DELIVERIES,
            _key("DisableKey", '{"keyId":"<kms_key>"}', '{"keyId":"<kms_key>"}'),
            by_owner=True,
        ),
        "schedule-key-deletion": Attack(
            "ScheduleKeyDeletion of the trail's key in the security account; nobody's logs can be delivered any more.",
            Effect.ALL_DELIVERIES,
            _key(
                "ScheduleKeyDeletion",
                '{"keyId":"<kms_key>","pendingWindowInDays":7}',
                '{"keyId":"<kms_key>","keyState":"PendingDeletion","deletionDate":"Jan 8, 2027, 12:00:00 AM",'
                '"pendingWindowInDays":7}',
            ),
            by_owner=True,
        ),
        "kms-policy": Attack(
            "PutKeyPolicy takes the trail's key from CloudTrail; nobody's logs can be delivered any more.",
            Effect.ALL_DELIVERIES,
            _key("PutKeyPolicy", _KEY_POLICY),
            by_owner=True,
        ),
        "bucket-policy": Attack(
            "PutBucketPolicy denies CloudTrail the log bucket; nobody's logs can be delivered any more.",
            Effect.ALL_DELIVERIES,
            _bucket("PutBucketPolicy", _DENY),
            by_owner=True,
        ),
        "lifecycle": Attack(
            "PutBucketLifecycle lets the log bucket's objects expire after a day; deliveries go on.",
            Effect.NONE,
            _bucket("PutBucketLifecycle", _EXPIRE),
            by_owner=True,
        ),
        "delete-objects": Attack(
            "DeleteObject and DeleteObjects below AWSLogs/ in the log bucket; deliveries go on.",
            Effect.NONE,
            (
                _deletion("DeleteObject", '"key":"' + _DELETED.format(label="a") + '"', _DELETED.format(label="a")),
                _deletion("DeleteObjects", '"delete":""', _DELETED.format(label="b")),
            ),
            by_owner=True,
        ),
        "stop-and-start": Attack(
            "StopLogging on the trail, and StartLogging a minute later; nothing else changes.",
            Effect.NONE,
            (_STOP, _trail("StartLogging", '{"name":"<trail_arn>"}')),
            pause_s=60,
        ),
        "cancel-key-deletion": Attack(
            "ScheduleKeyDeletion of the trail's key; CancelKeyDeletion and EnableKey follow; nothing else changes.",
            Effect.NONE,
            (
                *_key("ScheduleKeyDeletion", '{"keyId":"<kms_key>"}', '{"keyId":"<kms_key>"}'),
                *_key("CancelKeyDeletion", '{"keyId":"<kms_key>"}', '{"keyId":"<kms_key>"}'),
                *_key("EnableKey", '{"keyId":"<kms_key>"}'),
            ),
            by_owner=True,
            pause_s=40,
        ),
        "attempted-stop": Attack(
            "StopLogging is refused with AccessDenied; nothing else changes.",
            Effect.NONE,
            (Call("cloudtrail", "StopLogging", error=("AccessDenied", _REFUSED), version="1.11"),),
        ),
        "silent": Attack("Everyone's deliveries end, without an event.", Effect.ALL_DELIVERIES),
        "silent-account": Attack("The account's deliveries end, without an event.", Effect.DELIVERIES),
        "drop-region": Attack("The account's deliveries from its last region end, without an event.", Effect.REGION),
        "drop-canary": Attack("The canary's events vanish from the account; everything else goes on.", Effect.CANARIES),
        "canary-allowed": Attack(
            "The account's canary calls would now succeed: Client.DryRunOperation instead of a refusal.", Effect.ALLOWED
        ),
        "forge-canary": Attack(
            "The account's canary is silenced, and somebody copies its calls without the secret of its codes.",
            Effect.FORGED,
        ),
        "replay-canary": Attack(
            "The account's canary is silenced, and somebody repeats its calls of an hour ago, old codes and all.",
            Effect.REPLAYED,
        ),
        "corrupt-objects": Attack("Every object of the account is cut short for 30 minutes.", Effect.TRUNCATED),
        "late-delivery": Attack("No attack: 30 minutes of the account's deliveries come 40 minutes late.", Effect.HELD),
    }
)
"""Every attack hits the second account (or the only one) at 60 % of the time, unless its summary says whom."""
