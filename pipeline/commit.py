"""The last step of a bounded run: alerts, then verdicts, then the run's own sheet, each only after the one before.

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

from pipeline.alerts import write_alerts
from pipeline.clock import now_us
from pipeline.died import write_died
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
from transforms.small_parquet import parquet_bytes


class RunReport(msgspec.Struct, frozen=True):
    """One run, as `runs/<run_id>.json` has it. Times are ISO 8601 UTC; `suppressed` of the `alerts` do not page."""

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
    foreign: int
    foreign_names: tuple[str, ...]
    suppressed: int = 0


class Results(msgspec.Struct, frozen=True):
    """All that a run found. `horizon` is None where no canary is declared, or nothing was ever delivered."""

    listing: Listing
    horizon: Horizon | None
    totals: Totals
    alerts: tuple[Alert, ...]
    verdicts: tuple[SlotVerdict, ...]


class CommitRun(beam.PTransform):
    """Listing (one), Totals, Alert and, with canaries, Horizon (one) and SlotVerdict, by name → one RunReport.

    All in the global window, where they meet, because what is written must be written in order. `died` are runs that
    this one completes; each gets a sheet that says so.
    """

    def __init__(self, lake: Storage, settings: Settings, died: Mapping[str, BalanceSheet]) -> None:
        super().__init__()
        self._lake = lake
        self._settings = settings
        self._died = dict(died)

    def expand(self, found: Mapping[str, beam.PCollection[Any]]) -> beam.PCollection[RunReport]:
        named = [part | f"Name {name}" >> beam.Map(_named, name) for name, part in found.items()]
        together = named | beam.Flatten() | beam.GroupByKey()
        return together | beam.Map(_commit, self._lake, self._settings, self._died)


def _named(element: Any, name: str) -> tuple[None, tuple[str, Any]]:
    return None, (name, element)


def _commit(
    found: tuple[None, Iterable[tuple[str, Any]]], lake: Storage, settings: Settings, died: Mapping[str, BalanceSheet]
) -> RunReport:
    results = _sorted_out(found[1])
    alerts = write_alerts(lake, settings.run_id, results.alerts)
    return commit_rest(results, lake, settings, alerts, died)


def commit_rest(
    results: Results, lake: Storage, settings: Settings, written: Sequence[Alert], died: Mapping[str, BalanceSheet]
) -> RunReport:
    """Write what follows the alerts; `written` are those that the lake did not have."""
    _write_verdicts(results, lake, settings)
    report = _report(results, settings, written)
    write_died(lake, died, report.run_id)
    lake.write(f"runs/{report.run_id}.json", orjson.dumps(msgspec.to_builtins(report)))
    return report


def _sorted_out(found: Iterable[tuple[str, Any]]) -> Results:
    parts: dict[str, list[Any]] = {"listing": [], "horizon": [], "totals": [], "alerts": [], "verdicts": []}
    for name, element in found:
        parts[name].append(element)
    verdicts = sorted(parts["verdicts"], key=lambda verdict: (verdict.place, verdict.first))
    totals = sum(parts["totals"], Totals())
    horizon = next(iter(parts["horizon"]), None)
    return Results(parts["listing"][0], horizon, totals, tuple(parts["alerts"]), tuple(verdicts))


def _write_verdicts(results: Results, lake: Storage, settings: Settings) -> None:
    if results.verdicts and results.horizon:
        canaries, as_of_us = settings.config.canaries, results.horizon.as_of_us
        table = verdicts_table(results.verdicts, canaries, settings.run_id, as_of_us)
        lake.write(f"canaries/verdicts-{settings.run_id}.parquet", parquet_bytes(table))


def _report(results: Results, settings: Settings, written: Sequence[Alert]) -> RunReport:
    listing, horizon = results.listing, results.horizon
    balance = results.totals.balance + BalanceSheet(objects_listed=listing.objects, objects_known=listing.known)
    slots: Counter[str] = Counter()
    for verdict in results.verdicts:
        slots[verdict.verdict.value] += verdict.last - verdict.first + 1
    return RunReport(
        run_id=settings.run_id,
        started_at=format_us(settings.clock.now_us),
        finished_at=format_us(now_us()),
        as_of=None if horizon is None else format_us(horizon.as_of_us),
        inputs=settings.inputs,
        balance=balance,
        faults=balance.faults(),
        alerts=len(written),
        suppressed=sum(alert.suppressed_by is not None for alert in written),
        slots=dict(slots),
        dead_letters=results.totals.letters,
        conflicts=results.totals.conflicts,
        foreign=listing.foreign,
        foreign_names=listing.foreign_names,
    )
