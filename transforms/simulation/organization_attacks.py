"""Attacks by way of the organisation: its policies, its delegations, its members and their regions."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.simulation.attack import Attack, Effect, Origin
from transforms.simulation.template import Call


def _organizations(name: str, parameters: str) -> tuple[Call, ...]:
    return (
        Call(
            "organizations",
            name,
            parameters=parameters,
            version="1.08",
            host="organizations.us-east-1.amazonaws.com",
        ),
    )


_POLICY = "p-<hex:8#scp>"
_OPENED = (
    '"{\\"Version\\":\\"2012-10-17\\",\\"Statement\\":[{\\"Effect\\":\\"Deny\\",\\"Action\\":\\"cloudtrail:StopLogging\\",'
    '\\"Resource\\":\\"*\\",\\"Condition\\":{\\"ArnNotLike\\":{\\"aws:PrincipalArn\\":'
    '\\"arn:aws:iam::*:role/admin\\"}}}]}"'
)

ORGANIZATION_ATTACKS: Mapping[str, Attack] = {
    "scp-detached": Attack(
        "DetachPolicy by the management account: the service control policy that guards the trail no longer holds.",
        Effect.NONE,
        _organizations("DetachPolicy", '{"policyId":"' + _POLICY + '","targetId":"<victim>"}'),
        Origin.MANAGEMENT,
    ),
    "scp-exception": Attack(
        "UpdatePolicy by the management account: the service control policy gains an exception.",
        Effect.NONE,
        _organizations("UpdatePolicy", '{"policyId":"' + _POLICY + '","content":' + _OPENED + "}"),
        Origin.MANAGEMENT,
    ),
    "scp-attached": Attack(
        "AttachPolicy by the management account: another service control policy denies the account something.",
        Effect.NONE,
        _organizations("AttachPolicy", '{"policyId":"' + _POLICY + '","targetId":"<victim>"}'),
        Origin.MANAGEMENT,
    ),
    "delegated-admin": Attack(
        "DeregisterDelegatedAdministrator: the security account no longer administers CloudTrail.",
        Effect.NONE,
        _organizations(
            "DeregisterDelegatedAdministrator",
            '{"accountId":"<security>","servicePrincipal":"cloudtrail.amazonaws.com"}',
        ),
        Origin.MANAGEMENT,
    ),
    "trusted-access": Attack(
        "DisableAWSServiceAccess of CloudTrail: the organisation's trail ends for all members but the first.",
        Effect.MEMBERS,
        _organizations("DisableAWSServiceAccess", '{"servicePrincipal":"cloudtrail.amazonaws.com"}'),
        Origin.MANAGEMENT,
    ),
    "leave-organization": Attack(
        "LeaveOrganization by the account: the organisation's trail ends there, and with it its deliveries.",
        Effect.DELIVERIES,
        _organizations("LeaveOrganization", "null"),
    ),
    "disable-region": Attack(
        "DisableRegion of the account's last region: its deliveries from there end.",
        Effect.REGION,
        (Call("account", "DisableRegion", parameters='{"regionName":"<last_region>"}', version="1.08"),),
    ),
}
