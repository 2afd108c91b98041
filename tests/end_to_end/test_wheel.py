"""The wheel, alone: everything that the commands read at run time is packed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from folders import CONFIG, ROOT, finish, start


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel of this checkout is unpacked into, without its requirements."""
    top = tmp_path_factory.mktemp("wheel")
    for name in ("schemas", "transforms", "pipeline"):
        shutil.copytree(ROOT / name, top / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, top / "source")
    backend = "import sys, setuptools.build_meta as build; print(build.build_wheel(sys.argv[1]))"
    build = [sys.executable, "-c", backend, str(top)]
    subprocess.run(build, cwd=top / "source", check=True, capture_output=True, env=os.environ | {"PYTHONPATH": ""})
    (wheel,) = top.glob("*.whl")
    shutil.unpack_archive(wheel, top / "site", "zip")
    return top / "site"


def test_wheel_simulates_runs_and_answers(installed: Path, tmp_path: Path) -> None:
    """From another folder and with nothing of the checkout in reach: rules, views and entry point work."""
    source, lake = tmp_path / "in", tmp_path / "lake"
    sizes = ("--hours", "1", "--accounts", "1", "--regions", "us-east-1", "--rate", "60", "--attack", "stop-logging")
    simulate = ("simulate", "--output", source, *sizes)
    run = ("run", "--input", source, "--output", lake, "--config", source / CONFIG, "--as-of", "data", "--json")
    query = ("query", "--output", lake, "--format", "csv", "SELECT DISTINCT rule FROM alerts WHERE rule IS NOT NULL")
    done = {argv[0]: finish(start(*argv, cwd=tmp_path, PYTHONPATH=str(installed))) for argv in (simulate, run, query)}
    assert [each.code for each in done.values()] == [0, 0, 0], done
    assert "trail.tampered" in {alert["kind"] for alert in json.loads(done["run"].out)["alerts"]}
    assert len(done["query"].out.splitlines()) >= 2
    where = "import pipeline, transforms, schemas; print(pipeline.__file__, transforms.__file__, schemas.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(installed)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert found.stdout.count(str(installed)) == 3
    assert "trailcanary=pipeline.__main__:main" in next(installed.rglob("entry_points.txt")).read_text().replace(
        " ", ""
    )
