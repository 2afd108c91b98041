"""The secrets of canaries' codes: named in the configuration, read where and when they are needed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3
import msgspec
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from schemas.canaries import Canary
from schemas.errors import SecretUnavailable, UsageError

KINDS = ("secret_file", "secret_env", "secret_id", "secret_parameter")
"""Keys of the configuration: a file, an environment variable, AWS Secrets Manager, AWS Systems Manager."""

SHORTEST_BYTES, LONGEST_BYTES = 32, 4096
_KEPT_S = 60.0
_CONFIG = ClientConfig(
    connect_timeout=5,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 4},
    user_agent_extra="trailcanary",
)
_STAGES = ("AWSCURRENT", "AWSPREVIOUS")
_ABSENT = "ResourceNotFoundException"


class NamedSecrets(msgspec.Struct, frozen=True):
    """A `SecretSource`: one or two names of a kind, the newest first. Holds no secret, and none is in its errors.

    What is read is kept for a minute in this process, and beyond that while it cannot be read again: so a rotation
    needs no restart, and a moment's outage no attention. Of AWS Secrets Manager both AWSCURRENT and AWSPREVIOUS count.
    """

    kind: str
    names: tuple[str, ...]

    def secrets(self) -> tuple[bytes, ...]:
        """The secrets, white space around them removed. Raises SecretUnavailable."""
        kept = _KEPT.get(self)
        if kept is not None and time.monotonic() - kept[0] < _KEPT_S:
            return kept[1]
        try:
            found = tuple(dict.fromkeys(each for name in self.names for each in self._read(name)))
        except SecretUnavailable:
            if kept is None:
                raise
            found = kept[1]
        _KEPT[self] = time.monotonic(), found
        return found

    def _read(self, name: str) -> list[bytes]:
        match self.kind:
            case "secret_file":
                found = [_from_file(name)]
            case "secret_env":
                found = [_from_environment(name)]
            case "secret_id":
                found = _from_secrets_manager(name)
            case _:
                found = [_from_parameter(name)]
        return [self._checked(name, secret.strip()) for secret in found]

    def _checked(self, name: str, secret: bytes) -> bytes:
        if not SHORTEST_BYTES <= len(secret) <= LONGEST_BYTES:
            least_most = f"{SHORTEST_BYTES} to {LONGEST_BYTES:,}"
            raise SecretUnavailable(f"{self.kind} {name}: {len(secret):,} bytes are no secret, which has {least_most}")
        return secret


_KEPT: dict[NamedSecrets, tuple[float, tuple[bytes, ...]]] = {}


def refuse_unreadable(canaries: Iterable[Canary]) -> None:
    """Raise UsageError where the secrets of some canary's code cannot be read, with every reason."""
    problems = []
    for code in (canary.code for canary in canaries if canary.code is not None):
        try:
            code.source.secrets()
        except SecretUnavailable as error:
            problems.append(str(error))
    if problems:
        raise UsageError(list(dict.fromkeys(problems)))


def _from_file(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(2 * LONGEST_BYTES)
    except OSError as error:
        raise SecretUnavailable(f"secret_file {name}: {error.strerror or type(error).__name__}") from None


def _from_environment(name: str) -> bytes:
    value = os.environ.get(name)
    if value is None:
        raise SecretUnavailable(f"secret_env {name}: the environment has no such variable")
    return value.encode("utf-8", "surrogateescape")


def _from_secrets_manager(name: str) -> list[bytes]:
    client: Any = _client("secretsmanager", name)
    found = []
    for stage in _STAGES:
        try:
            answer = client.get_secret_value(SecretId=name, VersionStage=stage)
        except (ClientError, BotoCoreError) as error:
            if stage != _STAGES[0] and _reason(error) == _ABSENT:
                break  # never rotated
            raise SecretUnavailable(f"secret_id {name}: {_reason(error)}") from None
        text = answer.get("SecretString")
        found.append(bytes(answer["SecretBinary"]) if text is None else text.encode())
    return found


def _from_parameter(name: str) -> bytes:
    client: Any = _client("ssm", name)
    try:
        answer = client.get_parameter(Name=name, WithDecryption=True)
    except (ClientError, BotoCoreError) as error:
        raise SecretUnavailable(f"secret_parameter {name}: {_reason(error)}") from None
    return str(answer["Parameter"]["Value"]).encode()


def _client(service: Any, name: str) -> Any:
    """A client in the region that an ARN names, else in that of the environment."""
    region = name.split(":")[3] if name.startswith("arn:") and name.count(":") > 4 else None
    try:
        return boto3.session.Session().client(service, region_name=region, config=_CONFIG)
    except BotoCoreError as error:
        raise SecretUnavailable(f"{name}: {_reason(error)}") from None


def _reason(error: ClientError | BotoCoreError) -> str:
    """The code alone: messages may repeat what was sent."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))
    return type(error).__name__
