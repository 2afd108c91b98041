"""Identities: who makes calls in an account during an hour, each ready as JSON with an address and a user agent."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

import msgspec

from schemas.times import HOUR_US, SECOND_US, format_us
from transforms.simulation.scenario import Scenario

CANARY_ROLE = "canary"
_ROLES = ("app-orders", "app-payments", "app-search", "ci-deploy", "etl-nightly", "eks-node", "monitoring", "backup")
_PEOPLE = ("amara", "bjorn", "chen", "dolores", "emeka", "farah", "goran", "hana")
_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
_AGENTS = (
    "Boto3/1.35.71 md/Botocore#1.35.71 ua/2.0 os/linux#5.10.226 md/arch#x86_64 lang/python#3.11.9 md/pyimpl#CPython",
    "aws-sdk-java/2.29.20 Linux/5.10.228 OpenJDK_64-Bit_Server_VM/17.0.13+11-LTS Java/17.0.13 kotlin/2.0.21",
    "aws-sdk-go-v2/1.32.5 os/linux lang/go#1.23.3 md/GOOS#linux md/GOARCH#arm64 api/dynamodb#1.37.1",
    "APN/1.0 HashiCorp/1.0 Terraform/1.9.8 (+https://www.terraform.io) terraform-provider-aws/5.77.0 (+https://example.org)",
    "aws-cli/2.22.7 md/awscrt#0.22.0 ua/2.0 os/linux#6.8.0-1018 md/arch#x86_64 lang/python#3.12.6",
    "aws-sdk-nodejs/2.1692.0 linux/v20.18.0 exec-env/AWS_Lambda_nodejs20.x promise",
)
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SERVICES = ("lambda", "ec2", "ecs-tasks", "cloudtrail", "config", "autoscaling", "resource-explorer-2", "ssm")


class Caller(msgspec.Struct, frozen=True):
    """The userIdentity as JSON, sourceIPAddress, userAgent."""

    identity: str
    address: str
    agent: str


def access_key(rng: random.Random, prefix: str) -> str:
    """An id such as `ASIA…` or `AKIA…` (20 characters), `AROA…` or `AIDA…` (21)."""
    return prefix + "".join(rng.choices(_BASE32, k=16 if prefix in ("ASIA", "AKIA") else 17))


def address(rng: random.Random) -> str:
    """An address from the networks reserved for documentation (RFC 5737)."""
    return f"{rng.choice(_NETWORKS)}.{rng.randint(1, 254)}"


def assumed_role(rng: random.Random, account: str, role: str, session: str, created_us: int) -> str:
    """The userIdentity of a role session."""
    principal = access_key(rng, "AROA")
    return _dump(
        {
            "type": "AssumedRole",
            "principalId": f"{principal}:{session}",
            "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
            "accountId": account,
            "accessKeyId": access_key(rng, "ASIA"),
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": principal,
                    "arn": f"arn:aws:iam::{account}:role/{role}",
                    "accountId": account,
                    "userName": role,
                },
                "webIdFederationData": {},
                "attributes": {"creationDate": format_us(created_us), "mfaAuthenticated": "false"},
            },
        }
    )


def iam_user(rng: random.Random, account: str, name: str) -> str:
    """The userIdentity of an IAM user with a long-lived key."""
    return _dump(
        {
            "type": "IAMUser",
            "principalId": access_key(rng, "AIDA"),
            "arn": f"arn:aws:iam::{account}:user/{name}",
            "accountId": account,
            "accessKeyId": access_key(rng, "AKIA"),
            "userName": name,
        }
    )


def callers_of(scenario: Scenario, account: str, hour: int) -> Mapping[str, tuple[Caller, ...]]:
    """Who calls in `account` during an hour since the epoch, by class: role, user, root, console, services."""
    rng = scenario.rng("callers", account, hour)
    callers = {
        "role": tuple(_role_session(rng, account, hour) for _ in range(24)),
        "user": tuple(_user(rng, account) for _ in range(4)),
        "root": (_root(rng, account, hour),),
        "console": tuple(_console(rng, account) for _ in range(3)),
        "internal": (
            Caller(_dump({"accountId": account, "invokedBy": "AWS Internal"}), "AWS Internal", "AWS Internal"),
        ),
    }
    for service in _SERVICES:
        name = f"{service}.amazonaws.com"
        callers[service] = (Caller(_dump({"type": "AWSService", "invokedBy": name}), name, name),)
    return callers


def _role_session(rng: random.Random, account: str, hour: int) -> Caller:
    role = rng.choice(_ROLES)
    session = rng.choice(
        (
            f"i-0{rng.randbytes(8).hex()}",
            f"{rng.choice(_PEOPLE)}@example.com",
            f"botocore-session-{rng.randrange(10**9, 10**10)}",
        )
    )
    created_us = hour * HOUR_US - rng.randrange(3000) * SECOND_US
    return Caller(assumed_role(rng, account, role, session, max(created_us, 0)), address(rng), rng.choice(_AGENTS))


def _user(rng: random.Random, account: str) -> Caller:
    return Caller(iam_user(rng, account, rng.choice(_PEOPLE)), address(rng), rng.choice(_AGENTS))


def _root(rng: random.Random, account: str, hour: int) -> Caller:
    created = format_us(max(hour * HOUR_US - rng.randrange(900) * SECOND_US, 0))
    identity = {
        "type": "Root",
        "principalId": account,
        "arn": f"arn:aws:iam::{account}:root",
        "accountId": account,
        "accessKeyId": access_key(rng, "ASIA"),
        "sessionContext": {
            "sessionIssuer": {},
            "webIdFederationData": {},
            "attributes": {"creationDate": created, "mfaAuthenticated": "true"},
        },
    }
    return Caller(_dump(identity), address(rng), _BROWSER)


def _console(rng: random.Random, account: str) -> Caller:
    name = rng.choice(_PEOPLE)
    identity = {
        "type": "IAMUser",
        "principalId": access_key(rng, "AIDA"),
        "arn": f"arn:aws:iam::{account}:user/{name}",
        "accountId": account,
        "userName": name,
    }
    return Caller(_dump(identity), address(rng), _BROWSER)


def _dump(identity: object) -> str:
    return json.dumps(identity, separators=(",", ":"))
