"""Secrets of canaries' codes: where they are read, and that nothing but the reading ever holds them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import boto3
import pytest

from pipeline import canary_secrets
from pipeline.canary_secrets import NamedSecrets, refuse_unreadable
from pipeline.config import load_config
from schemas.canaries import CanaryCode
from schemas.errors import SecretUnavailable, UsageError

SECRET, OTHER = "f" * 64, "e" * 64
CANARY = """
[[canary]]
name     = "c"
accounts = ["111122223333"]
regions  = ["us-east-1"]
period   = "5m"
grace    = "15m"
[canary.match]
event_name = "RunInstances"
[canary.code]
carrier     = "request_parameters.clientToken"
secret_file = "code.key"
"""


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept from another test."""
    monkeypatch.setattr(canary_secrets, "_KEPT", {})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that this process has lived, which a test may set."""
    now = [1000.0]
    monkeypatch.setattr(canary_secrets.time, "monotonic", lambda: now[0])
    return now


def problems_of(text: str, source: str = "c.toml") -> str:
    """What is wrong with a configuration."""
    with pytest.raises(UsageError) as caught:
        load_config(text, source)
    return "\n".join(caught.value.problems)


def code_of(text: str, source: str = "/etc/tc/c.toml") -> CanaryCode | None:
    """The code of the one canary of a configuration."""
    (canary,) = load_config(text, source).canaries
    return canary.code


def test_the_code_of_a_configuration() -> None:
    """A file is looked for beside the configuration; two may be valid at once; the prefix has a default."""
    source = NamedSecrets("secret_file", ("/etc/tc/code.key",))
    assert code_of(CANARY) == CanaryCode("request_parameters.clientToken", "tc-", source)
    two = CANARY.replace('"code.key"', '["new.key", "/run/old.key"]') + 'prefix = "wren-"'
    assert code_of(two) == CanaryCode(
        "request_parameters.clientToken", "wren-", NamedSecrets("secret_file", ("/etc/tc/new.key", "/run/old.key"))
    )
    named = CANARY.replace("secret_file", "secret_env").replace("request_parameters.clientToken", "session_name")
    assert code_of(named) == CanaryCode("session_name", "tc-", NamedSecrets("secret_env", ("code.key",)))
    assert code_of(CANARY.partition("[canary.code]")[0]) is None


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("carrier     =", "carier =", 'canary "c": code: unknown key "carier" (did you mean "carrier"?)'),
        ('carrier     = "request_parameters.clientToken"', "", 'canary "c": code: carrier is missing'),
        ('"request_parameters.clientToken"', '"clientToken"', 'carrier: "clientToken" is neither "session_name" nor'),
        ('"request_parameters.clientToken"', '"event_time"', 'carrier: "event_time" is neither "session_name" nor'),
        (
            'secret_file = "code.key"',
            "",
            'canary "c": code: name one of secret_file, secret_env, secret_id, secret_par',
        ),
        ('secret_file = "code.key"', 'secret_file = "a"\nsecret_env = "B"', "secret_parameter, not 2 of them"),
        ('secret_file = "code.key"', f'secret = "{SECRET}"', 'unknown key "secret"'),
        ('"code.key"', "7", "code: secret_file: 7 is a number"),
        ('"code.key"', "[]", "code: secret_file is empty"),
        ('"code.key"', '["a", "b", "c"]', "code: secret_file: two secrets may be valid at once, not 3"),
        ('"code.key"', '"code.key"\nprefix = "TC"', 'code: prefix: "TC" is not a prefix of 2 to 16 characters'),
        ('"code.key"', '"code.key"\nprefix = ""', 'code: prefix: "" is not a prefix of 2 to 16 characters'),
        ("[canary.match]", "code = 1\n[canary.match]", "not TOML"),
    ],
)
def test_a_mistake_is_told_with_its_place(right: str, wrong: str, problem: str) -> None:
    """As in the rest of the configuration; and a secret that was put there is not repeated."""
    assert right in CANARY
    told = problems_of(CANARY.replace(right, wrong, 1))
    assert problem in told
    assert SECRET not in told


def test_a_code_is_a_table() -> None:
    """With something in it."""
    head, _, _ = CANARY.partition("[canary.code]")
    assert 'canary "c": code: carrier is missing\n' in problems_of(f"{head}[canary.code]")
    asked = head.replace("[canary.match]", "code = 1\n[canary.match]")
    assert problems_of(asked) == 'c.toml: canary "c": code must be a table, not an integer'


def test_a_file_and_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """White space around a secret is none of it."""
    (tmp_path / "key").write_text(f" {SECRET}\n")
    monkeypatch.setenv("TC_SECRET", OTHER)
    assert NamedSecrets("secret_file", (str(tmp_path / "key"),)).secrets() == (SECRET.encode(),)
    assert NamedSecrets("secret_env", ("TC_SECRET",)).secrets() == (OTHER.encode(),)


def test_secrets_manager_and_its_previous_version(s3: object) -> None:
    """A rotation there leaves two that are valid."""
    assert s3  # the environment leads to the server on loopback
    client: Any = boto3.client("secretsmanager")
    arn = client.create_secret(Name="tc/code", SecretString=SECRET)["ARN"]
    assert NamedSecrets("secret_id", ("tc/code",)).secrets() == (SECRET.encode(),)
    client.put_secret_value(SecretId="tc/code", SecretString=OTHER)
    assert NamedSecrets("secret_id", (arn,)).secrets() == (OTHER.encode(), SECRET.encode())


def test_a_parameter_and_an_older_version_of_it(s3: object) -> None:
    """Systems Manager numbers its versions."""
    assert s3
    client: Any = boto3.client("ssm")
    client.put_parameter(Name="/tc/code", Value=OTHER, Type="SecureString")
    client.put_parameter(Name="/tc/code", Value=SECRET, Type="SecureString", Overwrite=True)
    named = NamedSecrets("secret_parameter", ("/tc/code", "/tc/code:1"))
    assert named.secrets() == (SECRET.encode(), OTHER.encode())


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("secret_file", "/nowhere/key", "No such file or directory"),
        ("secret_file", "/", "Is a directory"),
        ("secret_env", "TC_NOT_SET", "the environment has no such variable"),
        ("secret_id", "not/there", "ResourceNotFoundException"),
        ("secret_parameter", "/not/there", "ParameterNotFound"),
    ],
)
def test_what_cannot_be_read_is_told(s3: object, kind: str, name: str, why: str) -> None:
    """With where it should be."""
    assert s3
    with pytest.raises(SecretUnavailable) as caught:
        NamedSecrets(kind, (name,)).secrets()
    assert str(caught.value) == f"{kind} {name}: {why}"


@pytest.mark.parametrize("body", [b"", b"  \n", b"short-secret-of-31-characters-x", b"\xff\xfe" * 3000])
def test_what_is_no_secret_is_not_repeated(tmp_path: Path, body: bytes) -> None:
    """Neither in the message nor in what stands behind it."""
    (tmp_path / "key").write_bytes(body)
    with pytest.raises(SecretUnavailable, match="bytes are no secret, which has 32 to 4,096") as caught:
        NamedSecrets("secret_file", (str(tmp_path / "key"),)).secrets()
    assert "short" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_rotation_needs_no_restart(tmp_path: Path, clock: list[float]) -> None:
    """After a minute the file is read again; while it cannot be, what was read still holds."""
    key = tmp_path / "key"
    key.write_text(SECRET)
    named = NamedSecrets("secret_file", (str(key),))
    assert named.secrets() == (SECRET.encode(),)
    key.write_text(OTHER)
    clock[0] += 59
    assert named.secrets() == (SECRET.encode(),)
    clock[0] += 2
    assert named.secrets() == (OTHER.encode(),)
    key.unlink()
    clock[0] += 61
    assert named.secrets() == (OTHER.encode(),)


def test_nothing_that_travels_holds_a_secret(tmp_path: Path) -> None:
    """A canary is pickled into the graph, and may be shown in a log."""
    (tmp_path / "code.key").write_text(SECRET)
    config = load_config(CANARY, str(tmp_path / "c.toml"))
    (canary,) = config.canaries
    assert canary.code is not None
    assert canary.code.source.secrets() == (SECRET.encode(),)
    for shown in (pickle.dumps(config).decode("latin-1"), repr(config), json.dumps(canary.fingerprint)):
        assert SECRET not in shown
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 - ours


def test_the_start_tells_every_secret_that_is_not_there(tmp_path: Path) -> None:
    """All at once, as with everything that is configured."""
    text = CANARY + CANARY.replace('"c"', '"d"').replace("code.key", "other.key")
    config = load_config(text, str(tmp_path / "c.toml"))
    (tmp_path / "other.key").write_text("short")
    with pytest.raises(UsageError) as caught:
        refuse_unreadable(config.canaries)
    first, second = caught.value.problems
    assert first == f"secret_file {tmp_path}/code.key: No such file or directory"
    assert second.startswith(f"secret_file {tmp_path}/other.key: 5 bytes are no secret")
