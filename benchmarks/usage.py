"""What a cluster on this machine costs: processor time, memory, checkpoints; and how times are printed."""

from __future__ import annotations

import contextlib
import os
import resource
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.flink.cluster import PARTS, Cluster
from schemas.times import SECOND_US


class Usage:
    """Of one job on a cluster, from now on."""

    def __init__(self, cluster: Cluster, job: str) -> None:
        self._cluster = cluster
        self._job = job
        self._began = time.monotonic()
        self._before_s = self._cpu_s()

    def line(self) -> str:
        """How it goes."""
        took_s = time.monotonic() - self._began
        cores = sum(self.cpu_s().values()) / took_s
        checkpoint = next(iter(self._cluster.jobmanager.checkpoints(self._job)), None)
        size = f"checkpoint {checkpoint.size_bytes / 1e6:.2f} MB" if checkpoint else "no checkpoint"
        memory = ", ".join(f"{name} {self._rss_mb(name):.0f}" for name in PARTS)
        return f"{took_s:5.0f} s: {cores:.2f} cores; {size}; MB: {memory}"

    def cpu_s(self) -> dict[str, float]:
        """Processor time since the beginning: of each part with what it started, and of this process."""
        return {name: after_s - self._before_s[name] for name, after_s in self._cpu_s().items()}

    def _cpu_s(self) -> dict[str, float]:
        spent = {}
        for name in PARTS:
            fields = [text.rpartition(")")[2].split() for text in self._proc(name, "stat")]
            spent[name] = sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return spent | {"this": usage.ru_utime + usage.ru_stime}

    def _rss_mb(self, name: str) -> float:
        """Memory of a part with what it started; shared pages count each time."""
        pages = sum(int(text.split()[1]) for text in self._proc(name, "statm"))
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def _proc(self, name: str, file: str) -> list[str]:
        found = []
        for pid in self._cluster.processes.members(name):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                found.append(Path(f"/proc/{pid}/{file}").read_text("utf-8"))
        return found


def print_quantiles(name: str, times_us: Sequence[int]) -> None:
    """p50, p95, p99 and the greatest of some times."""
    cuts = statistics.quantiles([*times_us, times_us[-1]], n=100, method="inclusive")
    told = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "most": max(times_us)}
    figures = ", ".join(f"{label} {us / SECOND_US:.2f} s" for label, us in told.items())
    print(f"{name}: {len(times_us)}, {figures}", flush=True)
