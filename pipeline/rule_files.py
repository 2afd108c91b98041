"""The rules of a run: the shipped ones, and the user's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from schemas.errors import UsageError
from transforms import rules as shipped
from transforms import sigma
from transforms.rules.derived import derived_fields
from transforms.sigma import Rule, RuleSet, parse_rules

# Where bytecode lies, and with its purpose: half a second less at each start.
_COMPILED = Path(shipped.__file__).parent / "__pycache__" / "rules.msgpack"


class Compiled(msgspec.Struct, frozen=True):
    """The shipped rules as they were compiled, and the digest of whatever they were compiled from."""

    digest: str
    rules: tuple[Rule, ...]


def load_rules(folders: Sequence[str], compiled: Path = _COMPILED) -> RuleSet:
    """The shipped rules and all `.yml` files below the user's folders.

    Args:
        folders: Where the user's rules lie.
        compiled: Keeps the shipped rules as they were compiled; written where it can be, used while nothing changed.

    Raises:
        UsageError: a folder or file cannot be read, or a rule cannot be evaluated as written; all of them at once.
    """
    sources: dict[str, str] = {}
    problems = [f"--rules {folder}: no such folder" for folder in folders if not Path(folder).is_dir()]
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*.y*ml") if path.is_file()):
        try:
            sources[str(path)] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise UsageError(problems)
    builtin = _builtin(compiled)
    return parse_rules(sources, builtin) if sources else RuleSet(builtin)


def _builtin(compiled: Path) -> tuple[Rule, ...]:
    sources = shipped.builtin_rules()
    digest = _digest(sources)
    try:
        kept = msgspec.msgpack.decode(compiled.read_bytes(), type=Compiled)
    except (OSError, msgspec.DecodeError):
        kept = None
    if kept is not None and kept.digest == digest:
        return kept.rules
    rules = parse_rules({f"{stem}.yml": text for stem, text in sources.items()}).rules
    _keep(compiled, Compiled(digest, rules))
    return rules


def _digest(sources: Mapping[str, str]) -> str:
    """Of the rules, of the code that compiles them, of pySigma's version and of the fields that are derived."""
    code = sorted(Path(sigma.__file__).parent.glob("*.py"))
    parts = [version("pysigma"), *sorted(derived_fields()), *(path.read_text("utf-8") for path in code)]
    parts += [part for stem, text in sorted(sources.items()) for part in (stem, text)]
    return hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()


def _keep(path: Path, compiled: Compiled) -> None:
    """Write the file whole or not at all; where that may not be, the next start compiles again."""
    body = msgspec.msgpack.encode(compiled)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(exist_ok=True)
        beside.write_bytes(body)
        beside.replace(path)
    except OSError:
        return
