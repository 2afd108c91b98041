"""The check of the job for Dataflow: what it looks for; where `make dataflow-check` made its environment, itself."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from deploy.dataflow.check import CONFIG, OPTIONS
from deploy.dataflow.graph import graph_problems
from deploy.dataflow.package import needed, package_problems, staged_package
from pipeline.__main__ import main
from pipeline.config import load_config
from pipeline.stream import Pace, prepare
from pipeline.stream_graph import build_stream
from schemas.settings import Clock, Config, Limits, Settings
from schemas.times import SECOND_US

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".dataflow" / "bin" / "python"
WATCHED = load_config(CONFIG, "check")
with_extra = pytest.mark.skipif(not PYTHON.exists(), reason="`make dataflow-check` makes the environment")


def graph_of(config: Config, folder: Path) -> Any:
    """The stream's proto, of an empty bucket."""
    (folder / "bucket").mkdir()
    settings = Settings(
        "dry", (str(folder / "bucket"),), str(folder / "lake"), Clock(0, None), config, Limits(), workers=1
    )
    pipeline = beam.Pipeline()
    build_stream(pipeline, prepare(settings, Pace(SECOND_US, SECOND_US)))
    return pipeline.to_runner_api()


def dry_run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Python with the extra, in the checkout."""
    return subprocess.run([str(PYTHON), *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_the_graph_has_all(tmp_path: Path) -> None:
    """Source, states, timers and windows of a stream with a canary are found; the lateness is the configuration's."""
    graph = graph_of(WATCHED, tmp_path)
    assert list(graph_problems(graph, WATCHED.allowed_lateness_us)) == []
    assert list(graph_problems(graph, 5)) == ["no windows of 60000000 µs with a lateness of 5 µs"]


def test_a_graph_without_canaries(tmp_path: Path) -> None:
    """What is not there is named."""
    problems = list(graph_problems(graph_of(Config(), tmp_path), WATCHED.allowed_lateness_us))
    assert {"no step keeps the state 'memories'", "no step keeps the state 'account'"} <= set(problems)
    assert "no splittable step gives out elements without an end" not in problems


def test_a_bounded_tick(tmp_path: Path) -> None:
    """A source with one output that ends is none."""
    graph = graph_of(WATCHED, tmp_path)
    for step in graph.components.transforms.values():
        if "ticks" in step.outputs:
            graph.components.pcollections[step.outputs["ticks"]].is_bounded = 2
    problems = list(graph_problems(graph, WATCHED.allowed_lateness_us))
    assert problems == ["no splittable step gives out elements without an end"]


def test_packages(tmp_path: Path) -> None:
    """All floors with rules and views are needed; what is missing is named, and so is a missing package."""
    assert {"schemas/times.py", "transforms/intake.py", "pipeline/stream.py", "pipeline/views.sql"} <= set(needed())
    assert any(path.startswith("transforms/rules/") and path.endswith(".yml") for path in needed())
    package = tmp_path / "workflow.tar.gz"
    with tarfile.open(package, "w:gz") as archive:
        for path in needed():
            if path != "pipeline/views.sql":
                archive.add(ROOT / path, f"trailcanary-0/{path}")
    assert list(package_problems(package)) == ["the staged package has no pipeline/views.sql"]
    assert list(package_problems(None)) == ["no package of the project is staged"]
    assert staged_package(graph_of(Config(), tmp_path)) is None


def test_a_bad_project_is_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What Beam's validation finds is a sentence and exit 2, before the lake is touched."""
    arguments = ["stream", "--input", str(tmp_path), "--output", str(tmp_path / "lake")]
    assert main([*arguments, "--runner=DataflowRunner", "--dry_run=True"]) == 2
    assert "Missing required option: project" in capsys.readouterr().err
    assert not (tmp_path / "lake").exists()


@with_extra
def test_the_check() -> None:
    """Beam's runner accepts the job, and nothing is missing from it."""
    done = dry_run("-m", "deploy.dataflow.check")
    assert (done.returncode, done.stdout[:10]) == (0, "Accepted: "), done.stderr


@with_extra
def test_a_dry_run_of_the_command(tmp_path: Path) -> None:
    """`trailcanary stream --dry_run=True` says that nothing was submitted."""
    arguments = ["--input", str(tmp_path), "--output", str(tmp_path / "lake"), *OPTIONS]
    done = dry_run("-m", "pipeline", "stream", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" would be submitted; this was a dry run.\n")
