"""The law of the house, read from the source: who may import what, and how large a thing may grow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("schemas", "transforms", "pipeline")
MODULES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for f in FLOORS for path in (ROOT / f).rglob("*.py")
}

FORBIDDEN_IMPORTS = {
    "schemas": {
        "transforms",
        "pipeline",
        "apache_beam",
        "boto3",
        "botocore",
        "argparse",
        "pathlib",
        "os",
        "time",
        "socket",
    },
    "transforms": {"pipeline", "boto3", "botocore", "argparse", "time"},
    "pipeline": set(),
}
CLOCKS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
    "Timestamp.now",
}
NAMELESS = {"utils", "util", "common", "base", "helpers", "helper", "manager", "misc"}
BEAM_METHODS = {"expand", "process", "setup", "teardown", "start_bundle", "finish_bundle"}  # Beam says what they do
LONGEST_FILE, LONGEST_FUNCTION = 260, 45

Function = ast.FunctionDef | ast.AsyncFunctionDef


def each(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Every node of those kinds on every floor, with its module's path."""
    for path, tree in MODULES.items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, kinds))


def dotted(node: ast.AST) -> str:
    """`a.b.c` for an attribute of a name; else as much of it as is one."""
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def used() -> Iterator[tuple[str, str]]:
    """`module.name` of every attribute that is read and every name that is imported from a module, and where."""
    for path, node in each(ast.Attribute, ast.ImportFrom):
        if isinstance(node, ast.Attribute):
            yield f"{path}:{node.lineno}", dotted(node)
        else:
            yield from ((f"{path}:{node.lineno}", f"{node.module}.{alias.name}") for alias in node.names)


def imported(node: ast.AST) -> list[str]:
    """The packages that an import statement names."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return [name.partition(".")[0] for name in names]


def public(tree: ast.AST) -> Iterator[ast.AST]:
    """Public functions and classes, and the public methods of public classes."""
    for node in ast.iter_child_nodes(tree):
        if (
            isinstance(node, Function | ast.ClassDef)
            and not node.name.startswith("_")
            and node.name not in BEAM_METHODS
        ):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


@pytest.mark.parametrize("floor", FLOORS)
def test_the_source_is_found(floor: str) -> None:
    """The other tests look at something."""
    assert sum(path.startswith(f"{floor}/") for path in MODULES) > 5


def test_imports_go_down_only() -> None:
    """Schemas know nothing but values; transforms know no clock, no options and no store."""
    found = [
        f"{path}:{node.lineno} imports {name}"
        for path, node in each(ast.Import, ast.ImportFrom)
        for name in imported(node)
        if name in FORBIDDEN_IMPORTS[path.partition("/")[0]]
    ]
    assert found == []


def test_transforms_read_no_environment() -> None:
    """What shapes a transform is an argument of it."""
    found = [(at, name) for at, name in used() if at.startswith("transforms/") and name in {"os.environ", "os.getenv"}]
    assert found == []


def test_one_module_reads_the_clock() -> None:
    """Now is an input: a replay must say what the run said."""
    found = [(at, name) for at, name in used() if ".".join(name.split(".")[-2:]) in CLOCKS]
    assert [at.partition(":")[0] for at, _ in found] == ["pipeline/clock.py"], found


def test_only_declared_exceptions_are_caught() -> None:
    """A bug must not pass for a bad object."""
    found = [
        f"{path}:{node.lineno}"
        for path, node in each(ast.ExceptHandler)
        if node.type is None or any(dotted(kind) in {"Exception", "BaseException"} for kind in ast.walk(node.type))
    ]
    assert found == []


def test_a_file_is_one_noun() -> None:
    """Small, and named for what it holds."""
    long = [path for path in MODULES if len((ROOT / path).read_text().splitlines()) > LONGEST_FILE]
    nameless = [path for path in MODULES if NAMELESS & set(Path(path).with_suffix("").parts)]
    assert (long, nameless) == ([], [])


def test_a_function_does_one_thing() -> None:
    """It fits on a screen."""
    found = [
        f"{path}:{node.lineno} {node.name}"
        for path, node in each(ast.FunctionDef, ast.AsyncFunctionDef)
        if node.end_lineno - node.lineno >= LONGEST_FUNCTION
    ]
    assert found == []


def test_public_things_say_what_they_are() -> None:
    """Every module, public class and public function has a docstring."""
    found = [
        f"{path}: {getattr(node, 'name', 'module')}"
        for path, tree in MODULES.items()
        for node in (tree, *public(tree))
        if not ast.get_docstring(node)
    ]
    assert found == []
