"""The simulated canary: a RunInstances dry run that is refused, every five minutes in every account and region."""

from __future__ import annotations

from schemas.canaries import Place
from schemas.times import HOUR_US, SECOND_US, format_us
from transforms.canary_codes import CODE_CHARS, make_code
from transforms.simulation.identities import CANARY_ROLE, Caller, address, assumed_role
from transforms.simulation.scenario import BUCKET, INTERVAL_US, TRAIL, Scenario
from transforms.simulation.schedule import INTERVAL_S, Part, part_of
from transforms.simulation.template import Call
from transforms.simulation.timeline import Voice, check

CANARY = "dry-run-instances"
SECRET_NAME = "trailcanary.secret"  # noqa: S105 - a name
"""The file, beside the configuration, with the secret of the canary's code."""
_SESSION = "canary"
_CODE_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_REPLAYED_SLOTS = HOUR_US // INTERVAL_US
_AGENT = "Boto3/1.35.71 md/Botocore#1.35.71 ua/2.0 os/linux#5.10.228 lang/python#3.12.7 exec-env/AWS_Lambda_python3.12"
_PARAMETERS = (
    '{"instancesSet":{"items":[{"imageId":"ami-0<hex:16>","minCount":1,"maxCount":1}]},"instanceType":"t3.nano",'
    '"blockDeviceMapping":{},"monitoring":{"enabled":false},"disableApiTermination":false,"disableApiStop":false,'
    '"clientToken":"tc-<code>"}'
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
CANARY_THROTTLED_CALL = Call(
    "ec2",
    "RunInstances",
    caller="canary",
    parameters=_PARAMETERS,
    version="1.10",
    error=("Client.RequestLimitExceeded", "Request limit exceeded."),
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


def canary_secret(scenario: Scenario) -> bytes:
    """The secret of the canary's code: 64 hex digits, other ones for each seed."""
    return scenario.rng("canary secret").randbytes(32).hex().encode()


def canary_code(scenario: Scenario, account: str, region: str, slot: int, voice: Voice) -> str:
    """The code that the canary's call of a slot carries, or that of whoever imitates it."""
    if voice is Voice.FORGED:
        letters = scenario.rng("forged code", account, region, slot).choices(_CODE_LETTERS, k=CODE_CHARS)
        return "".join(letters)
    slot -= _REPLAYED_SLOTS if voice is Voice.REPLAYED else 0
    return make_code(canary_secret(scenario), Place(CANARY, account, region), INTERVAL_US, slot)


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
[canary.code]
carrier     = "request_parameters.clientToken"
secret_file = "{SECRET_NAME}"

[[trail]]
name = "{TRAIL}"
account = "{scenario.members[0]}"
home_region = "{scenario.home_region}"
organization = true
multi_region = true
bucket = "{BUCKET}"
kms_key = "{scenario.kms_key_arn}"
topic = "{scenario.topic_arn}"
queue = "{scenario.queue_arn}"
role = "{scenario.reader_role_arn}"
"""


def _texts(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"
