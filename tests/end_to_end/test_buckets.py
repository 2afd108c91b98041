"""Input and lake in buckets, over a socket: the same commands, and what only a bucket does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from folders import ACCOUNT, ask, event, log_key, packed, run, trailcanary
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from pipeline.s3_storage import S3Storage
from schemas.storage import Stat

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_KEYS = [f"{prefix}/{log_key('named')}" for prefix in ("with space", "a+b", "per%2Fcent", "schlüssel/日本")]
_STOP = {"eventName": "StopLogging", "eventSource": "cloudtrail.amazonaws.com", "requestParameters": {"name": "t"}}


@pytest.fixture
def buckets(s3: S3Client, s3_bucket: str) -> tuple[str, str]:
    """Names of a bucket for logs and one for the lake."""
    s3.create_bucket(Bucket=f"{s3_bucket}-logs")
    return f"{s3_bucket}-logs", s3_bucket


def test_run_query_and_export(s3: S3Client, buckets: tuple[str, str]) -> None:
    """Odd keys and more than one page of them; a second run reads nothing; the records come back."""
    logs, lake = buckets[0], f"s3://{buckets[1]}/some/lake"
    for number, key in enumerate(_KEYS):
        s3.put_object(Bucket=logs, Key=key, Body=packed(event(f"e{number}", **(_STOP if number == 0 else {}))))
    for number in range(1_001):
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(logs, f"notes/{number}", b"")  # what the server serves
    summary = run(f"s3://{logs}", lake)
    assert summary["balance"]["objects_listed"] == 1_001 + len(_KEYS)
    assert (summary["balance"]["objects_not_logs"], summary["balance"]["records_archived"]) == (1_001, len(_KEYS))
    assert [(alert["kind"], alert["account_id"]) for alert in summary["alerts"]] == [("trail.tampered", ACCOUNT)]
    assert run(f"s3://{logs}", lake)["balance"]["objects_known"] == 1_001 + len(_KEYS)

    asked = trailcanary(
        "query", "--output", lake, "--format", "json", "SELECT object_key FROM events ORDER BY event_id"
    )
    assert asked.code == 0, asked.err
    assert [row["object_key"] for row in json.loads(asked.out)] == [f"s3://{logs}/{key}" for key in _KEYS]
    exported = trailcanary("export", "--output", lake)
    assert sorted(json.loads(line)["eventID"] for line in exported.out.splitlines()) == ["e0", "e1", "e2", "e3"]
    overview = trailcanary("query", "--output", lake)
    assert overview.code == 0
    assert re.search(r"^objects_off_balance +0 *$", overview.out, re.MULTILINE)


def test_objects_that_vanish_or_are_refused(
    s3: S3Client, buckets: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are dead letters and an alert; the others are read. Once allowed, a replay reads the refused one."""
    logs, lake = buckets[0], f"s3://{buckets[1]}"
    for name in ("good", "vanishing", "secret"):
        s3.put_object(Bucket=logs, Key=log_key(name), Body=packed(event(name)))
    s3.put_bucket_policy(Bucket=logs, Policy=_denying(logs, log_key("secret")))
    listed = S3Storage.list

    def list_and_lose(storage: S3Storage, prefix: str = "") -> Iterator[Stat]:
        yield from listed(storage, prefix)
        if storage.bucket == logs:
            s3.delete_object(Bucket=logs, Key=log_key("vanishing"))

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(S3Storage, "list", list_and_lose)
        summary = run(f"s3://{logs}", lake)
    assert summary["dead_letters"] == {"vanished": 1, "forbidden": 1}
    assert (summary["balance"]["objects_read"], summary["balance"]["objects_dead"]) == (1, 2)
    assert [alert["kind"] for alert in summary["alerts"]] == ["ingest.unreadable"]

    s3.delete_bucket_policy(Bucket=logs)
    assert run(f"s3://{logs}", lake, "--replay-dead-letters")["balance"]["objects_read"] == 1
    assert ask(lake, "SELECT event_id FROM events ORDER BY event_id") == [("good",), ("secret",)]
    assert ask(lake, "SELECT * FROM audit") == []


def _denying(bucket: str, key: str) -> str:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/{key}",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_bucket_that_is_not_there(s3: S3Client) -> None:  # noqa: ARG001 - the environment
    """One line and exit code 1."""
    done = trailcanary("run", "--input", "s3://no-such-bucket-here", "--output", "s3://no-such-bucket-here/lake")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("trailcanary: s3://no-such-bucket-here")
    assert done.err.count("\n") == 1
