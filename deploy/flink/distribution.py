"""Flink and Beam's job server, fetched once: from PyPI and Maven Central, or their mirrors."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from deploy.flink.job_server import JobServerMissing, assemble, download

SUPPORTED_JAVA = ("11", "17")


class Unusable(Exception):
    """This machine cannot run the cluster; the message is one sentence for its user."""


class Distribution(NamedTuple):
    """A Flink, and the Beam release whose job server talks to it."""

    flink: str
    beam: str
    in_parts: bool

    def __str__(self) -> str:
        return f"Flink {self.flink} with Beam {self.beam}'s job server"

    @property
    def minor(self) -> str:
        """Flink's minor version, which the job server's must equal."""
        return self.flink.rpartition(".")[0]

    def jar(self, cache: Path) -> Path:
        """Where the job server is kept."""
        repaired = "-repaired" if self.in_parts else ""
        return cache / f"job-server-{self.minor}-{self.beam}{repaired}.jar"

    def home(self, cache: Path) -> Path:
        """Where Flink is kept: the folder with `bin`, `conf` and `lib`."""
        return cache / f"flink-{self.flink}" / "pyflink"


PREFERRED = Distribution("1.20.5", "2.77.0", in_parts=False)
ASSEMBLED = Distribution("1.19.3", "2.62.0", in_parts=True)
"""For registries without any job server: the newest whose parts they have, which are merged into one jar here."""


def check_java() -> None:
    """Raise Unusable unless `java` is a version that Flink runs on."""
    try:
        told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        raise Unusable("Flink needs Java 11 or 17, and `java` does not run here: install one, or set PATH.") from None
    found = re.search(r'version "(\d+)', told)
    if found is None or found[1] not in SUPPORTED_JAVA:
        raise Unusable(f"Flink needs Java 11 or 17, and `java` is {found[1] if found else 'something else'}.")


def fetch(cache: Path) -> Distribution:
    """The distribution to use, fetched into `cache` unless it is there; says on standard error what it does.

    Raises:
        Unusable: neither distribution can be had.
    """
    cache.mkdir(parents=True, exist_ok=True)
    kept = [each for each in (PREFERRED, ASSEMBLED) if each.jar(cache).exists()]
    distribution = kept[0] if kept else _fetch_job_server(cache)
    if not distribution.home(cache).exists():
        _fetch_flink(distribution, cache)
    return distribution


def _fetch_job_server(cache: Path) -> Distribution:
    try:
        download(PREFERRED.minor, PREFERRED.beam, PREFERRED.jar(cache))
    except JobServerMissing as error:
        sys.stderr.write(f"Not {PREFERRED}: {error}.\nUsing {ASSEMBLED} instead, put together from its parts.\n")
    else:
        return PREFERRED
    if shutil.which("mvn") is None:
        raise Unusable("Beam's job server is not to be had as one file, and putting it together needs Maven's `mvn`.")
    try:
        assemble(ASSEMBLED.minor, ASSEMBLED.beam, ASSEMBLED.jar(cache))
    except JobServerMissing as error:
        raise Unusable(f"Beam's job server is not to be had, as one file or in parts: {error}.") from error
    return ASSEMBLED


def _fetch_flink(distribution: Distribution, cache: Path) -> None:
    target = distribution.home(cache).parent
    requirements = Path(__file__).parent / f"flink-{distribution.minor}.txt"
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        part = Path(scratch, "flink")
        # No dependencies: they are those of Flink's own Python, with an old Beam among them. One platform: of the
        # wheel, only scripts are used, and there is none for a newer Python.
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--requirement", str(requirements), "--target", str(part)]
        command += ["--python-version", "3.11", "--implementation", "cp", "--platform", "manylinux2014_x86_64"]
        if subprocess.run(command, check=False).returncode != 0:
            raise Unusable(f"pip could not fetch Flink {distribution.flink}: see above.")
        for script in (part / "pyflink" / "bin").iterdir():
            script.chmod(0o755)
        part.rename(target)
