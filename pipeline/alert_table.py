"""A run's alerts on the terminal, for someone who was just woken up."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TextIO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.alerts import Alert, Severity, Status
from schemas.times import format_duration_us, format_us

SEVERITY_STYLES = {
    Severity.CRITICAL: "bold white on red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}
_STATUS_WORDS = {
    Status.OPENED: "open",
    Status.UPDATED: "open",
    Status.RESOLVED: "resolved",
    Status.RETRACTED: "retracted",
}
SUPPRESSED_QUERY = "FROM alerts WHERE suppressed_by IS NOT NULL"
_OPEN = {Status.OPENED, Status.UPDATED}
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_ONE_LINE_COLUMNS = 110
_TEXT_LIMIT = 400


class _Line(msgspec.Struct, frozen=True):
    """What is shown of one incident: its last alert, its worst severity, and the time that its alerts span.

    `pages` says that any of its alerts does, `quiet` how many alerts of others it suppresses.
    """

    last: Alert
    severity: Severity
    start_us: int
    end_us: int
    pages: bool
    quiet: int


def print_alerts(alerts: Sequence[Alert], when_none: str, out: TextIO, width: int | None = None) -> None:
    """Print a run's alerts to `out`, worst first; `when_none` is the sentence for a run without any.

    One entry an incident: what was opened and resolved in the same run is one entry. Low and info are only counted,
    and so is what does not page; an entry says how much of that is suppressed by its incident.
    Colours appear on terminals alone; `width` None asks the terminal. Text from events is escaped: it cannot move
    the cursor, set colours or reorder what is read.
    """
    console = Console(file=out, width=width, highlight=False, emoji=False, markup=False)
    if not alerts:
        console.print(Text(printable(when_none)))
        return
    incidents = (line for line in _incidents(alerts) if line.pages)
    lines = sorted(incidents, key=lambda line: (-line.severity, line.start_us, line.last.incident_id))
    shown = [line for line in lines if line.severity >= Severity.MEDIUM]
    console.print(Text(_headline(shown), style="bold"))
    for line in shown:
        console.print()
        console.print(_entry(line, console.width))
    if hidden := len(lines) - len(shown):
        noun = "alert" if hidden == 1 else "alerts"
        console.print(Text(f"\n{hidden} low and info {noun} not shown; see `trailcanary query`", style="dim"))
    if quiet := suppressed_line(alerts):
        console.print(Text(f"\n{quiet}", style="dim"))


def suppressed_line(alerts: Iterable[Alert]) -> str:
    """How many alerts do not page, and how to see them; "" where all do."""
    quiet = sum(alert.suppressed_by is not None for alert in alerts)
    noun = "alert" if quiet == 1 else "alerts"
    return f'{quiet} suppressed {noun} not shown; see `trailcanary query` with "{SUPPRESSED_QUERY}"' if quiet else ""


def printable(text: str) -> str:
    """Text that is safe on a terminal: control, format and direction characters are written as escapes.

    Cut after some hundred characters, with a mark; the whole is in the alert's JSON.
    """
    cut = text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + " …"
    return escaped(cut)


def escaped(text: str) -> str:
    """The same of any length."""
    return "".join(_escaped(char) if unicodedata.category(char) in _INVISIBLE else char for char in text)


def _escaped(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def _incidents(alerts: Iterable[Alert]) -> list[_Line]:
    order = list(Status)
    ordered = sorted(alerts, key=lambda alert: (alert.incident_id, alert.detected_us, order.index(alert.status)))
    groups = [list(group) for _, group in groupby(ordered, key=lambda alert: alert.incident_id)]
    quiet = Counter(alert.suppressed_by for alert in ordered)
    return [
        _Line(
            last=group[-1],
            severity=max(alert.severity for alert in group),
            start_us=min(alert.window_start_us for alert in group),
            end_us=max(alert.window_end_us for alert in group),
            pages=any(alert.suppressed_by is None for alert in group),
            quiet=quiet[group[-1].incident_id],
        )
        for group in groups
    ]


def _headline(shown: Sequence[_Line]) -> str:
    if not shown:
        return "No alert of medium severity or above."
    counts = Counter(line.severity for line in shown)
    parts = ", ".join(f"{counts[severity]} {severity.label}" for severity in reversed(Severity) if counts[severity])
    noun = "incident" if len(shown) == 1 else "incidents"
    return f"{len(shown)} {noun}: {parts}. Times are UTC."


def _entry(line: _Line, width: int) -> Table:
    """Severity on the left; what, when, where and what to do next on the right, folded rather than cut."""
    alert = line.last
    entry = Table.grid(padding=(0, 2, 0, 0), expand=False)
    entry.add_column(no_wrap=True, min_width=8)
    entry.add_column(overflow="fold")
    severity = Text(line.severity.name, style=SEVERITY_STYLES[line.severity])
    entry.add_row(severity, Text(printable(alert.title), style="bold"))
    when = f"{_span(line)}, {_STATUS_WORDS[alert.status]}, {printable(alert.confidence)}"
    where = " ".join(printable(part) for part in (alert.account_id, alert.region) if part)
    facts = [when, " · ".join(filter(None, (where, printable(alert.kind))))]
    for text in [" · ".join(facts)] if width >= _ONE_LINE_COLUMNS else facts:
        entry.add_row("", Text(text))
    if line.quiet:
        entry.add_row("", Text(f"and {line.quiet:,} more {'alert' if line.quiet == 1 else 'alerts'} because of it"))
    if alert.runbook:
        entry.add_row("", Text(f"next: {printable(alert.runbook)}", style="dim"))
    return entry


def _span(line: _Line) -> str:
    """`2026-11-24 10:05–11:20 (1h 15m)`, the end's date only where it differs; `since …` while nobody knows the end."""
    start, end = _minute(line.start_us), _minute(line.end_us)
    if line.end_us <= line.start_us:
        return start
    if line.last.status in _OPEN:
        return f"since {start}"
    end = end[11:] if end[:10] == start[:10] else end
    return f"{start}–{end} ({format_duration_us(line.end_us - line.start_us)})"


def _minute(us: int) -> str:
    return format_us(us)[:16].replace("T", " ")
