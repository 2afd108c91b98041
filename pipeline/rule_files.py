"""The rules of a run: the shipped ones, and the user's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from schemas.errors import UsageError
from transforms.rules import builtin_rules
from transforms.sigma import RuleSet, parse_rules


def load_rules(folders: Sequence[str]) -> RuleSet:
    """The shipped rules and all `.yml` files below the user's folders.

    Raises:
        UsageError: a folder or file cannot be read, or a rule cannot be evaluated as written; all of them at once.
    """
    sources = builtin_rules()
    problems = [f"--rules {folder}: no such folder" for folder in folders if not Path(folder).is_dir()]
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*.y*ml") if path.is_file()):
        try:
            sources[str(path)] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise UsageError(problems)
    return parse_rules(sources)
