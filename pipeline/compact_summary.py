"""What a compaction says at its end, or would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

import msgspec
import orjson

from pipeline.compact import Files, Options, Plan, Report
from schemas.times import format_duration_us
from transforms.compaction_plan import merged_days

_MIB = 1 << 20
_TITLES = {"events": "archive", "objects": "ledger", "canaries": "canaries", "digests": "digests"}


def print_report(report: Report, options: Options, out: TextIO, *, as_json: bool) -> None:
    """Print what was done: files before and after, the rows' balance, what was removed and what will be."""
    if as_json:
        out.write(orjson.dumps(msgspec.to_builtins(report), option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    for folder, title in _TITLES.items():
        before, after = report.before[folder], report.after[folder]
        out.write(f"{title:9}{_files(before)} → {_files(after)}\n")
    rows = f"{report.rows_read:,} read = {report.rows_written:,} written + {report.copies_removed:,} copies removed"
    out.write(f"rows     {rows}\n")
    if report.conflicts:
        out.write(f"kept     {report.conflicts:,} event ids that came with more than one content\n")
    out.write(f"removed  {report.files_removed:,} superseded files\n")
    if report.files_waiting:
        keep = format_duration_us(options.keep_us)
        out.write(f"         {report.files_waiting:,} more are kept for {keep}; the next compaction removes them\n")


def print_plan(plan: Plan, options: Options, before: Mapping[str, Files], out: TextIO, *, as_json: bool) -> None:
    """Print what would be merged."""
    groups = [
        {
            "ledger_parts": len(group),
            "archive_files": sum(map(len, days := merged_days(group, options.sizes))),
            "days": len(days),
            "rows": sum(file.rows for day in days for file in day),
            "bytes": sum(part.bytes for part in group) + sum(file.bytes for day in days for file in day),
        }
        for group in plan.parts
    ]
    verdicts = sum(map(len, plan.verdicts))
    if as_json:
        found = {"before": msgspec.to_builtins(dict(before)), "merges": groups, "verdict_files": verdicts}
        out.write(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    for folder, title in _TITLES.items():
        out.write(f"{title:9}{_files(before[folder])}\n")
    for group in groups:
        files = f"{group['archive_files']:,} small archive files of {group['days']:,} days"
        sizes = f"{group['rows']:,} rows, {group['bytes'] / _MIB:,.1f} MiB"
        out.write(f"merge    {group['ledger_parts']:,} parts of the ledger with {files}: {sizes}\n")
    if verdicts:
        out.write(f"merge    {verdicts:,} files of verdicts\n")
    if not groups and not verdicts:
        out.write("nothing to merge\n")


def _files(found: Files) -> str:
    return f"{found.files:,} {'file' if found.files == 1 else 'files'} ({found.bytes / _MIB:,.1f} MiB)"
