"""What a stream does while nothing arrives, on a real Flink cluster: alerts in time, and nothing that grows.

    python -m benchmarks.silence [--minutes M]

An object, and then nothing. Canaries begin one after the other, and nobody ever hears one: each must alert at its first
deadline. Prints processor time, memory and the size of checkpoints each minute, and how late the alerts were.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from pathlib import Path

import orjson

from benchmarks.organisation import Organisation
from benchmarks.submission import running_cluster, silent_canary, start_stream
from benchmarks.targets import Folder
from benchmarks.usage import Usage, print_quantiles
from deploy.flink.cluster import Cluster
from pipeline.clock import now_us
from schemas.times import MINUTE_US, SECOND_US, format_us, parse_iso_us

_EVERY_S = 60
_REGIONS = ["us-east-1", "eu-west-1"]


def main() -> None:
    """Start a cluster, let it be, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=30, help="for how long (%(default)s)")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="trailcanary-silence-") as folder:
        scratch = Path(folder)
        with running_cluster(scratch) as cluster:
            _measure(cluster, scratch, minutes)


def _measure(cluster: Cluster, scratch: Path, minutes: int) -> None:
    bucket, lake, config = scratch / "bucket", scratch / "lake", scratch / "trailcanary.toml"
    Organisation(1, 1, now_us()).produce(Folder(bucket).put, 1, 1, {})
    begin_us = now_us() + MINUTE_US
    since = [format_us(begin_us + number * MINUTE_US) for number in range(minutes)]
    config.write_text("".join(silent_canary(f"silent-{number}", _REGIONS, at) for number, at in enumerate(since)))
    job = start_stream(cluster, "--input", bucket, "--output", lake, "--config", config)
    usage = Usage(cluster, job)
    end_us = begin_us + (minutes + 1) * MINUTE_US
    while now_us() < end_us:
        threading.Event().wait(_EVERY_S)
        print(usage.line(), flush=True)
    late_us = []
    for path in lake.glob("alerts/*.jsonl"):
        alert = orjson.loads(path.read_bytes())
        if alert["status"] == "opened":
            late_us.append(path.stat().st_mtime_ns // 1000 - parse_iso_us(alert["detected_at"]))
    print(f"{len(_REGIONS) * minutes} places fell silent, {end_us / SECOND_US - begin_us / SECOND_US:.0f} s")
    print_quantiles("silence to alert", late_us)


if __name__ == "__main__":
    main()
