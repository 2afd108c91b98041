"""What a run says at its end: alerts first, then the balance."""

from __future__ import annotations

from typing import TextIO

import msgspec
import orjson

from pipeline.alert_table import print_alerts
from pipeline.run import Outcome
from schemas.settings import Settings
from transforms.alert_encoding import alert_json


def print_summary(outcome: Outcome, settings: Settings, out: TextIO, *, as_json: bool) -> int:
    """Print a run's result; return its exit code: 0 where the balance sheet closes, else 1."""
    if as_json:
        report = msgspec.to_builtins(outcome.report)
        report["alerts"] = [orjson.loads(alert_json(alert)) for alert in outcome.alerts]
        out.write(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        print_alerts(outcome.alerts, _when_none(outcome), out)
        out.writelines(f"{line}\n" for line in _lines(outcome, settings))
    return 1 if outcome.report.faults else 0


def _when_none(outcome: Outcome) -> str:
    judged = sum(outcome.report.slots.values())
    return f"No alerts. {judged:,} canary slots judged." if judged else "No alerts. No canary was due to be judged."


def _lines(outcome: Outcome, settings: Settings) -> list[str]:
    report, sheet = outcome.report, outcome.report.balance
    lines = [
        "",
        f"objects  {sheet.objects_listed:,} listed = {sheet.objects_read:,} read + {sheet.objects_dead:,} dead"
        f" + {sheet.objects_known:,} already known + {sheet.objects_not_logs:,} not logs",
        f"records  {sheet.records_read:,} read = {sheet.records_archived:,} archived"
        f" + {sheet.records_duplicate:,} duplicates + {sheet.records_dead:,} dead",
    ]
    if report.slots:
        lines.append("slots    " + ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(report.slots.items())))
    if report.dead_letters:
        letters = ", ".join(f"{count:,} {reason}" for reason, count in sorted(report.dead_letters.items()))
        lines.append(f"dead     {letters} (in {settings.output}/dead_letters)")
    if report.conflicts:
        lines.append(f"kept     {report.conflicts:,} event ids that came with more than one content")
    if report.foreign:
        more = ", …" if report.foreign > 1 else ""
        lines.append(f"foreign  {report.foreign:,} objects are none of CloudTrail's: {report.foreign_names[0]}{more}")
    lines += [f"FAULT    {fault}" for fault in report.faults]
    as_of = f"judged as of {report.as_of}; " if report.as_of else ""
    return [*lines, f"         {as_of}ask on with: trailcanary query --output {settings.output}"]
