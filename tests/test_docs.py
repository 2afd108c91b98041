"""The documents hold: commands, options, paths and links that they name exist, and those that exist are named."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import command_docs
from pipeline.beam_arguments import beam_arguments, cluster_arguments
from pipeline.command_docs import commands_markdown, subcommands
from pipeline.commands import COMMANDS
from pipeline.parser import parser

ROOT = Path(__file__).parent.parent
DOCUMENTS = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if path.exists()]
COMMAND_LINE = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?trailcanary (.*)$", re.MULTILINE)
SYNOPSIS = re.compile(r"[\[…]|\.\.\.")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REPOSITORY_PATH = re.compile(r"`((?:schemas|transforms|pipeline|tests|docs|deploy|benchmarks)/[\w./-]*)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")

documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def without_fences(text: str) -> str:
    """A document's prose."""
    return FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """The anchors that a forge gives the headings of a document."""
    headings = re.findall(r"^#+ +(.*)$", without_fences(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def command_lines(text: str) -> Iterator[list[str]]:
    """The arguments of every `trailcanary` line in a document's code blocks, up to a pipe, a redirection or `&&`."""
    for _, code in FENCE.findall(text):
        for line in COMMAND_LINE.findall(code.replace("\\\n", " ")):
            words = shlex.shlex(line, posix=True, punctuation_chars=True)
            words.whitespace_split = True
            arguments = list(words)
            ends = [at for at, word in enumerate(arguments) if set(word) <= set("|&;<>()")]
            if not SYNOPSIS.search(line.partition('"')[0]):
                yield arguments[: min(ends, default=len(arguments))]


def test_commands_document_is_not_stale() -> None:
    """`docs/commands.md` is what the parser says; `python -m pipeline.command_docs > docs/commands.md` renews it."""
    assert command_docs.DOCUMENT.read_text("utf-8") == commands_markdown()


def test_commands_document_ignores_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document is the same on a narrow terminal."""
    wide = commands_markdown()
    monkeypatch.setenv("COLUMNS", "40")
    assert commands_markdown() == wide


def test_check_tells_stale_from_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without options the document is printed; `--check` passes on it, and fails on another or none."""
    document = tmp_path / "commands.md"
    monkeypatch.setattr(command_docs, "DOCUMENT", document)
    assert command_docs.main(["--check"]) == 1
    assert "is stale" in capsys.readouterr().err
    assert command_docs.main([]) == 0
    document.write_text(capsys.readouterr().out, "utf-8")
    assert command_docs.main(["--check"]) == 0
    document.write_text("old", "utf-8")
    assert command_docs.main(["--check"]) == 1


def test_every_command_and_option_is_documented() -> None:
    """README and docs name each command, and each option of it."""
    text = "\n".join(path.read_text("utf-8") for path in DOCUMENTS)
    commands = subcommands(parser())
    assert commands.keys() == COMMANDS.keys()
    options = {option for command in commands.values() for option in long_options(command)}
    assert {"--as-of", "--seed", "--where", "--format"} <= options
    assert [name for name in commands if f"trailcanary {name}" not in text] == []
    assert [option for option in sorted(options) if not re.search(rf"{option}\b", text)] == []


def long_options(command: argparse.ArgumentParser) -> list[str]:
    """The options of a command by their long names."""
    return [name for action in command._actions for name in action.option_strings if name.startswith("--")]


@documents
def test_command_lines_are_accepted(document: Path) -> None:
    """Every command line that a reader may copy parses; only jobs may have options left, and Beam knows them."""
    for arguments in command_lines(document.read_text("utf-8")):
        parsed, rest = parser().parse_known_args(arguments)
        assert parsed.command in ("run", "stream") or not rest, arguments
        assert (cluster_arguments if parsed.command == "stream" else beam_arguments)(rest)


@documents
def test_paths_exist(document: Path) -> None:
    """Every path of the repository that a document names is there."""
    named = set(REPOSITORY_PATH.findall(document.read_text("utf-8")))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@documents
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link leads to a file, and its fragment to a heading there."""
    for target, fragment in LINK.findall(without_fences(document.read_text("utf-8"))):
        path = (document.parent / target) if target else document
        assert path.exists(), target
        assert not fragment or fragment in anchors(path.read_text("utf-8")), f"{target}#{fragment}"


def test_command_lines_are_found() -> None:
    """The reader of command lines sees what a shell would run, and leaves synopses alone."""
    text = (
        "```sh\n$ trailcanary query --output lake \\\n  \"SELECT ['a'] | 'b'\" | head\ntrailcanary run [--x] …\n```\n"
    )
    assert list(command_lines(text)) == [["query", "--output", "lake", "SELECT ['a'] | 'b'"]]


def steps_of(module: str, function: str) -> set[str]:
    """The labels of the steps that a function wires, and the transforms of ours that it uses."""
    tree = ast.parse((ROOT / "pipeline" / module).read_text("utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    ours = {
        alias.name for node in imports if re.match(r"(?:pipeline|transforms)\b", node.module) for alias in node.names
    }
    (build,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    nodes = list(ast.walk(build))
    labels = {
        node.left.value
        for node in nodes
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift) and isinstance(node.left, ast.Constant)
    }
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return labels | {name for name in called & ours if name[0].isupper()}


@pytest.mark.parametrize(
    ("picture", "module", "function", "among"),
    [
        (0, "graph.py", "build", {"MatchObjects", "TrackIncidents", "DetectObjectFaults"}),
        (1, "stream_graph.py", "build_stream", {"TakeIn", "TrackIncidentsLive", "WriteSheets"}),
    ],
)
def test_diagram_agrees_with_build(picture: int, module: str, function: str, among: set[str]) -> None:
    """The picture of each graph has every step of it, and no other."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    diagram = [code for language, code in FENCE.findall(text) if language == "mermaid"][picture]
    drawn = {name for name in re.findall(r"(?:^\s*|[>&]\s+)(\w+)", diagram, re.MULTILINE) if name[0].isupper()}
    steps = steps_of(module, function)
    assert among <= steps & drawn
    assert [step for step in sorted(steps) if not re.search(rf"\b{step}\b", diagram)] == []
    assert drawn - steps == set()
