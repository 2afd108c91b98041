"""`trailcanary stream` without a cluster: what it says of a job that a runner took, put into a jar, or refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.runner import PipelineState

from pipeline import stream as stream_module
from pipeline.__main__ import main

STOPPED, STARTING, RUNNING = PipelineState.STOPPED, PipelineState.STARTING, PipelineState.RUNNING
DONE, FAILED, CANCELLED = PipelineState.DONE, PipelineState.FAILED, PipelineState.CANCELLED


class Result:
    """What a runner gives back: a job that is in another state whenever somebody asks, and stays in the last one."""

    _job_id = "job-7"

    def __init__(self, *states: str) -> None:
        self._states = list(states)

    @property
    def state(self) -> str:
        """Where it is now."""
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Calls the command with a runner that goes through some states: exit code, and what it says."""
    (tmp_path / "bucket").mkdir()
    monkeypatch.setattr(stream_module, "_ASK_AGAIN_S", 0)

    def call(states: tuple[str, ...], *options: str) -> tuple[int, str]:
        monkeypatch.setattr(beam.Pipeline, "run", lambda _self: Result(*states))
        folders = ["--input", str(tmp_path / "bucket"), "--output", str(tmp_path / "lake")]
        code = main(["stream", *folders, *(options or ["--runner=PortableRunner"])])
        return code, re.sub(r"The stream \S+ ", "The stream ", "".join(capsys.readouterr()))

    return call


def test_a_stream_that_runs(submit: Any) -> None:
    """It has an id; a job that ends before is none."""
    assert submit((STOPPED, STARTING, RUNNING)) == (0, "The stream runs on the cluster as job-7.\n")
    for state in (DONE, FAILED, CANCELLED):
        code, said = submit((STARTING, state))
        assert (code, said.splitlines()[-1]) == (1, f"trailcanary: the job is {state.lower()}: see the cluster's log")


@pytest.mark.parametrize(
    "runner", ["PortableRunner", "FlinkRunner", "apache_beam.runners.portability.flink_runner.FlinkRunner"]
)
def test_a_jar_is_no_stream_that_runs(submit: Any, runner: str) -> None:
    """The job server says that it runs while it writes, and that it is done once the jar is whole."""
    jar = "--output_executable_path=/jars/stream.jar"
    said = "The stream does not run yet: /jars/stream.jar was written, which runs it.\n"
    assert submit((STARTING, RUNNING, RUNNING, DONE), f"--runner={runner}", jar) == (0, said)
    code, said = submit((STARTING, RUNNING, FAILED), f"--runner={runner}", jar)
    assert code == 1
    assert "/jars/stream.jar was not written, the job is failed: see the job server's log" in said


@pytest.mark.parametrize("options", [["--runner=DataflowRunner"], ["--runner=FlinkRunner", "--flink_submit_uber_jar"]])
def test_a_jar_that_nobody_would_write(submit: Any, options: list[str]) -> None:
    """Said before the job would run."""
    code, said = submit((RUNNING,), *options, "--output_executable_path=stream.jar")
    assert code == 2
    assert "--output_executable_path: only a job server makes a jar" in said
