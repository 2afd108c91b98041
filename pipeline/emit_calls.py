"""The calls that `trailcanary emit` can make: what each sends, where it can carry a token, and what refuses it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from schemas.canaries import Canary, Emission, Place
from schemas.receipts import PERMITTED, Outcome
from transforms.canary_carriers import SESSION_NAME

_REFUSALS = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_ANYWHERE = (SESSION_NAME, "user_agent")


class Call(msgspec.Struct, frozen=True):
    """An operation: boto3's names, the carrier that its own parameters offer, and the parameters with a token there.

    `parameters` gets the token, the place and the partition of its region. `barriers` are those of them for which the
    call must fail whoever makes it, with the reason; `refused_as` are the log's error codes for who has no right to it.
    """

    service: str
    operation: str
    carrier: str
    parameters: Callable[[str, Place, str], dict[str, Any]]
    barriers: Mapping[str, str]
    refused_as: tuple[str, ...] = ("AccessDenied*",)

    @property
    def event_source(self) -> str:
        """The service, as the log calls it."""
        return f"{self.service}.amazonaws.com"

    @property
    def event_name(self) -> str:
        """The operation, as the log calls it."""
        return "".join(word.capitalize() for word in self.operation.split("_"))

    @property
    def carriers(self) -> tuple[str, ...]:
        """Everything that can carry a code in this call."""
        return (self.carrier, *_ANYWHERE)


def _run_instances(token: str, _place: Place, _partition: str) -> dict[str, Any]:
    image = "ami-00000000000000000"  # there is none: a second reason for which nothing can start
    return {
        "DryRun": True,
        "ClientToken": token,
        "ImageId": image,
        "InstanceType": "t3.nano",
        "MinCount": 1,
        "MaxCount": 1,
    }


def _create_bucket(token: str, _place: Place, _partition: str) -> dict[str, Any]:
    location = "us-east-1"  # refused there, where it goes without saying, and by every other region's endpoint
    return {"Bucket": token, "CreateBucketConfiguration": {"LocationConstraint": location}}


def _assume_role(token: str, place: Place, partition: str) -> dict[str, Any]:
    arn = f"arn:{partition}:iam::{place.account_id}:role/{token}"
    return {"RoleArn": arn, "RoleSessionName": "trailcanary"}


CALLS: Mapping[str, Call] = {
    "ec2:RunInstances": Call(
        *("ec2", "run_instances", "request_parameters.clientToken", _run_instances),
        barriers={"DryRun": "it is a dry run", "ImageId": "its image does not exist"},
        refused_as=("Client.UnauthorizedOperation", "AccessDenied*"),
    ),
    "s3:CreateBucket": Call(
        *("s3", "create_bucket", "request_parameters.bucketName", _create_bucket),
        barriers={"CreateBucketConfiguration": "S3 refuses its location"},
    ),
    "sts:AssumeRole": Call(
        *("sts", "assume_role", "error_message", _assume_role),
        barriers={"RoleArn": "its role does not exist"},
    ),
}
"""By the name in the configuration."""

DEFAULT_CALL = "ec2:RunInstances"
RESERVED = frozenset({"DryRun", "ClientToken", "Bucket", "CreateBucketConfiguration", "RoleArn", "RoleSessionName"})
"""Parameters that no configuration may change: they make a call harmless, and a canary's."""


def parameters_of(canary: Canary, place: Place, partition: str, token: str) -> dict[str, Any]:
    """What is sent. Where another part of the request carries the token, its own place gets a random one."""
    emission = canary.emission
    assert emission is not None  # noqa: S101 - only such canaries are emitted
    call = CALLS[emission.call]
    elsewhere = canary.code is not None and canary.code.carrier != call.carrier
    parameters = call.parameters(f"trailcanary-{chance()}" if elsewhere else token, place, partition)
    extra: dict[str, Any] = json.loads(emission.parameters)
    return parameters | extra


def chance() -> str:
    """32 random characters that look like a code."""
    return "".join(secrets.choice(_BASE32) for _ in range(32))


def reasons_to_fail(emission: Emission) -> tuple[str, ...]:
    """Why a call must fail, each reason independent of the others: those of its own, and a role that has no rights."""
    configured = json.loads(emission.parameters)
    barriers = CALLS[emission.call].barriers.items()
    own = [reason for name, reason in barriers if name not in configured]
    return (*own, "its role has no rights") if emission.role is not None else tuple(own)


def outcome_of(error_code: str | None) -> Outcome:
    """What an error code says; None stands for success.

    A call that fails for a reason of its own has passed the guard that was to refuse it: it counts as allowed.
    """
    if error_code is None or error_code in PERMITTED:
        return Outcome.ALLOWED
    return Outcome.REFUSED if error_code in _REFUSALS else Outcome.FAILED
