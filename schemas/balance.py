"""The balance sheet: what went in, and where each piece of it ended."""

from __future__ import annotations

import msgspec


class BalanceSheet(msgspec.Struct, frozen=True):
    """Counts of one run.

    Laws: objects_listed = objects_read + objects_dead + objects_known + objects_not_logs, and
    records_read = records_archived + records_duplicate + records_dead. `rows_written` is counted in the files
    themselves, so that a row lost on the way to disk shows.
    """

    objects_listed: int = 0
    objects_read: int = 0
    objects_dead: int = 0
    objects_known: int = 0
    objects_not_logs: int = 0
    records_read: int = 0
    records_archived: int = 0
    records_duplicate: int = 0
    records_dead: int = 0
    rows_written: int = 0

    def __add__(self, other: BalanceSheet) -> BalanceSheet:
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return BalanceSheet(*(mine + theirs for mine, theirs in pairs))

    def faults(self) -> tuple[str, ...]:
        """Each law that does not hold, with its numbers; empty when the sheet closes."""
        ends = self.objects_read + self.objects_dead + self.objects_known + self.objects_not_logs
        records = self.records_archived + self.records_duplicate + self.records_dead
        laws = (
            ("objects listed", self.objects_listed, "read + dead + already known + not logs", ends),
            ("records read", self.records_read, "archived + duplicates + dead", records),
            ("records archived", self.records_archived, "rows in the files written", self.rows_written),
        )
        return tuple(f"{left} {a:,} ≠ {b:,} {right}" for left, a, right, b in laws if a != b)
