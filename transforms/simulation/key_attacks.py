"""Attacks on the key that log objects are encrypted with, in the security account."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.simulation.attack import Attack, Effect, Origin
from transforms.simulation.template import Call


def _key(name: str, more: str = "", response: str = "null") -> Call:
    return Call(
        "kms",
        name,
        parameters='{"keyId":"<kms_key>"' + more + "}",
        response=response,
        resources='[{"accountId":"<account>","type":"AWS::KMS::Key","ARN":"<kms_key>"}]',
        version="1.11",
    )


_NAMED = '{"keyId":"<kms_key>"}'
_POLICY = (
    ',"policyName":"default","bypassPolicyLockoutSafetyCheck":false,"policy":'
    '"{\\"Version\\":\\"2012-10-17\\",\\"Statement\\":[{\\"Effect\\":\\"Allow\\",\\"Principal\\":{\\"AWS\\":'
    '\\"arn:aws:iam::<account>:root\\"},\\"Action\\":\\"kms:*\\",\\"Resource\\":\\"*\\"}]}"'
)
_PENDING = '{"keyId":"<kms_key>","keyState":"PendingDeletion","deletionDate":"<in_a_week>","pendingWindowInDays":7}'

KEY_ATTACKS: Mapping[str, Attack] = {
    "disable-key": Attack(
        "DisableKey on the trail's key in the security account; nobody's logs can be delivered any more.",
        Effect.ALL_DELIVERIES,
        (_key("DisableKey", response=_NAMED),),
        Origin.SECURITY,
    ),
    "schedule-key-deletion": Attack(
        "ScheduleKeyDeletion of the trail's key in the security account; nobody's logs can be delivered any more.",
        Effect.ALL_DELIVERIES,
        (_key("ScheduleKeyDeletion", ',"pendingWindowInDays":7', _PENDING),),
        Origin.SECURITY,
    ),
    "cancel-key-deletion": Attack(
        "ScheduleKeyDeletion of the trail's key; CancelKeyDeletion and EnableKey follow; nothing else changes.",
        Effect.NONE,
        (
            _key("ScheduleKeyDeletion", response=_NAMED),
            _key("CancelKeyDeletion", response=_NAMED),
            _key("EnableKey"),
        ),
        Origin.SECURITY,
        pause_s=40,
    ),
    "kms-policy": Attack(
        "PutKeyPolicy takes the trail's key from CloudTrail; nobody's logs can be delivered any more.",
        Effect.ALL_DELIVERIES,
        (_key("PutKeyPolicy", _POLICY),),
        Origin.SECURITY,
    ),
    "expiring-material": Attack(
        "ImportKeyMaterial that expires in two days: until then all goes on, afterwards nothing can be read.",
        Effect.NONE,
        (
            _key(
                "ImportKeyMaterial",
                ',"validTo":"<in_two_days>","expirationModel":"KEY_MATERIAL_EXPIRES","importType":"EXISTING_KEY_MATERIAL"',
                '{"keyId":"<kms_key>","keyMaterialId":"<hex:64>"}',
            ),
        ),
        Origin.SECURITY,
    ),
    "revoke-grant": Attack(
        "RevokeGrant on the trail's key: a reader can decrypt no more; deliveries go on.",
        Effect.NONE,
        (_key("RevokeGrant", ',"grantId":"<hex:64>"', _NAMED),),
        Origin.SECURITY,
    ),
}
