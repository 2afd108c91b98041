"""The simulated canary: a RunInstances dry run that is refused, every five minutes in every account and region."""

from __future__ import annotations

from schemas.times import SECOND_US, format_us
from transforms.simulation.identities import CANARY_ROLE, Caller, address, assumed_role
from transforms.simulation.scenario import BUCKET, INTERVAL_US, TRAIL, Scenario
from transforms.simulation.schedule import INTERVAL_S, Part, part_of
from transforms.simulation.template import Call
from transforms.simulation.timeline import check

CANARY = "dry-run-instances"
_SESSION = "canary"
_AGENT = "Boto3/1.35.71 md/Botocore#1.35.71 ua/2.0 os/linux#5.10.228 lang/python#3.12.7 exec-env/AWS_Lambda_python3.12"
_PARAMETERS = (
    '{"instancesSet":{"items":[{"imageId":"ami-0<hex:16>","minCount":1,"maxCount":1}]},"instanceType":"t3.nano",'
    '"blockDeviceMapping":{},"monitoring":{"enabled":false},"disableApiTermination":false,"disableApiStop":false,'
    '"clientToken":"tc-<hex:40>"}'
)

CANARY_CALL = Call(
    "ec2",
    "RunInstances",
    caller="canary",
    parameters=_PARAMETERS,
    version="1.10",
    error=(
        "Client.UnauthorizedOperation",
        "You are not authorized to perform this operation. User: arn:aws:sts::<account>:assumed-role/canary/canary is "
        "not authorized to perform: ec2:RunInstances on resource: arn:aws:ec2:<region>:<account>:instance/* because no "
        "identity-based policy allows the ec2:RunInstances action. Encoded authorization failure message: <base64:360>",
    ),
)
CANARY_ALLOWED_CALL = Call(
    "ec2",
    "RunInstances",
    caller="canary",
    parameters=_PARAMETERS,
    version="1.10",
    error=("Client.DryRunOperation", "Request would have succeeded, but DryRun flag is set."),
)


def canary_moment(scenario: Scenario, account: str, region: str, slot: int) -> tuple[int, Part]:
    """The second of its slot in which the canary calls, and when that is delivered. A slot is one interval."""
    rng = scenario.rng("canary", account, region, slot)
    second = rng.randrange(INTERVAL_S)
    return second, part_of(rng, second)


def canary_caller(scenario: Scenario, account: str, region: str, slot: int) -> Caller:
    """The canary's role session, a new one for every call."""
    rng = scenario.rng("canary session", account, region, slot)
    created_us = slot * INTERVAL_US - rng.randrange(600) * SECOND_US
    identity = assumed_role(rng, account, CANARY_ROLE, _SESSION, max(created_us, 0))
    return Caller(identity, address(rng), _AGENT)


def canary_config(scenario: Scenario) -> str:
    """The configuration file (TOML) that declares the canary in all places, the security account too, and the trail.

    Raises:
        UsageError: the scenario cannot be simulated.
    """
    check(scenario)
    return f"""\
[[canary]]
name     = "{CANARY}"
accounts = {_texts(scenario.delivering)}
regions  = {_texts(scenario.regions)}
period   = "5m"
grace    = "15m"
since    = {format_us(scenario.start_us)}
[canary.match]
event_source = "ec2.amazonaws.com"
event_name   = "RunInstances"
error_code   = ["Client.UnauthorizedOperation", "AccessDenied*"]
user_arn     = "arn:aws:sts::*:assumed-role/{CANARY_ROLE}/*"
"request_parameters.clientToken" = "tc-*"

[[trail]]
name = "{TRAIL}"
account = "{scenario.members[0]}"
home_region = "{scenario.home_region}"
bucket = "{BUCKET}"
kms_key = "{scenario.kms_key_arn}"
"""


def _texts(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"
