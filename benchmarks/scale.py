"""Whether a stream keeps up with a large organisation, on a real Flink cluster on this machine.

    python -m benchmarks.scale [--accounts N] [--regions N] [--rate OBJECTS_PER_S] [--minutes M] [--every T] [--bucket]

Each account and region has a canary every five minutes; three of these places stay silent. Objects of a few records
appear at the given rate, the sightings among them: in a folder; or in a bucket, with a notice for each ten, served over
sockets by this process, which does not keep up with 100 a second itself. Prints how far the stream was behind, how long
an object took to its ledger, how late the silence was told, and what it cost in processor time, memory and checkpoints.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections import Counter
from pathlib import Path

import orjson
import pyarrow.parquet as pq

from benchmarks.organisation import GRACE_US, PERIOD_US, Organisation
from benchmarks.submission import QUICK, running_cluster, start_stream
from benchmarks.targets import Folder, ServedBucket
from benchmarks.usage import Usage, print_quantiles
from deploy.flink.cluster import Cluster
from deploy.flink.processes import wait_for
from pipeline.clock import now_us
from schemas.times import SECOND_US, parse_iso_us

_SETTLED_WITHIN_S = 300
_SILENT = 3
_TOLD_EVERY_S = 60


def main() -> None:
    """Start a cluster, load it, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1000, help="accounts (%(default)s)")
    parser.add_argument("--regions", type=int, default=17, help="regions of each (%(default)s)")
    parser.add_argument("--rate", type=float, default=100, help="objects a second (%(default)s)")
    parser.add_argument("--minutes", type=float, default=18, help="for how long (%(default)s)")
    parser.add_argument("--every", default="3s", help="time between listings (%(default)s)")
    parser.add_argument("--bucket", action="store_true", help="a bucket with notices instead of a folder")
    given = parser.parse_args()
    since_us = -(-now_us() // PERIOD_US) * PERIOD_US
    organisation = Organisation(given.accounts, given.regions, since_us, _SILENT)
    print(f"{given.accounts} accounts × {given.regions} regions, {given.rate:g} objects a second", flush=True)
    with tempfile.TemporaryDirectory(prefix="trailcanary-scale-") as folder:
        scratch = Path(folder)
        target = ServedBucket() if given.bucket else Folder(scratch / "bucket")
        with running_cluster(scratch) as cluster:
            loaded = _Loaded(cluster, scratch, organisation, target, given.every)
            loaded.run(given.rate, given.minutes)
            loaded.report()


class _Loaded:
    """A stream under load, and what is measured of it."""

    def __init__(
        self, cluster: Cluster, scratch: Path, organisation: Organisation, target: Folder | ServedBucket, every: str
    ) -> None:
        self._organisation = organisation
        self._put, self._lake = target.put, scratch / "lake"
        config = scratch / "trailcanary.toml"
        config.write_text(organisation.config())
        lake = "--output", self._lake, "--config", config, "--every", every
        job = start_stream(cluster, *target.options, *lake, *QUICK)
        self._visible: dict[str, int] = {}
        self._usage = Usage(cluster, job)

    def run(self, rate: float, minutes: float) -> None:
        """Produce, and tell how it goes."""
        arguments = (self._put, rate, int(rate * minutes * 60), self._visible)
        producer = threading.Thread(target=self._organisation.produce, args=arguments, name="produce")
        producer.start()
        while producer.is_alive():
            producer.join(_TOLD_EVERY_S)
            self._tell()
        ended_us = now_us()
        wait_for(lambda: len(self._committed()) >= len(self._visible), "the backlog", _SETTLED_WITHIN_S)
        print(f"the last was committed {(now_us() - ended_us) / SECOND_US:.1f} s after it came")

    def report(self) -> None:
        """What came of it."""
        committed = self._committed()
        print_quantiles("object to ledger", [committed[key] - at_us for key, at_us in self._visible.items()])
        alerts = [(path, orjson.loads(path.read_bytes())) for path in self._lake.glob("alerts/*.jsonl")]
        told = [path.stat().st_mtime_ns // 1000 - parse_iso_us(alert["detected_at"]) for path, alert in alerts]
        if told:
            print_quantiles("silence to alert", told)
        due = (now_us() - GRACE_US - self._organisation.since_us) // PERIOD_US
        kinds = Counter(alert["kind"] for _, alert in alerts)
        print(f"{due} slots of each place were due; alerts {dict(kinds)}, of {_SILENT} silent places; {self._slots()}")
        print("processor, s: " + ", ".join(f"{name} {cpu_s:.0f}" for name, cpu_s in self._usage.cpu_s().items()))

    def _tell(self) -> None:
        behind = len(self._visible) - len(self._committed())
        print(f"{self._usage.line()}; {len(self._visible)} objects, {behind} not committed", flush=True)

    def _committed(self) -> dict[str, int]:
        """When each object's part of the ledger appeared, by the object's key."""
        found: dict[str, int] = {}
        for path in self._lake.glob("objects/*.parquet"):
            at_us = path.stat().st_mtime_ns // 1000
            uris = pq.read_table(path, columns=["uri"]).column("uri").to_pylist()
            found.update((uri[uri.index("AWSLogs/") :], at_us) for uri in uris)
        return found

    def _slots(self) -> dict[str, int]:
        """How many were judged, by verdict."""
        counts: Counter[str] = Counter()
        for path in self._lake.glob("canaries/verdicts-*.parquet"):
            for row in pq.read_table(path, columns=["verdict", "first_slot", "last_slot"]).to_pylist():
                counts[row["verdict"]] += row["last_slot"] - row["first_slot"] + 1
        return dict(counts)


if __name__ == "__main__":
    main()
