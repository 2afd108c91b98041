"""`trailcanary emit` from the command line and as a Lambda function, against moto: IAM refuses, and IAM allows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import yaml
from moto.core import DEFAULT_ACCOUNT_ID

from pipeline import canary_secrets, emit_lambda, s3_storage
from pipeline.__main__ import main
from pipeline.emit_calls import CALLS
from pipeline.emit_lambda import NotRefused, handler
from schemas.errors import UsageError
from schemas.times import SECOND_US

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

DEPLOY = Path(__file__).parent.parent / "deploy" / "emit"
CONFIG = f"""
[[canary]]
name     = "c"
accounts = ["{DEFAULT_ACCOUNT_ID}"]
regions  = ["eu-west-1", "us-east-1"]
period   = "5m"
grace    = "15m"
[canary.match]
event_name = "RunInstances"
[canary.code]
carrier          = "request_parameters.clientToken"
secret_id = "trailcanary/code"
[canary.emit]
role = "canary"
"""


def _trust(user: str) -> str:
    principal = {"AWS": f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:user/{user}"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def _policy(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def template(name: str) -> dict[str, Any]:
    """The resources of a CloudFormation template."""
    resources: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())["Resources"]
    return resources


def documented_rights() -> list[str]:
    """The actions that the emitter's own template allows it."""
    (policy,) = template("emitter.yaml")["EmitterRole"]["Properties"]["Policies"]
    actions = [statement["Action"] for statement in policy["PolicyDocument"]["Statement"]]
    return [each for some in actions for each in ([some] if isinstance(some, str) else some)]


class World:
    """A server that enforces IAM: an emitter with few rights, a canary's role with none, a bucket for receipts."""

    def __init__(self, s3: S3Client, bucket: str, tmp_path: Path) -> None:
        self.s3 = s3
        self.bucket = bucket
        self.receipts = f"s3://{bucket}/receipts"
        self.config = tmp_path / "trailcanary.toml"
        self.config.write_text(CONFIG)

    def emit(self, *options: str) -> int:
        """The command."""
        return main(["emit", "--config", str(self.config), "--receipts", self.receipts, *options])

    def objects(self, below: str) -> list[bytes]:
        """What lies in the bucket."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"receipts/{below}").get("Contents", [])
        return [self.s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read() for each in listed]


@pytest.fixture
def world(s3: S3Client, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """IAM is not enforced yet, and no client of this process has the keys of another test."""
    s3_storage._client_of.cache_clear()
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setattr(canary_secrets, "_KEPT", {})
    yield World(s3, s3_bucket, tmp_path)
    s3_storage._client_of.cache_clear()


def enforced(world: World, monkeypatch: pytest.MonkeyPatch, *rights_of_canary: str) -> None:
    """From now on IAM is asked, and the environment has the keys of an emitter with the documented rights."""
    iam: Any = boto3.client("iam")
    name = world.bucket  # no other test has seen it
    manager: Any = boto3.client("secretsmanager")
    manager.create_secret(Name=name, SecretString="s" * 64)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=_trust(name))
    if rights_of_canary:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=_policy(*rights_of_canary))
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=_policy(*documented_rights()))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    world.config.write_text(CONFIG.replace('"canary"', f'"{name}"').replace("trailcanary/code", name))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)


def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """IAM is not asked any more."""
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", float("inf"))


def test_a_role_without_rights_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As EC2 refuses: the canary sings, the receipts say so, exit code 0."""
    enforced(world, monkeypatch)
    assert world.emit("--once") == 0
    free(monkeypatch)
    receipts = [json.loads(line) for body in world.objects("2") for line in body.splitlines()]
    assert {(each["region"], each["outcome"], each["error_code"]) for each in receipts} == {
        ("eu-west-1", "refused", "AccessDenied"),  # moto's word for it; tests/test_emit.py has EC2's
        ("us-east-1", "refused", "AccessDenied"),
    }
    assert all(each["request_id"] for each in receipts)
    assert world.objects("stopped") == []
    (told,) = capsys.readouterr().err.splitlines()
    assert json.loads(told)["refused"] == 2


def test_a_role_with_rights_stops_the_canary(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`DryRunOperation`: loud, exit code 1, and no further call, from the command line or from Lambda."""
    enforced(world, monkeypatch, "ec2:RunInstances")
    assert world.emit("--once") == 1
    assert "THIS CALL MUST BE REFUSED AND WAS NOT" in capsys.readouterr().err
    assert world.emit("--every") == 1
    assert "it is stopped until" in capsys.readouterr().err
    monkeypatch.setenv("TRAILCANARY_CONFIG", str(world.config))
    monkeypatch.setenv("TRAILCANARY_RECEIPTS", world.receipts)
    with pytest.raises(NotRefused):
        handler({}, None)
    free(monkeypatch)
    (mark,) = world.objects("stopped")
    assert json.loads(mark)["error_code"] == "DryRunOperation"
    assert not [
        each
        for each in boto3.client("ec2").describe_instances()["Reservations"]
        if each["OwnerId"] == DEFAULT_ACCOUNT_ID
    ]


@pytest.mark.parametrize(
    ("call", "codes"),
    [
        ("s3:CreateBucket", {"InvalidLocationConstraint", "IllegalLocationConstraintException"}),
        ("ec2:RunInstances", {"DryRunOperation"}),
    ],
)
def test_nothing_is_made_whoever_calls(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], call: str, codes: set[str]
) -> None:
    """With all rights: AWS says why it makes nothing, in every region, and that counts as a call that was allowed."""
    buckets = len(world.s3.list_buckets()["Buckets"])
    enforced(world, monkeypatch, "*")
    text = world.config.read_text().replace("request_parameters.clientToken", CALLS[call].carrier)
    world.config.write_text(text + f'call = "{call}"\n')
    assert world.emit("--once") == 1
    free(monkeypatch)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = {line["error_code"] for line in lines if line["event"] == "canary_allowed"}
    assert told  # the first stops the canary: the other region may not be called any more
    assert told <= codes
    assert len(world.s3.list_buckets()["Buckets"]) == buckets
    assert len(world.objects("stopped")) == 1


def test_the_lambda_function(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says that all is well, or raises; a configuration that is not there is told."""
    enforced(world, monkeypatch)
    monkeypatch.setenv("TRAILCANARY_CONFIG", str(world.config))
    assert handler({"source": "aws.events"}, None) == {"result": "every call was refused"}
    spreads: list[int] = []
    with monkeypatch.context() as spread:
        spread.setattr(emit_lambda, "emit_until", lambda _config, options, *_: spreads.append(options.spread_us) or 0)
        handler({}, None)
        variables = template("emitter.yaml")["Emitter"]["Properties"]["Environment"]["Variables"]
        spread.setenv("TRAILCANARY_SPREAD", variables["TRAILCANARY_SPREAD"])
        handler({}, None)
    assert spreads == [0, 30 * SECOND_US]
    with monkeypatch.context() as spread:
        spread.setenv("TRAILCANARY_SPREAD", "soon")
        with pytest.raises(UsageError, match="TRAILCANARY_SPREAD soon: not a length of time"):
            handler({}, None)
    monkeypatch.delenv("TRAILCANARY_CONFIG")
    monkeypatch.setenv("LAMBDA_TASK_ROOT", "/nowhere")
    with pytest.raises(UsageError, match=r"/nowhere/trailcanary\.toml: "):
        handler({}, None)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--once", "--every"), "not allowed with argument"),
        ((), "one of the arguments --once --every is required"),
        (("--every", "5"), "--every 5: not a length of time such as 30s or 5m"),
        (("--once", "--spread", "x"), "--spread x: not a length of time"),
        (("--once", "--fast"), "unknown argument --fast"),
    ],
)
def test_usage(world: World, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], problem: str) -> None:
    """Exit code 2, and nothing is called."""
    try:
        code = world.emit(*options)
    except SystemExit as error:  # argparse's own
        code = int(str(error.code))
    assert code == 2
    assert problem in capsys.readouterr().err


def test_a_secret_that_is_not_there(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Is a mistake of configuration."""
    world.config.write_text(CONFIG.replace("trailcanary/code", "trailcanary/other"))
    assert world.emit("--once") == 2
    assert capsys.readouterr().err == "trailcanary: secret_id trailcanary/other: ResourceNotFoundException\n"


def test_the_rights_are_few() -> None:
    """Of the emitter: no wildcard, and each on what it needs; of the canary: none, and denied whatever comes."""
    (policy,) = template("emitter.yaml")["EmitterRole"]["Properties"]["Policies"]
    for statement in policy["PolicyDocument"]["Statement"]:
        assert statement["Resource"] != "*"
    assert not [right for right in documented_rights() if "*" in right]
    role = template("canary-role.yaml")["CanaryRole"]["Properties"]
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert statement == {"Effect": "Deny", "Action": "*", "Resource": "*"}
    assert "ManagedPolicyArns" not in role
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": {"Ref": "ExternalId"}}}


def test_the_function_needs_no_beam() -> None:
    """Its image has neither Beam nor DuckDB."""
    absent = "'apache_beam', 'duckdb', 'orjson', 'rich', 'isal', 'fastavro', 'sigma'"
    code = f"import sys, pipeline.emit_lambda; print(sorted({{{absent}}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
