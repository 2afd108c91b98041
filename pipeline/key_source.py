"""CloudTrail's `ListPublicKeys`, asked in each region that signs."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from schemas.digests import PublicKey
from schemas.errors import PublicKeyError
from schemas.public_keys import public_key
from schemas.times import SECOND_US, datetime_us

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 5},
    user_agent_extra="trailcanary",
)


def list_public_keys(region: str, from_us: int, until_us: int) -> tuple[PublicKey, ...]:
    """The keys that signed digests of `region` between the two times. Credentials are found as boto3 finds them.

    Raises:
        PublicKeyError: CloudTrail refused, did not answer, or answered with no key or with what is none.
    """
    try:
        client = boto3.Session().client("cloudtrail", region_name=region, config=_CONFIG)
        pages = client.get_paginator("list_public_keys").paginate(
            StartTime=from_us // SECOND_US, EndTime=until_us // SECOND_US
        )
        keys = tuple(_key(region, each) for page in pages for each in page.get("PublicKeyList", ()))
    except ClientError as error:
        given = error.response.get("Error", {})
        detail = f"{given.get('Code', 'unknown')}: {given.get('Message', '')}"
        raise PublicKeyError(f"{region}: ListPublicKeys: {detail}") from error
    except BotoCoreError as error:  # its own text may name proxies and their passwords
        raise PublicKeyError(f"{region}: ListPublicKeys: {type(error).__name__}") from error
    if not keys:
        raise PublicKeyError(f"{region}: ListPublicKeys: CloudTrail has no key for that time")
    return keys


def _key(region: str, given: dict[str, Any]) -> PublicKey:
    missing = {"Value", "Fingerprint", "ValidityStartTime", "ValidityEndTime"} - given.keys()
    if missing or not given["Value"]:
        raise PublicKeyError(f"{region}: ListPublicKeys: a key without {', '.join(sorted(missing)) or 'Value'}")
    valid_us = datetime_us(given["ValidityStartTime"]), datetime_us(given["ValidityEndTime"])
    return public_key(region, given["Fingerprint"].lower(), given["Value"], *valid_us)
