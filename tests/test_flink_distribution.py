"""What `make flink` says where it cannot start a cluster, and how the job server is put together; without a cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from deploy.flink import distribution, job_server, residuals
from deploy.flink.cluster import ROOT, Cluster
from deploy.flink.distribution import ASSEMBLED, PREFERRED, Unusable, fetch
from deploy.flink.job_server import JobServerMissing, merge
from deploy.flink.ports import free_ports

LOCK = (ROOT / "requirements-dev.lock").read_text("utf-8").splitlines()


def program(folder: Path, name: str, script: str) -> None:
    """A command of that name, in a folder for PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def start(path: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """`make flink` with that PATH, and nothing fetched before."""
    environment = {**os.environ, "PATH": str(path), "TRAILCANARY_FLINK_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "deploy.flink.cluster", "start"]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def test_no_java(tmp_path: Path) -> None:
    """One sentence, and exit 2."""
    done = start(tmp_path / "empty", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "Flink needs Java 11 or 17, and `java` does not run here: install one, or set PATH.\n"


@pytest.mark.parametrize(
    ("says", "is_called"),
    [('openjdk version "21.0.1" 2023-10-17', "21"), ('java version "1.8.0_392"', "1"), ("hello", "something else")],
)
def test_wrong_java(tmp_path: Path, says: str, is_called: str) -> None:
    """The version that was found is named."""
    program(tmp_path / "bin", "java", f"echo '{says}' >&2")
    done = start(tmp_path / "bin", tmp_path)
    assert (done.returncode, done.stderr) == (2, f"Flink needs Java 11 or 17, and `java` is {is_called}.\n")


def test_no_maven_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the job server as one file, its parts need Maven; why the file is not used is said before."""
    monkeypatch.setattr(job_server, "MAVEN", (tmp_path / "registry").as_uri())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unusable, match="needs Maven's `mvn`"):
        fetch(tmp_path / "cache")
    assert f"Not {PREFERRED}: file:" in capsys.readouterr().err


def test_parts_that_maven_cannot_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as one file nor in parts."""
    monkeypatch.setattr(job_server, "MAVEN", (tmp_path / "registry").as_uri())
    program(tmp_path / "bin", "mvn", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(Unusable, match=f"Maven could not fetch beam-runners-flink-{ASSEMBLED.minor}"):
        fetch(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_jar_is_compared_with_its_checksum(tmp_path: Path) -> None:
    """What was damaged on its way is not kept; what was not, is."""
    name = f"beam-runners-flink-{PREFERRED.minor}-job-server"
    folder = tmp_path / "org/apache/beam" / name / PREFERRED.beam
    folder.mkdir(parents=True)
    (folder / f"{name}-{PREFERRED.beam}.jar").write_bytes(b"abc")
    sha1 = folder / f"{name}-{PREFERRED.beam}.jar.sha1"
    jar = tmp_path / "kept.jar"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_server, "MAVEN", tmp_path.as_uri())
        sha1.write_text("0" * 40)
        with pytest.raises(JobServerMissing, match="is published"):
            job_server.download(PREFERRED.minor, PREFERRED.beam, jar)
        assert not jar.exists()
        sha1.write_text("a9993e364706816aba3e25717850c26c9cd0d89d\n")
        job_server.download(PREFERRED.minor, PREFERRED.beam, jar)
    assert jar.read_bytes() == b"abc"


def test_merged_jar(tmp_path: Path) -> None:
    """Services of all parts are kept, the first of equal classes, repaired, and no signature, which would not hold."""
    services = "META-INF/services/a.Service"
    parts = [
        ("1.jar", {"A.class": "one", services: "one", "META-INF/X.SF": "s"}),
        ("2.jar", {"A.class": "two", services: "two"}),
    ]
    for name, files in parts:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
    merge(
        [tmp_path / name for name, _ in parts],
        tmp_path / "all.jar",
        {"A.class": bytes.swapcase, "B.class": bytes.upper},
    )
    with zipfile.ZipFile(tmp_path / "all.jar") as merged:
        held = {name: merged.read(name).decode() for name in merged.namelist()}
    assert held["A.class"] == "ONE"
    assert held[services].split() == ["one", "two"]
    assert "Main-Class: org.apache.beam.runners.flink.FlinkJobServerDriver" in held["META-INF/MANIFEST.MF"]
    assert held.keys() == {"A.class", services, "META-INF/MANIFEST.MF"}


def test_repaired_class() -> None:
    """One instruction differs, where it is the only one of its kind; any other class is refused."""
    load, null = (b"\x12\x0d\xb6\x00\x0e" + each + b"\xb6\x00\x0e\x12\x0f" for each in (b"\x2a", b"\x01"))
    assert residuals.bounded(b"\xca\xfe" + load + b"\xb0") == b"\xca\xfe" + null + b"\xb0"
    for other in (b"", null, load + load):
        with pytest.raises(residuals.NotAsExpected, match=r"is not Beam 2\.62's"):
            residuals.bounded(other)


@pytest.mark.parametrize("each", [PREFERRED, ASSEMBLED], ids=str)
def test_what_pip_fetches_is_pinned(each: distribution.Distribution) -> None:
    """The requirements of a distribution name its version, with a hash."""
    lines = (ROOT / "deploy/flink" / f"flink-{each.minor}.txt").read_text("utf-8").splitlines()[1:]
    assert [line.split(" --hash=sha256:")[0] for line in lines] == [
        f"{name}=={each.flink}" for name in ("apache-flink", "apache-flink-libraries")
    ]


def test_what_is_deployed_is_what_is_tested(tmp_path: Path) -> None:
    """Images have the locked Beam and the preferred Flink; the job is submitted with the options of the tests."""
    documents = [
        document
        for path in sorted((ROOT / "deploy/flink/kubernetes").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text("utf-8"))
    ]
    kinds = {document["kind"]: document for document in documents}
    assert f"apache-beam=={PREFERRED.beam}" in LOCK
    assert f"apache/beam_python3.11_sdk:{PREFERRED.beam}" in (ROOT / "deploy/container/Dockerfile").read_text("utf-8")
    assert kinds["FlinkDeployment"]["spec"]["image"] == f"flink:{PREFERRED.flink}-java17"
    server = kinds["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert server["image"] == f"apache/beam_flink{PREFERRED.minor}_job_server:{PREFERRED.beam}"
    submitted = {
        argument.partition("=")[0] for argument in kinds["Job"]["spec"]["template"]["spec"]["containers"][0]["args"]
    }
    tested = Cluster(tmp_path, tmp_path, free_ports()).submit_options()
    assert {option.partition("=")[0] for option in tested} <= submitted
