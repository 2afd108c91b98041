"""What a watch tells Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from pipeline.watch_cycle import Done
from schemas.alerts import Alert
from schemas.balance import BalanceSheet
from schemas.errors import UsageError
from schemas.objects import ObjectRow
from schemas.times import SECOND_US
from transforms.deliveries import delivery_lag_us

_MOST_PLACES = 20_000
_ELSEWHERE = ("other", "other")


class WatchMetrics:
    """Counters of every count of the balance sheet, lags, and signs of life; all named `trailcanary_…`."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        names = msgspec.structs.asdict(BalanceSheet())
        self._counts = {
            name: Counter(
                f"trailcanary_{name}", f"{name.replace('_', ' ')}, as in the balance sheet", registry=registry
            )
            for name in names
        }
        self._cycles = Counter("trailcanary_cycles", "cycles by result", ["result"], registry=registry)
        self._took = Histogram("trailcanary_cycle_seconds", "length of cycles that did something", registry=registry)
        self._alerts = Counter(
            "trailcanary_alerts", "alerts written", ["kind", "severity", "status"], registry=registry
        )
        self._quiet = Counter("trailcanary_alerts_suppressed", "those that do not page", registry=registry)
        self._slots = Counter("trailcanary_slots", "verdicts of slots", ["verdict"], registry=registry)
        self._letters = Counter("trailcanary_dead_letters", "dead letters by reason", ["reason"], registry=registry)
        self._bundles = Counter("trailcanary_bundles", "bundles committed by small cycles", registry=registry)
        self._lag = Gauge(
            "trailcanary_delivery_lag_seconds",
            "from the first event of the newest object to its delivery",
            ["account_id", "region"],
            registry=registry,
        )
        self._known = Gauge("trailcanary_known_objects", "objects that the ledger knows", registry=registry)
        self._completed = Gauge("trailcanary_last_cycle_timestamp_seconds", "end of the last one", registry=registry)
        self._stalled = Gauge("trailcanary_stalled", "1 while no cycle is completed", registry=registry)
        age = Gauge(
            "trailcanary_oldest_unjudged_slot_age_seconds",
            "since the start of the earliest slot without a verdict; 0 where nothing is expected",
            registry=registry,
        )
        self._oldest_us: int | None = None
        self._places: set[tuple[str, str]] = set()
        age.set_function(self._age_s)

    def serve(self, address: str, port: int) -> int:
        """Answer scrapes from a thread; return the port, which is chosen where 0 is asked for. Raises UsageError."""
        try:
            server, _ = start_http_server(port, address, self._registry)
        except (OSError, OverflowError) as error:
            raise UsageError([f"--metrics-port {port}: {error}"]) from error
        return int(server.server_port)

    def completed(self, done: Done | None, took_us: int, known: int, oldest_us: int | None) -> None:
        """A cycle was completed; `oldest_us` is the start of the earliest slot without a verdict."""
        self._cycles.labels("idle" if done is None else "done").inc()
        self._completed.set(self._clock() / SECOND_US)
        self._known.set(known)
        self._oldest_us = oldest_us
        if done is None:
            return
        self._took.observe(took_us / SECOND_US)
        self._bundles.inc(len(done.bundles))
        for name, count in msgspec.structs.asdict(done.report.balance).items():
            self._counts[name].inc(count)
        for verdict, count in done.report.slots.items():
            self._slots.labels(verdict).inc(count)
        for reason, count in done.report.dead_letters.items():
            self._letters.labels(reason).inc(count)
        for alert in done.alerts:
            self.alert(alert)
        self._delivered(row for bundle in done.bundles for row in bundle.rows)

    def failed(self) -> None:
        """A cycle failed."""
        self._cycles.labels("failed").inc()

    def alert(self, alert: Alert) -> None:
        """An alert was written."""
        self._alerts.labels(alert.kind, alert.severity.label, alert.status.value).inc()
        self._quiet.inc(alert.suppressed_by is not None)

    def stalled(self, *, is_stalled: bool) -> None:
        """Whether `ingest.stalled` is open."""
        self._stalled.set(is_stalled)

    def _delivered(self, rows: Iterable[ObjectRow]) -> None:
        for row in sorted(rows, key=lambda row: row.delivered_us):
            lag_us = delivery_lag_us(row)
            if lag_us is None:
                continue
            place = (row.account_id or "unknown", row.region or "unknown")
            if place not in self._places and len(self._places) >= _MOST_PLACES:
                place = _ELSEWHERE  # names in keys are anybody's: they must not fill the memory
            self._places.add(place)
            self._lag.labels(*place).set(lag_us / SECOND_US)

    def _age_s(self) -> float:
        return 0.0 if self._oldest_us is None else max(0, self._clock() - self._oldest_us) / SECOND_US
