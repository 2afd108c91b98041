"""What a job tells its runner's metrics: counts of the balance sheet, lags, and how far canaries are judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection, PDone

from schemas.alerts import Alert
from schemas.balance import BalanceSheet
from schemas.canaries import Canary, SlotVerdict, Verdict
from schemas.intake import Tick
from schemas.keys import is_account, is_region
from schemas.objects import ObjectRow
from schemas.times import SECOND_US
from transforms.bundle_writer import BundleReport
from transforms.deliveries import delivery_lag_us, intake_lag_us, is_delivery
from transforms.expected import by_name, places
from transforms.intake import AHEAD_US

NAMESPACE = "trailcanary"
MOST_PLACES = 1000
"""How many accounts and regions have gauges of their own, in each copy of the step.

Flink's runner goes through all metrics of a step after each of its bundles, up to ten times a second, whether they were
set or not: measured with the runner's own class, 0.7 ms for 1,000 places and 29 ms for 17,000, a third of a core.
The lake has every place's lag (view `delivery_lag`).
"""

ELSEWHERE = "other"
_LONGEST_REGION = 24
_DELIVERY, _INTAKE = _MEASURES = ("delivery_lag_s", "intake_lag_s")


class PublishMetrics(beam.PTransform[Any, PDone]):
    """A dict of `reports` (BundleReport) and, where there are any, `alerts`, `verdicts`, `ticks` → Beam metrics.

    `ticks` (Tick) and `verdicts` (SlotVerdict) say how far canaries are judged by `clock` (microseconds, UTC;
    picklable). A report comes after its bundle was committed. What a runner does again counts again, and a bundle
    that an earlier life of a stream committed does, too: the balance sheets are the truth, these are for dashboards.
    Gauges and distributions are whole seconds. Names follow from closed vocabularies, but for accounts and regions,
    which are those of object keys: `MOST_PLACES` well-formed ones have names, those of canaries first, all others
    share `ELSEWHERE`.
    """

    def __init__(self, canaries: Sequence[Canary], clock: Callable[[], int]) -> None:
        super().__init__()
        self._canaries = tuple(canaries)
        self._clock = clock

    def expand(self, found: Mapping[str, PCollection[Any]]) -> PDone:
        count = {
            "reports": _CountReport(_declared(self._canaries)),
            "alerts": _CountAlert(),
            "verdicts": _CountVerdict(self._canaries, self._clock),
            "ticks": _MeasureTick(self._canaries, self._clock),
        }
        for name, part in found.items():
            _ = part | f"Of {name}" >> beam.ParDo(count[name])
        return PDone(found["reports"].pipeline)


class _CountReport(beam.DoFn):
    def __init__(self, declared: frozenset[str]) -> None:
        self._declared = declared

    def setup(self) -> None:
        self._named = set(self._declared)
        self._all = {measure: Metrics.distribution(NAMESPACE, f"all_{measure}") for measure in _MEASURES}

    def process(self, report: BundleReport) -> None:
        totals = report.totals
        balance = totals.balance + BalanceSheet(objects_listed=len(report.rows))
        counts = {"bundles": 1, "conflicts": totals.conflicts, **msgspec.structs.asdict(balance)}
        counts |= {f"dead_letters/{reason}": count for reason, count in totals.letters.items()}
        for name, count in counts.items():
            _count(name, count)
        worst: dict[str, int] = {}
        for row in filter(is_delivery, report.rows):
            place = self._name(row)
            for measure, lag_s in _lags(row):
                self._all[measure].update(lag_s)
                name = f"{measure}/{place}"
                worst[name] = max(lag_s, worst.get(name, lag_s))
        for name, lag_s in worst.items():
            Metrics.gauge(NAMESPACE, name).set(lag_s)

    def _name(self, row: ObjectRow) -> str:
        """What a row's place is called: keys are anybody's, so names must neither be odd nor many."""
        account_id, region = row.account_id or "", row.region or ""
        if not (is_account(account_id) and is_region(region) and len(region) <= _LONGEST_REGION):
            return ELSEWHERE
        name = f"{account_id}/{region}"
        if name not in self._named and len(self._named) >= MOST_PLACES:
            return ELSEWHERE
        self._named.add(name)
        return name


class _CountAlert(beam.DoFn):
    def process(self, alert: Alert) -> None:
        _count(f"alerts/{alert.kind}/{alert.status.value}", 1)
        if alert.suppressed_by is not None:
            _count("alerts_suppressed", 1)


class _CountVerdict(beam.DoFn):
    def __init__(self, canaries: Sequence[Canary], clock: Callable[[], int]) -> None:
        self._canaries = by_name(canaries)
        self._clock = clock

    def process(self, verdict: SlotVerdict) -> None:
        _count(f"slots/{verdict.verdict.value}", verdict.last - verdict.first + 1)
        if verdict.prior is None and verdict.verdict is not Verdict.LATE:  # else it corrects what was judged in time
            deadline_us = self._canaries[verdict.place.canary].deadline_us(verdict.last)
            lag_s = (self._clock() - deadline_us) // SECOND_US
            Metrics.gauge(NAMESPACE, "judgement_lag_s").set(lag_s)
            Metrics.distribution(NAMESPACE, "all_judgement_lag_s").update(lag_s)


class _MeasureTick(beam.DoFn):
    def __init__(self, canaries: Sequence[Canary], clock: Callable[[], int]) -> None:
        self._canaries = tuple(canaries)
        self._clock = clock

    def process(self, tick: Tick) -> None:
        start_us = _oldest_unjudged_us(self._canaries, tick)
        if start_us is not None:
            age_us = max(0, self._clock() - start_us)
            Metrics.gauge(NAMESPACE, "oldest_unjudged_slot_age_s").set(age_us // SECOND_US)
            Metrics.gauge(NAMESPACE, "oldest_unjudged_slot_start_s").set(start_us // SECOND_US)


def _oldest_unjudged_us(canaries: Sequence[Canary], tick: Tick) -> int | None:
    """Start of the earliest slot that is not due by the clock of a tick; None where nothing is expected."""
    starts = []
    for canary in canaries:
        since_us = tick.first_delivery_us if canary.since_us is None else canary.since_us
        if since_us is not None:
            first = max(canary.last_slot_due(tick.to_us - AHEAD_US) + 1, -(-since_us // canary.period_us))
            starts.append(canary.slot_start_us(first))
    return min(starts, default=None)


def _lags(row: ObjectRow) -> Iterator[tuple[str, int]]:
    delivery_us = delivery_lag_us(row)
    if delivery_us is not None:
        yield _DELIVERY, delivery_us // SECOND_US
    yield _INTAKE, intake_lag_us(row) // SECOND_US


def _declared(canaries: Sequence[Canary]) -> frozenset[str]:
    names = dict.fromkeys(f"{each.account_id}/{each.region}" for canary in canaries for each in places(canary))
    return frozenset(islice(names, MOST_PLACES))


def _count(name: str, count: int) -> None:
    Metrics.counter(NAMESPACE, name).inc(count)
