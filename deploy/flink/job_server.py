"""Beam's job server for Flink, one jar: as Maven Central has it, or put together from its parts."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.flink import residuals

MAVEN = os.environ.get("TRAILCANARY_MAVEN") or "https://repo1.maven.org/maven2"
_MANIFEST = "Manifest-Version: 1.0\nMain-Class: org.apache.beam.runners.flink.FlinkJobServerDriver\n"
_SIGNATURES = (".SF", ".DSA", ".RSA")
_SERVICES = "META-INF/services/"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>trailcanary</groupId><artifactId>job-server</artifactId><version>1</version><dependencies><dependency>
<groupId>org.apache.beam</groupId><artifactId>beam-runners-flink-{minor}</artifactId><version>{beam}</version>
</dependency></dependencies></project>
"""
_TIMEOUT_S = 60


class JobServerMissing(Exception):
    """The registry has no job server, or a damaged one; the message says where it was looked for."""


def download(minor: str, beam: str, jar: Path) -> None:
    """Fetch the jar for a minor version of Flink, and compare it with the checksum beside it.

    Raises:
        JobServerMissing: as it says.
    """
    name = f"beam-runners-flink-{minor}-job-server"
    url = f"{MAVEN}/org/apache/beam/{name}/{beam}/{name}-{beam}.jar"
    part = jar.with_suffix(".part")
    sha1 = hashlib.sha1(usedforsecurity=False)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, part.open("wb") as file:
            while piece := answer.read(1 << 20):
                sha1.update(piece)
                file.write(piece)
        with urllib.request.urlopen(f"{url}.sha1", timeout=_TIMEOUT_S) as answer:
            published = answer.read().decode().split()[0]
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise JobServerMissing(f"{url}: {error}") from error
    if published != sha1.hexdigest():
        part.unlink()
        raise JobServerMissing(f"{url}: its SHA-1 is {sha1.hexdigest()}, and {published} is published")
    part.rename(jar)


def assemble(minor: str, beam: str, jar: Path) -> None:
    """Let Maven fetch the runner and what it needs, checksums enforced, and merge all that into one jar, repaired.

    Raises:
        JobServerMissing: Maven failed, its own words are on standard output; or the runner is not the one to repair.
    """
    with tempfile.TemporaryDirectory(dir=jar.parent) as scratch:
        Path(scratch, "pom.xml").write_text(_POM.format(minor=minor, beam=beam))
        maven = ["mvn", "--quiet", "--batch-mode", "--strict-checksums", "--file", scratch]
        copied = subprocess.run([*maven, "dependency:copy-dependencies", "-DoutputDirectory=parts"], check=False)
        if copied.returncode != 0:
            raise JobServerMissing(f"Maven could not fetch beam-runners-flink-{minor} {beam}")
        merged = Path(scratch, "merged.jar")
        try:
            merge(sorted(Path(scratch, "parts").glob("*.jar")), merged, {residuals.CLASS: residuals.bounded})
        except residuals.NotAsExpected as error:
            raise JobServerMissing(str(error)) from error
        merged.rename(jar)


def merge(jars: list[Path], target: Path, repairs: Mapping[str, Callable[[bytes], bytes]]) -> None:
    """One jar of many: the first of equal names, repaired, all lines of each list of services, no signatures."""
    services: dict[str, list[str]] = {}
    seen = {"META-INF/MANIFEST.MF"}
    # Packed, because Flink copies the jar to the JobManager and every TaskManager for each job.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as merged:
        for jar in jars:
            with zipfile.ZipFile(jar) as archive:
                for name in archive.namelist():
                    if name.endswith(("/", *_SIGNATURES)):
                        continue
                    if name.startswith(_SERVICES):
                        services.setdefault(name, []).append(archive.read(name).decode().strip())
                    elif name not in seen:
                        seen.add(name)
                        content = archive.read(name)
                        merged.writestr(name, repairs[name](content) if name in repairs else content)
        for name, texts in services.items():
            merged.writestr(name, "\n".join(texts) + "\n")
        merged.writestr("META-INF/MANIFEST.MF", _MANIFEST)
