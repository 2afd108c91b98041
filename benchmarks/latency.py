"""How long a stream takes, on a real Flink cluster, with S3 and SQS over real sockets.

    python -m benchmarks.latency [--objects N]

Prints p50, p95, p99 and the greatest of two times:
- tampering: from when an object that holds a StopLogging is visible, and its notice sent, to its alert in the lake;
- silence: from the deadline of a canary's slot that nobody heard to its alert.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
import threading
from pathlib import Path

import orjson

from benchmarks.submission import QUICK, running_cluster, silent_canary, start_stream
from benchmarks.targets import ServedBucket
from benchmarks.usage import print_quantiles
from deploy.flink.cluster import Cluster
from deploy.flink.processes import wait_for
from pipeline.clock import now_us
from schemas.times import format_us, parse_iso_us

_ACCOUNT, _REGIONS = "111122223333", 10
_PAUSE_S = 0.7


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=60, help="objects with a StopLogging (%(default)s)")
    objects = parser.parse_args().objects
    with tempfile.TemporaryDirectory(prefix="trailcanary-latency-") as folder:
        bucket, scratch = ServedBucket(keys_a_notice=1), Path(folder)
        with running_cluster(scratch) as cluster:
            _measure(cluster, bucket, scratch, objects)


def _measure(cluster: Cluster, bucket: ServedBucket, scratch: Path, objects: int) -> None:
    config, lake = scratch / "trailcanary.toml", scratch / "lake"
    regions = [f"test-region-{number}" for number in range(_REGIONS)]
    config.write_text(silent_canary("nobody", regions, format_us(now_us())))
    start_stream(cluster, *bucket.options, "--output", lake, "--config", config, "--every", "60s", *QUICK)
    visible: dict[str, int] = {}
    for number in range(-3, objects):  # the first few wait for workers to start, and are not counted
        key, trail, body = _object(number)
        bucket.put(key, body)
        visible[trail] = now_us()
        if number == -1:
            wait_for(lambda: len(_alerts(lake, "trail.tampered")) == len(visible), "the first alerts", 120)
        threading.Event().wait(_PAUSE_S)
    wait_for(lambda: len(_alerts(lake, "trail.tampered")) == len(visible), "the alerts", 120)
    wait_for(lambda: len(_alerts(lake, "canary.")) >= _REGIONS, "the silence", 120)
    tampering = [at_us - visible[resource] for resource, _, at_us in _alerts(lake, "trail.tampered")]
    print_quantiles("tampering", tampering[3:] if len(tampering) > 3 else tampering)
    print_quantiles("silence", [at_us - detected_us for _, detected_us, at_us in _alerts(lake, "canary.")])


def _object(number: int) -> tuple[str, str, bytes]:
    """The key, the trail that is stopped, and the object."""
    at_us = now_us()
    trail = f"arn:aws:cloudtrail:us-east-1:{_ACCOUNT}:trail/trail-{number}"
    actor = f"arn:aws:iam::{_ACCOUNT}:user/mallory-{number}"  # of one actor all would be one page
    record = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "accountId": _ACCOUNT, "arn": actor},
        "eventTime": f"{format_us(at_us)[:19]}Z",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "aws-cli",
        "requestParameters": {"name": trail},
        "responseElements": None,
        "eventID": f"00000000-0000-4000-8000-{number + 3:012d}",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": _ACCOUNT,
        "eventCategory": "Management",
    }
    stamp = format_us(at_us)[:16].replace("-", "").replace(":", "") + "Z"
    folder = f"AWSLogs/{_ACCOUNT}/CloudTrail/us-east-1/{format_us(at_us)[:10].replace('-', '/')}"
    key = f"{folder}/{_ACCOUNT}_CloudTrail_us-east-1_{stamp}_{number + 3:016d}.json.gz"
    return key, trail, gzip.compress(orjson.dumps({"Records": [record]}))


def _alerts(lake: Path, kind: str) -> list[tuple[str, int, int]]:
    """Resource, when the evidence was complete, and when the file appeared; in order of appearance."""
    found = []
    for path in lake.glob("alerts/*.jsonl"):
        alert = orjson.loads(path.read_bytes())
        if alert["kind"].startswith(kind) and alert["status"] == "opened":
            detected_us = parse_iso_us(alert["detected_at"])
            found.append((alert["resource"] or "", detected_us, path.stat().st_mtime_ns // 1000))
    return sorted(found, key=lambda each: each[2])


if __name__ == "__main__":
    main()
