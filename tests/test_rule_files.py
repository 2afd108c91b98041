"""The rules of a run: compiled once, kept where bytecode is, and never used when anything has changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pipeline import rule_files
from pipeline.rule_files import Compiled, load_rules
from schemas.errors import UsageError
from transforms import rules as shipped

RULE = """
title: {name}
logsource: {{product: aws, service: cloudtrail}}
detection: {{call: {{eventName: StopLogging}}, condition: call}}
"""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Two shipped rules, which a test may change."""
    sources = {name: RULE.format(name=name) for name in ("one", "two")}
    monkeypatch.setattr(shipped, "builtin_rules", lambda: sources)
    return sources


def names_of(folders: tuple[str, ...], compiled: Path) -> list[str]:
    """The names of the rules of a run."""
    return [rule.name for rule in load_rules(folders, compiled).rules]


def test_compiled_rules_are_the_rules(tmp_path: Path) -> None:
    """What is read back is what was compiled, for every shipped rule."""
    fresh = load_rules((), tmp_path / "rules")
    kept = msgspec.msgpack.decode((tmp_path / "rules").read_bytes(), type=Compiled)
    assert kept.rules == fresh.rules == load_rules((), tmp_path / "rules").rules
    assert len(kept.rules) == len(shipped.builtin_rules())
    assert [path.name for path in tmp_path.iterdir()] == ["rules"]


@pytest.mark.usefixtures("few")
def test_kept_rules_need_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start parses nothing."""
    assert names_of((), tmp_path / "rules") == ["one", "two"]
    monkeypatch.setattr(rule_files, "parse_rules", lambda *_: pytest.fail("parsed again"))
    assert names_of((), tmp_path / "rules") == ["one", "two"]


def test_changed_rules_are_compiled_again(few: dict[str, str], tmp_path: Path) -> None:
    """A rule that is added, renamed, removed or changed is never missed."""
    assert names_of((), tmp_path / "rules") == ["one", "two"]
    few["three"] = RULE.format(name="three")
    assert names_of((), tmp_path / "rules") == ["one", "three", "two"]
    del few["one"]
    few["two"] = few["two"].replace("StopLogging", "DeleteTrail")
    (_, two) = load_rules((), tmp_path / "rules").rules
    assert two.event_names == ("DeleteTrail",)


@pytest.mark.usefixtures("few")
def test_a_changed_compiler_compiles_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that another pySigma compiled, or that had other derived fields, are not used."""
    load_rules((), tmp_path / "rules")
    before = (tmp_path / "rules").read_bytes()
    monkeypatch.setattr(rule_files, "version", lambda _name: "2.0.999")
    assert names_of((), tmp_path / "rules") == ["one", "two"]
    assert (after := (tmp_path / "rules").read_bytes()) != before
    monkeypatch.setattr(rule_files, "derived_fields", lambda: {"derived.other"})
    assert names_of((), tmp_path / "rules") == ["one", "two"]
    assert (tmp_path / "rules").read_bytes() not in (before, after)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("body", [b"", b"\x00", b"[]", msgspec.msgpack.encode({"digest": "x", "rules": []})])
def test_a_spoilt_file_is_written_anew(tmp_path: Path, body: bytes) -> None:
    """A file that is cut, foreign or of another time is as good as none."""
    (tmp_path / "rules").write_bytes(body)
    assert names_of((), tmp_path / "rules") == ["one", "two"]
    assert msgspec.msgpack.decode((tmp_path / "rules").read_bytes(), type=Compiled).rules


@pytest.mark.usefixtures("few")
def test_nowhere_to_write(tmp_path: Path) -> None:
    """Where no file can be written, rules are compiled at every start."""
    (tmp_path / "file").write_text("")
    assert names_of((), tmp_path / "file" / "rules") == ["one", "two"]


@pytest.mark.usefixtures("few")
def test_own_rules_stand_beside(tmp_path: Path) -> None:
    """The user's rules are compiled at every start, and may not take the name of a shipped one."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.yml").write_text(RULE.format(name="mine"))
    for _ in range(2):
        assert names_of((str(own),), tmp_path / "rules") == ["one", "two", "mine"]
    (own / "two.yml").write_text(RULE.format(name="again"))
    with pytest.raises(UsageError, match="the same name two"):
        load_rules((str(own),), tmp_path / "rules")


def test_workers_of_a_second_start_have_no_pysigma(tmp_path: Path) -> None:
    """A process that finds the file does not even import pySigma."""
    code = (
        "import sys, pathlib; from pipeline.rule_files import load_rules;"
        "load_rules((), pathlib.Path(sys.argv[1])); sys.exit('sigma' in sys.modules)"
    )
    codes = [
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "rules")], check=False, timeout=60).returncode
        for _ in range(2)
    ]
    assert codes == [1, 0]
