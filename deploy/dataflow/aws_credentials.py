"""Keys of an AWS role for a Google service account: the `credential_process` of the workers' AWS configuration.

    aws_credentials.py ROLE_ARN AUDIENCE REGION

The machine's metadata server signs a token that names the service account, STS gives the role's keys for it, and they
are printed as boto3 wants them, which asks again before they end. Nothing is stored. It needs boto3 alone.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.parse
import urllib.request
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_PATH = "/computeMetadata/v1/instance/service-accounts/default/identity"
_TIMEOUT_S = 10
# Without keys of its own boto3 would look for some, find this very process, and start it again and again.
_NO_KEYS = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}


def main(role_arn: str, audience: str, region: str) -> int:
    """Print the keys. Exit code 1, and a sentence, where Google or AWS refuses; boto3 passes it on."""
    try:
        keys = role_keys(role_arn, google_token(audience), region)
    except (OSError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"no keys of {role_arn}: {error}\n")
        return 1
    json.dump(keys, sys.stdout)
    return 0


def google_token(audience: str) -> str:
    """A token that names this machine's service account. Raises OSError."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    query = urllib.parse.urlencode({"audience": audience, "format": "full"})
    request = urllib.request.Request(f"http://{host}{_PATH}?{query}", headers={"Metadata-Flavor": "Google"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        return str(answer.read().decode("ascii"))


def role_keys(role_arn: str, token: str, region: str) -> dict[str, Any]:
    """What `credential_process` must print. Raises BotoCoreError or ClientError."""
    config = Config(signature_version=UNSIGNED, connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S)
    sts: Any = boto3.client("sts", region_name=region, config=config, **_NO_KEYS)  # type: ignore[call-overload]
    answer = sts.assume_role_with_web_identity(RoleArn=role_arn, RoleSessionName="trailcanary", WebIdentityToken=token)
    keys = answer["Credentials"]
    named = {name: keys[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
    return {"Version": 1, **named, "Expiration": keys["Expiration"].isoformat()}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
