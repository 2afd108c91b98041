"""The rules of a run on the terminal or as JSON, and what they cover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.alert_table import SEVERITY_STYLES, printable
from schemas.alerts import Severity
from transforms.sigma import Rule

_TABLE_COLUMNS = 120  # on narrower terminals a rule takes lines of its own
_SCOPES = ("trail", "watcher", "recovery", "rule")
_ANY = "any"
_AWS = ".amazonaws.com"


def print_rules(rules: Sequence[Rule], out: TextIO, *, as_json: bool, width: int | None = None) -> None:
    """Print rules by scope, category and name, then how many there are for each service and technique.

    `width` None asks the terminal. Whatever a rule's file says is escaped, as `printable` does.
    """
    ordered = sorted(rules, key=lambda rule: (_SCOPES.index(rule.scope), rule.category or "", rule.name))
    if as_json:
        out.write(orjson.dumps(_listing(ordered), option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    console = Console(file=out, width=width, highlight=False, emoji=False, markup=False)
    if console.width >= _TABLE_COLUMNS:
        console.print(_table(ordered))
    else:
        console.print(_entries(ordered))
    console.print()
    console.print(_counts("service", ("rules", "calls"), _by_service(ordered)))
    console.print()
    console.print(_counts("technique", ("rules",), _by_technique(ordered)))
    console.print()
    console.print(Text(_headline(ordered), style="bold"))


def _listing(rules: Sequence[Rule]) -> dict[str, Any]:
    return {
        "rules": [
            {
                "name": rule.name,
                "title": rule.title,
                "id": rule.sigma_id,
                "level": rule.severity.label,
                "scope": rule.scope,
                "category": rule.category,
                "event_sources": rule.event_sources,
                "event_names": rule.event_names,
                "mitre": rule.mitre,
            }
            for rule in rules
        ],
        "services": [
            {"event_source": name, "rules": rule_count, "event_names": call_count}
            for name, (rule_count, call_count) in _by_service(rules).items()
        ],
        "techniques": [{"technique": name, "rules": count} for name, (count,) in _by_technique(rules).items()],
    }


def _by_service(rules: Iterable[Rule]) -> Mapping[str, tuple[int, int]]:
    """Rules and names of calls for each event source, most rules first; a rule about all of them counts as any."""
    counts: Counter[str] = Counter()
    calls: dict[str, set[str]] = {}
    for rule in rules:
        for source in rule.event_sources or (_ANY,):
            counts[source] += 1
            calls.setdefault(source, set()).update(rule.event_names)
    return {source: (count, len(calls[source])) for source, count in _most_first(counts)}


def _by_technique(rules: Iterable[Rule]) -> Mapping[str, tuple[int]]:
    """Rules for each technique of MITRE ATT&CK, by the numbers before and since its version 19, most rules first."""
    counts = Counter(technique for rule in rules for technique in rule.mitre)
    return {technique: (count,) for technique, count in _most_first(counts)}


def _most_first(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _headline(rules: Sequence[Rule]) -> str:
    scopes, levels = Counter(rule.scope for rule in rules), Counter(rule.severity for rule in rules)
    by_scope = ", ".join(f"{scopes[scope]} {scope}" for scope in _SCOPES if scopes[scope])
    by_level = ", ".join(f"{levels[level]} {level.label}" for level in sorted(Severity, reverse=True) if levels[level])
    noun = "rule" if len(rules) == 1 else "rules"
    return f"{len(rules)} {noun}: {by_scope}; {by_level}"


def _table(rules: Sequence[Rule]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("level", "scope", "rule", "service", "events", "MITRE ATT&CK"):
        table.add_column(title, overflow="fold")
    for rule in rules:
        level = Text(rule.severity.label, style=SEVERITY_STYLES[rule.severity])
        table.add_row(level, rule.scope, *map(Text, (_name(rule), _services(rule), _events(rule), _mitre(rule))))
    return table


def _entries(rules: Sequence[Rule]) -> Table:
    """Level on the left; name, scope, service, events and techniques on the right, folded rather than cut."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for rule in rules:
        level = Text(rule.severity.label, style=SEVERITY_STYLES[rule.severity])
        table.add_row(level, Text(_name(rule), style="bold"))
        facts = " · ".join(part for part in (rule.scope, _services(rule), _events(rule), _mitre(rule)) if part)
        table.add_row("", Text(facts))
    return table


def _counts(title: str, columns: Sequence[str], rows: Mapping[str, tuple[int, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(title, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    for name, counts in rows.items():
        table.add_row(Text(printable(name.removesuffix(_AWS))), *(f"{count:,}" for count in counts))
    return table


def _name(rule: Rule) -> str:
    return printable(rule.name)


def _services(rule: Rule) -> str:
    return printable(", ".join(source.removesuffix(_AWS) for source in rule.event_sources) or _ANY)


def _events(rule: Rule) -> str:
    return printable(", ".join(rule.event_names) or _ANY)


def _mitre(rule: Rule) -> str:
    return ", ".join(rule.mitre)
