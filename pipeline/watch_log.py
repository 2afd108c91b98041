"""What a watch says on standard error: one line that is painted again on a terminal, elsewhere JSON lines."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, TextIO

import msgspec

from pipeline.alert_table import suppressed_line
from pipeline.log_line import bundle_members, log_line
from pipeline.watch_cycle import Done
from schemas.alerts import Alert
from schemas.errors import StorageError
from schemas.objects import Bundle
from schemas.times import SECOND_US, format_us
from transforms.bundle_writer import BundleReport

_ERASE = "\r\x1b[K"


class WatchLog:
    """Counts, names and times, never what events hold. For several threads."""

    def __init__(self, out: TextIO, clock: Callable[[], int]) -> None:
        self._out = out
        self._clock = clock
        self._terminal = out.isatty()
        self._lock = threading.Lock()
        self._objects = self._records = self._alerts = 0

    def bundle(self, bundle: Bundle, report: BundleReport) -> None:
        """A bundle was committed."""
        self._line("bundle", **bundle_members(bundle, report))

    def cycle(self, done: Done, took_us: int) -> None:
        """A cycle has done something."""
        report, balance = done.report, done.report.balance
        self._objects += balance.objects_listed - balance.objects_known
        self._records += balance.records_archived
        counts = {name: count for name, count in msgspec.structs.asdict(balance).items() if count}
        kinds = dict(Counter(alert.kind for alert in done.alerts))
        more = {"alerts": kinds, "slots": report.slots, "dead_letters": report.dead_letters, "faults": report.faults}
        counts |= {"suppressed": report.suppressed} if report.suppressed else {}
        more = {name: value for name, value in more.items() if value}
        self._line("cycle", run_id=report.run_id, took_s=round(took_us / SECOND_US, 3), **counts, **more)
        for alert in done.alerts:
            if alert.suppressed_by is None:
                self.alert(alert)
        if quiet := suppressed_line(done.alerts):
            self._permanent(quiet)

    def alert(self, alert: Alert) -> None:
        """An alert was written; what it says is in the lake."""
        self._alerts += 1
        members = ("alert_id", "incident_id", "kind", "account_id", "region", "runbook")
        named = {name: value for name in members if (value := getattr(alert, name)) is not None}
        self._line("alert", status=alert.status.value, severity=alert.severity.label, **named)
        where = " ".join(part for part in (alert.account_id, alert.region) if part)
        words = (alert.severity.label.upper(), alert.kind, alert.status.value, where, alert.runbook or "")
        self._permanent("  ".join(word for word in words if word))

    def failed(self, error: StorageError) -> None:
        """A store failed: the next cycle tries again."""
        self._line("failed", error=str(error))
        self._permanent(f"trailcanary: {error}; trying again")

    def warn(self, text: str) -> None:
        """Something that a person should look at."""
        self._line("warning", text=text)
        self._permanent(f"trailcanary: {text}")

    def note(self, event: str, **members: Any) -> None:
        """Anything else that happens once."""
        self._line(event, **members)

    def status(self) -> None:
        """Paint the line again; nothing elsewhere."""
        if self._terminal:
            counts = f"{self._objects:,} objects · {self._records:,} events · {self._alerts:,} alerts"
            with self._lock:
                self._out.write(f"{_ERASE}watching · {counts} · {format_us(self._clock())[:19]}Z")
                self._out.flush()

    def end(self) -> None:
        """Leave the line to the shell."""
        if self._terminal:
            self._permanent("stopped")

    def _permanent(self, text: str) -> None:
        if self._terminal:
            with self._lock:
                self._out.write(f"{_ERASE}{text}\n")
                self._out.flush()

    def _line(self, event: str, **members: Any) -> None:
        if not self._terminal:
            line = log_line(self._clock(), event, **members)
            with self._lock:
                self._out.write(line + "\n")
                self._out.flush()
