"""The AWS CLI's `cloudtrail validate-logs` over objects in memory: reads a job a line, and answers with its verdict.

A process of its own, without network or credentials: whoever imports `awscli` gets its botocore for everybody's. The
validator is no stable interface, so the lock pins it.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from unittest import mock

from awscli.customizations.cloudtrail import validation

Job = Mapping[str, Any]
"""`walk` (trail, account_id, region, home_region, organization, start, end), `bucket`, `objects` by key (body in
base64, metadata), `keys` (fingerprint, der in base64, region, valid_from_us, valid_until_us), `forbidden` keys."""


def main() -> None:
    """Answer every job on standard input."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(verdict(json.loads(line))) + "\n")
        sys.stdout.flush()


def verdict(job: Job) -> Mapping[str, Any]:
    """One call of the command: its exit code (255 for an exception that it does not catch) and what it printed."""
    command = validation.CloudTrailValidateLogs(mock.Mock())
    command.handle_args(_arguments(job["walk"]))
    command._source_region = job["walk"]["region"]
    command.s3_client_provider = _Clients(_S3(job))
    command.cloudtrail_client = _CloudTrail(job)
    command.organization_client = _Organizations(job)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        code = _exit_code(command)
    valid = command._valid_digests + command._valid_backfill_digests + command._valid_logs
    return {"code": code, "output": out.getvalue(), "valid": valid}


def _exit_code(command: validation.CloudTrailValidateLogs) -> int:
    try:
        command._call()
    except Exception:  # noqa: BLE001 - as the entry point of the CLI does
        return 255
    return int(command._invalid_digests + command._invalid_backfill_digests + command._invalid_logs > 0)


def _trail_arn(walk: Mapping[str, Any]) -> str:
    return f"arn:aws:cloudtrail:{walk['home_region']}:{walk['account_id']}:trail/{walk['trail']}"


def _arguments(walk: Mapping[str, Any]) -> argparse.Namespace:
    return argparse.Namespace(
        trail_arn=_trail_arn(walk),
        account_id=walk["account_id"],
        start_time=walk["start"],
        end_time=walk["end"],
        s3_bucket=None,
        s3_prefix=None,
        verbose=True,
    )


class _S3(NamedTuple):
    """GetObject and ListObjects of the one bucket there is."""

    job: Job

    def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]:  # noqa: N803 - boto's names
        found = self.job["objects"].get(Key) if Bucket == self.job["bucket"] else None
        code = "AccessDenied" if Key in self.job["forbidden"] else "NoSuchKey" if found is None else None
        if code:
            raise validation.ClientError({"Error": {"Code": code, "Message": Key}}, "GetObject")
        return {"Body": io.BytesIO(base64.b64decode(found["body"])), "Metadata": found["metadata"]}

    def get_paginator(self, _: str) -> _S3:
        return self

    def paginate(self, *, Bucket: str, Marker: str, Prefix: str) -> _Pages:  # noqa: N803
        keys = self.job["objects"] if Bucket == self.job["bucket"] else []
        return _Pages(sorted(key for key in keys if key.startswith(Prefix) and key > Marker))


class _Pages(NamedTuple):
    keys: Sequence[str]

    def search(self, _: str) -> Iterator[str]:
        return iter(self.keys)


class _Clients(NamedTuple):
    client: _S3

    def get_client(self, _: str) -> _S3:
        return self.client


class _CloudTrail(NamedTuple):
    """DescribeTrails and ListPublicKeys in the region that the command was called in."""

    job: Job

    def describe_trails(self) -> Mapping[str, Any]:
        walk = self.job["walk"]
        trail = {"TrailARN": _trail_arn(walk), "S3BucketName": self.job["bucket"]}
        return {"trailList": [{**trail, "IsOrganizationTrail": walk["organization"] is not None}]}

    def list_public_keys(self, *, StartTime: Any, EndTime: Any) -> Mapping[str, Any]:  # noqa: N803
        start_us, end_us = (time.timestamp() * 1e6 for time in (StartTime, EndTime))
        keys = [key for key in self.job["keys"] if key["region"] == self.job["walk"]["region"]]
        valid = [key for key in keys if key["valid_from_us"] <= end_us and key["valid_until_us"] >= start_us]
        return {"PublicKeyList": [{"Fingerprint": key["fingerprint"], "Value": key["der"]} for key in valid]}


class _Organizations(NamedTuple):
    job: Job

    def describe_organization(self) -> Mapping[str, Any]:
        return {"Organization": {"Id": self.job["walk"]["organization"]}}


if __name__ == "__main__":
    main()
