"""Balance sheets of a stream: one an hour, from a sum that is kept for each of its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import msgspec
import orjson
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from pipeline.commit import RunReport
from pipeline.died import write_died
from schemas.alerts import Alert
from schemas.balance import BalanceSheet
from schemas.canaries import SlotVerdict
from schemas.errors import UnbalancedRun
from schemas.settings import Settings
from schemas.storage import Storage
from schemas.times import HOUR_US, format_us
from transforms.bundle_writer import BundleReport, Totals
from transforms.live_archive import hourly_run


class _Counted(msgspec.Struct, frozen=True):
    """What bundles, alerts and verdicts add to a sheet, and when the first of them was."""

    at_us: int
    objects: int = 0
    totals: Totals = Totals()
    alerts: int = 0
    suppressed: int = 0
    slots: dict[str, int] = {}

    def __add__(self, other: _Counted) -> _Counted:
        return _Counted(
            min(self.at_us, other.at_us),
            self.objects + other.objects,
            self.totals + other.totals,
            self.alerts + other.alerts,
            self.suppressed + other.suppressed,
            dict(Counter(self.slots) + Counter(other.slots)),
        )

    @property
    def hour_end_us(self) -> int:
        return (self.at_us // HOUR_US + 1) * HOUR_US


class WriteSheets(beam.PTransform[Any, PCollection[RunReport]]):
    """`reports` (BundleReport), `alerts` (Alert) and, with canaries, `verdicts` (SlotVerdict) → RunReport.

    A stream is a run an hour: its sheet is written when the watermark has passed the hour, and again when something
    is added late. What is kept of an hour is its sum, until the allowed lateness is over. `died` are runs that this
    stream completes: their findings are raised long before its first sheet.

    Raises:
        UnbalancedRun: a sheet does not close; it is written first, with its faults, and the step fails.
    """

    def __init__(self, lake: Storage, settings: Settings, died: Mapping[str, BalanceSheet]) -> None:
        super().__init__()
        self._lake = lake
        self._settings = settings
        self._died = dict(died)

    def expand(self, found: Mapping[str, PCollection[Any]]) -> PCollection[RunReport]:
        keyed = Tuple[str, AnyType]
        counted = [
            part | f"Count {name}" >> beam.ParDo(_Count(self._settings)).with_output_types(keyed)
            for name, part in found.items()
        ] | "Counted" >> beam.Flatten().with_output_types(keyed)
        keep = beam.ParDo(_KeepSheet(self._lake, self._settings, self._died))
        sheets: PCollection[RunReport] = counted | "KeepSheet" >> keep
        return sheets


class _Count(beam.DoFn):
    """One sum a run for each of the runner's bundles.

    What an earlier stream left to be raised comes before all time; it counts in the hour in which this one began.
    What an earlier stream had committed is in that one's sheets.
    """

    def __init__(self, settings: Settings) -> None:
        self._stream_id = settings.run_id
        self._began_us = settings.clock.now_us

    def start_bundle(self) -> None:
        self._sums: dict[str, _Counted] = {}

    def process(self, element: BundleReport | Alert | SlotVerdict, at: Any = beam.DoFn.TimestampParam) -> None:
        at_us = max(at.micros, self._began_us)
        if isinstance(element, BundleReport):
            if element.rows and element.rows[0].run_id.startswith(f"{self._stream_id}-"):
                counted = _Counted(element.rows[0].handled_us, len(element.rows), element.totals)
                self._add(element.rows[0].run_id, counted)
        elif isinstance(element, Alert):
            quiet = int(element.suppressed_by is not None)
            self._add(hourly_run(self._stream_id, at_us), _Counted(at_us, alerts=1, suppressed=quiet))
        else:
            slots = {element.verdict.value: element.last - element.first + 1}
            self._add(hourly_run(self._stream_id, at_us), _Counted(at_us, slots=slots))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for run_id, counted in self._sums.items():
            yield GlobalWindows.windowed_value((run_id, counted), Timestamp(micros=counted.at_us))

    def _add(self, run_id: str, counted: _Counted) -> None:
        before = self._sums.get(run_id)
        self._sums[run_id] = counted if before is None else before + counted


class _KeepSheet(beam.DoFn):
    SUM = ReadModifyWriteStateSpec("sum", PickleCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)
    OVER = TimerSpec("over", TimeDomain.WATERMARK)

    def __init__(self, lake: Storage, settings: Settings, died: Mapping[str, BalanceSheet]) -> None:
        self._lake = lake
        self._settings = settings
        self._died = died

    def process(
        self,
        keyed: tuple[str, _Counted],
        kept: Any = beam.DoFn.StateParam(SUM),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> None:
        """Add; the sheet is due when its hour has ended, at once if it has."""
        before = kept.read()
        counted = keyed[1] if before is None else before + keyed[1]
        kept.write(counted)
        due.set(Timestamp(micros=counted.hour_end_us))

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def write(
        self,
        run_id: str = beam.DoFn.KeyParam,
        kept: Any = beam.DoFn.StateParam(SUM),
        over: Any = beam.DoFn.TimerParam(OVER),
    ) -> Iterator[RunReport]:
        """Write the sheet, as far as it has come."""
        counted: _Counted = kept.read()
        # An hour longer than anything of it may come: a sum that began anew would overwrite the sheet.
        over.set(Timestamp(micros=counted.hour_end_us + self._settings.config.allowed_lateness_us + HOUR_US))
        report = _report(run_id, counted, self._settings)
        write_died(self._lake, self._died, run_id)
        self._lake.write(f"runs/{run_id}.json", orjson.dumps(msgspec.to_builtins(report)))
        if report.faults:
            raise UnbalancedRun(f"the sheet of {run_id} does not close: {'; '.join(report.faults)}")
        yield report

    @on_timer(OVER)  # type: ignore[untyped-decorator]
    def forget(self, kept: Any = beam.DoFn.StateParam(SUM)) -> None:
        """The hour is over for good."""
        kept.clear()


def _report(run_id: str, counted: _Counted, settings: Settings) -> RunReport:
    balance = counted.totals.balance + BalanceSheet(objects_listed=counted.objects)
    ends_at = format_us(counted.hour_end_us)
    return RunReport(
        run_id=run_id,
        started_at=format_us(counted.hour_end_us - HOUR_US),
        finished_at=ends_at,
        as_of=ends_at,
        inputs=settings.inputs,
        balance=balance,
        faults=balance.faults(),
        alerts=counted.alerts,
        suppressed=counted.suppressed,
        slots=counted.slots,
        dead_letters=counted.totals.letters,
        conflicts=counted.totals.conflicts,
        foreign=0,
        foreign_names=(),
    )
