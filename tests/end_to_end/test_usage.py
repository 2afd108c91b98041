"""Bad usage: exit code 2 (1 for what the store refuses), each problem on a line of its own, never a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from folders import event, fill, finish, log_key, packed, run, start, trailcanary

_BAD_TOML = """
colour = "red"
[[canary]]
name = ""
accounts = ["12"]
regions = ["mars"]
period = "0s"
[canary.match]
nosuch = "x"
"""
_BAD_RULE = """
title: Odd
id: 11111111-1111-1111-1111-111111111111
logsource: {product: aws, service: cloudtrail}
detection: {sel: {eventName|nosuch: x}, condition: sel}
level: high
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an input, bad files, and no lake."""
    fill(tmp_path / "in", {log_key("a"): packed(event("a"))})
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "odd.yml").write_text(_BAD_RULE)
    (tmp_path / "rules" / "broken.yml").write_text("title: [")
    (tmp_path / "bad.toml").write_text(_BAD_TOML)
    (tmp_path / "broken.toml").write_text("[[canary]\n")
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


_RUN = ("run", "--input", "in", "--output", "lake")
CASES: dict[str, tuple[Sequence[str], int, Sequence[str]]] = {
    "unknown option": ([*_RUN, "--nosuch"], 2, ["unrecognized arguments: --nosuch"]),
    "abbreviated option": ([*_RUN, "--conf", "bad.toml"], 2, ["unrecognized arguments: --conf"]),
    "bad value of Beam's": ([*_RUN, "--direct_num_workers", "x"], 2, ["--direct_num_workers: invalid int value: 'x'"]),
    "unknown runner": ([*_RUN, "--runner", "Nosuch"], 2, ["--runner Nosuch: Unexpected pipeline runner"]),
    "missing folders": (
        ["run", "--input", "no", "--input", "none", "--output", "lake"],
        2,
        ["/no: no such folder", "/none: no such folder"],
    ),
    "file as input": (["run", "--input", "file", "--output", "lake"], 2, ["/file: no such folder"]),
    "unknown scheme": (["run", "--input", "gs://x", "--output", "lake"], 2, ["gs://x: unknown scheme gs://"]),
    "broken configuration": ([*_RUN, "--config", "broken.toml"], 2, ["broken.toml: not TOML: "]),
    "no configuration": ([*_RUN, "--config", "none.toml"], 2, ["--config none.toml: "]),
    "bad configuration": (
        [*_RUN, "--config", "bad.toml"],
        2,
        ['unknown key "colour"', "name:", "accounts:", "regions:", "period:", "grace is missing", "field 'nosuch'"],
    ),
    "bad rules": (
        [*_RUN, "--rules", "rules"],
        2,
        ["rules/broken.yml: bad YAML", "rules/odd.yml: Unknown modifier 'nosuch'"],
    ),
    "no rules": ([*_RUN, "--rules", "none"], 2, ["--rules none: no such folder"]),
    "bad time": ([*_RUN, "--as-of", "tomorrow"], 2, ["--as-of tomorrow: not a time such as"]),
    "file as output": (["run", "--input", "in", "--output", "file"], 1, ["/file/.lock: File exists"]),
    "output below a file": (["run", "--input", "in", "--output", "file/x"], 1, ["/file/x/.lock: Not a directory"]),
    "query without lake": (["query", "--output", "lake"], 2, ["/lake: no lake there"]),
    "export without lake": (["export", "--output", "lake"], 2, ["/lake: no lake there"]),
    "unknown attack": (
        ["simulate", "--output", "s", "--attack", "nosuch", "--hours", "-1"],
        2,
        ["hours must lie above 0", "unknown attack 'nosuch'; known: stop-logging"],
    ),
    "argument too many": (["simulate", "--output", "s", "--rules", "x"], 2, ["argument --rules", "argument x"]),
}


@pytest.mark.parametrize("case", CASES)
def test_usage_error(folder: Path, case: str) -> None:
    """Every problem is named in order, and nothing is written."""
    argv, code, problems = CASES[case]
    done = trailcanary(*argv)
    lines = done.err.splitlines()
    assert (done.code, done.out, len(lines)) == (code, "", len(problems)), done.err
    for line, problem in zip(lines, problems, strict=True):
        assert line.startswith("trailcanary: ")
        assert problem in line
    assert not (folder / "lake" / "runs").exists()
    assert not (folder / "s").exists()


@pytest.mark.parametrize(
    "argv", [(), ("nosuch",), ("run",), ("run", "--input", "in", "--output", "l", "--workers", "0")]
)
def test_command_line_that_does_not_parse(folder: Path, argv: Sequence[str]) -> None:  # noqa: ARG001 - the cwd
    """What argparse refuses is exit code 2 with its usage."""
    done = trailcanary(*argv)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: trailcanary")


def test_query_and_condition_that_duckdb_refuses(folder: Path) -> None:
    """DuckDB's own words, and exit code 2."""
    run("in", "lake")
    for argv in (["query", "--output", "lake", "selec"], ["export", "--output", "lake", "--where", "nosuch = 1"]):
        done = trailcanary(*argv)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("trailcanary: ")
        assert "Error: " in done.err
    assert (folder / "lake" / "views.sql").exists()


def test_real_process_prints_no_traceback(folder: Path) -> None:
    """The same from a process of its own: one line, exit code 2."""
    done = finish(start("run", "--input", folder / "none", "--output", folder / "lake"))
    assert done == (2, "", f"trailcanary: --input {folder}/none: no such folder\n")
