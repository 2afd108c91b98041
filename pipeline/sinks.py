"""The last steps of a run, each after the one before: alerts, then verdicts, then the run's own sheet.

A run that dies in between is completed by the next: alerts have ids by content, slots without a verdict are judged
again, and a run without a sheet left its committed bundles' findings to be raised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.alerts import write_alerts
from pipeline.clock import now_us
from schemas.alerts import Alert
from schemas.balance import BalanceSheet
from schemas.canaries import SlotVerdict
from schemas.settings import Settings
from schemas.storage import Storage
from schemas.times import format_us
from transforms.bundle_writer import Totals
from transforms.canary_tables import verdicts_table
from transforms.expected import Horizon
from transforms.objects import Listing


class RunReport(msgspec.Struct, frozen=True):
    """One run, as `runs/<run_id>.json` has it. Times are ISO 8601 UTC."""

    run_id: str
    started_at: str
    finished_at: str
    as_of: str | None
    inputs: tuple[str, ...]
    balance: BalanceSheet
    faults: tuple[str, ...]
    alerts: int
    slots: dict[str, int]
    dead_letters: dict[str, int]
    conflicts: int
    foreign: tuple[str, ...]


class WriteAlerts(beam.PTransform):
    """Alert → one list of the alerts that the lake did not have, once they are written."""

    def __init__(self, lake: Storage, run_id: str) -> None:
        super().__init__()
        self._lake = lake
        self._run_id = run_id

    def expand(self, alerts: beam.PCollection[Alert]) -> beam.PCollection[list[Alert]]:
        lake, run_id = self._lake, self._run_id
        return alerts | beam.combiners.ToList() | beam.Map(lambda each: write_alerts(lake, run_id, each))


class WriteVerdicts(beam.PTransform):
    """SlotVerdict → one count of slots by verdict, once `canaries/verdicts-<run>.parquet` is written.

    `horizon` says up to when was judged; `alerts` only that the alerts have been written before.
    """

    def __init__(self, lake: Storage, settings: Settings, horizon: Any, alerts: Any) -> None:
        super().__init__()
        self._lake = lake
        self._settings = settings
        self._after = (beam.pvalue.AsSingleton(horizon), beam.pvalue.AsSingleton(alerts))

    def expand(self, verdicts: beam.PCollection[SlotVerdict]) -> beam.PCollection[dict[str, int]]:
        everything = verdicts | beam.WindowInto(beam.window.GlobalWindows()) | beam.combiners.ToList()
        return everything | beam.Map(_write_verdicts, self._lake, self._settings, *self._after)


def _write_verdicts(
    verdicts: Sequence[SlotVerdict], lake: Storage, settings: Settings, horizon: Horizon | None, _: Sequence[Alert]
) -> dict[str, int]:
    slots: Counter[str] = Counter()
    for verdict in verdicts:
        slots[verdict.verdict.value] += verdict.last - verdict.first + 1
    if verdicts and horizon is not None:
        ordered = sorted(verdicts, key=lambda each: (each.place, each.first))
        sink = pa.BufferOutputStream()
        table = verdicts_table(ordered, settings.config.canaries, settings.run_id, horizon.as_of_us)
        pq.write_table(table, sink, compression="zstd")
        lake.write(f"canaries/verdicts-{settings.run_id}.parquet", sink.getvalue().to_pybytes())
    return dict(slots)


class WriteRun(beam.PTransform):
    """The number of slots by verdict → RunReport, written as `runs/<run_id>.json`: the commit of the whole run.

    Runs in `died` get a sheet too, which says that this one completed them.
    """

    def __init__(self, lake: Storage, settings: Settings, died: Iterable[str], parts: Mapping[str, Any]) -> None:
        super().__init__()
        self._lake = lake
        self._settings = settings
        self._died = tuple(died)
        self._parts = {name: beam.pvalue.AsSingleton(part) for name, part in parts.items()}

    def expand(self, slots: beam.PCollection[dict[str, int]]) -> beam.PCollection[RunReport]:
        return slots | beam.Map(_write_run, self._lake, self._settings, self._died, **self._parts)


def _write_run(
    slots: dict[str, int],
    lake: Storage,
    settings: Settings,
    died: Sequence[str],
    *,
    listing: Listing,
    horizon: Horizon | None,
    totals: Totals,
    alerts: Sequence[Alert],
) -> RunReport:
    balance = totals.balance + BalanceSheet(objects_listed=listing.objects, objects_known=listing.known)
    report = RunReport(
        run_id=settings.run_id,
        started_at=format_us(settings.clock.now_us),
        finished_at=format_us(now_us()),
        as_of=None if horizon is None else format_us(horizon.as_of_us),
        inputs=settings.inputs,
        balance=balance,
        faults=balance.faults(),
        alerts=len(alerts),
        slots=slots,
        dead_letters=totals.letters,
        conflicts=totals.conflicts,
        foreign=listing.foreign,
    )
    for run_id in died:
        lake.write(f"runs/{run_id}.json", orjson.dumps({"run_id": run_id, "completed_by": report.run_id}))
    lake.write(f"runs/{report.run_id}.json", orjson.dumps(msgspec.to_builtins(report)))
    return report
