"""A line of the log: JSON with a time and an event; names, counts and lengths of time, never what events hold."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from schemas.objects import Bundle
from schemas.times import SECOND_US, format_us
from transforms.bundle_writer import BundleReport
from transforms.deliveries import delivery_lag_us, intake_lag_us, is_delivery


def log_line(at_us: int, event: str, **members: Any) -> str:
    """The line, without its end."""
    return orjson.dumps({"at": format_us(at_us), "event": event, **members}).decode()


def bundle_members(bundle: Bundle, report: BundleReport) -> dict[str, Any]:
    """What a line says of a committed bundle; counts of the balance that are nothing, and lags of none, are left out.

    Lags are those of the object that has the largest.
    """
    totals, rows = report.totals, [row for row in report.rows if is_delivery(row)]
    counts = {name: count for name, count in msgspec.structs.asdict(totals.balance).items() if count}
    lags = {
        "delivery_lag_s": [lag_us for row in rows if (lag_us := delivery_lag_us(row)) is not None],
        "intake_lag_s": [intake_lag_us(row) for row in rows],
    }
    return {
        "bundle": bundle.name,
        "objects": len(bundle.refs),
        "bytes": sum(ref.size for ref in bundle.refs),
        **counts,
        "sightings": len(report.sightings),
        "findings": len(report.tamperings),
        **({"dead_letters": totals.letters} if totals.letters else {}),
        **{name: round(max(lags_us) / SECOND_US, 3) for name, lags_us in lags.items() if lags_us},
    }
