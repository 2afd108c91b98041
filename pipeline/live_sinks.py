"""What a stream writes besides its bundles: alerts as they are raised, verdicts by the minute, a sheet an hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import msgspec
import orjson
import pyarrow as pa
from apache_beam.pvalue import PCollection
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import FixedWindows
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple
from apache_beam.utils.timestamp import Duration

from pipeline.alerts import write_pair
from pipeline.commit import RunReport
from schemas.alerts import Alert
from schemas.balance import BalanceSheet
from schemas.canaries import Canary, SlotVerdict
from schemas.errors import UnbalancedRun
from schemas.settings import Settings
from schemas.storage import Storage
from schemas.times import HOUR_US, MINUTE_US, format_us
from transforms.bundle_writer import BundleReport, Totals
from transforms.canary_tables import verdicts_table
from transforms.live_archive import hourly_run
from transforms.small_parquet import parquet_bytes


class WriteAlerts(beam.PTransform[Alert, PCollection[str]]):
    """Alert → the id of each that is written: a pair of files of its own, so that doing it again changes nothing.

    The JSON comes last, as in a bounded run. Errors: StorageError fails the step, and the runner tries again.
    """

    def __init__(self, lake: Storage) -> None:
        super().__init__()
        self._lake = lake

    def expand(self, alerts: PCollection[Alert]) -> PCollection[str]:
        written: PCollection[str] = alerts | beam.Map(_write_alert, self._lake)
        return written


def _write_alert(alert: Alert, lake: Storage) -> str:
    write_pair(lake, alert.alert_id, [alert])
    return alert.alert_id


class WriteVerdicts(beam.PTransform[SlotVerdict, PCollection[str]]):
    """SlotVerdict, stamped at or after its deadline → paths of `canaries/verdicts-*.parquet`, one for each minute.

    A correction, which comes in a late pane, has a file of its own. File names follow from the window and the pane.
    """

    def __init__(self, lake: Storage, settings: Settings) -> None:
        super().__init__()
        self._lake = lake
        self._settings = settings

    def expand(self, verdicts: PCollection[SlotVerdict]) -> PCollection[str]:
        config = self._settings.config
        windows = _windows(MINUTE_US, config.allowed_lateness_us, AccumulationMode.DISCARDING)
        write = beam.ParDo(_WriteVerdicts(self._lake, config.canaries, self._settings.run_id))
        keyed = verdicts | "One" >> beam.Map(_one).with_output_types(Tuple[int, AnyType])
        paths: PCollection[str] = keyed | "Minutes" >> windows | beam.GroupByKey() | "Write" >> write
        return paths


def _one(verdict: SlotVerdict) -> tuple[int, SlotVerdict]:
    return 0, verdict


class _WriteVerdicts(beam.DoFn):
    def __init__(self, lake: Storage, canaries: Sequence[Canary], stream_id: str) -> None:
        self._lake = lake
        self._canaries = canaries
        self._stream_id = stream_id

    def process(
        self,
        grouped: tuple[int, Iterable[SlotVerdict]],
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[str]:
        verdicts = sorted(grouped[1], key=lambda each: (each.place, each.first))
        # A correction must be newer than what it corrects, which may lie in an earlier pane or in this one.
        judged_us = max([window.end.micros, *(each.delivered_us or 0 for each in verdicts)]) + 2 * pane.index
        parts = [[each for each in verdicts if (each.prior is None) == first] for first in (True, False)]
        tables = [
            verdicts_table(part, self._canaries, self._stream_id, judged_us + number)
            for number, part in enumerate(parts)
        ]
        table = pa.concat_tables(tables)
        path = f"canaries/verdicts-{self._stream_id}-{window.end.micros // MINUTE_US}-{pane.index}.parquet"
        self._lake.write(path, parquet_bytes(table))
        yield path


class _Counted(msgspec.Struct, frozen=True):
    """What one bundle, alert or verdict adds to a sheet, and when it was."""

    at_us: int
    objects: int = 0
    totals: Totals = Totals()
    alerts: int = 0
    slots: dict[str, int] = {}


class WriteSheets(beam.PTransform[Any, PCollection[RunReport]]):
    """`reports` (BundleReport), `alerts` (Alert) and, with canaries, `verdicts` (SlotVerdict) → RunReport.

    A stream is a run an hour: its sheet is written when the watermark has passed the hour, and again when something
    is added late. `died` are runs that this stream completes: their findings are raised long before its first sheet.

    Raises:
        UnbalancedRun: a sheet does not close; it is written first, with its faults, and the step fails.
    """

    def __init__(self, lake: Storage, settings: Settings, died: Sequence[str]) -> None:
        super().__init__()
        self._lake = lake
        self._settings = settings
        self._died = tuple(died)

    def expand(self, found: Mapping[str, PCollection[Any]]) -> PCollection[RunReport]:
        keyed = Tuple[str, AnyType]
        windows = _windows(HOUR_US, self._settings.config.allowed_lateness_us, AccumulationMode.ACCUMULATING)
        counted = [
            part
            | f"Count {name}" >> beam.ParDo(_Count(self._settings.run_id)).with_output_types(keyed)
            | f"Hours {name}" >> windows
            for name, part in found.items()
        ] | "Counted" >> beam.Flatten().with_output_types(keyed)
        write = beam.Map(_write_sheet, self._lake, self._settings, self._died)
        sheets: PCollection[RunReport] = counted | "ByRun" >> beam.GroupByKey() | "Write" >> write
        return sheets


class _Count(beam.DoFn):
    def __init__(self, stream_id: str) -> None:
        self._stream_id = stream_id

    def process(
        self, element: BundleReport | Alert | SlotVerdict, at: Any = beam.DoFn.TimestampParam
    ) -> Iterator[tuple[str, _Counted]]:
        at_us = at.micros
        run_id = hourly_run(self._stream_id, at_us)
        if isinstance(element, Alert):
            yield run_id, _Counted(at_us, alerts=1)
        elif isinstance(element, SlotVerdict):
            yield run_id, _Counted(at_us, slots={element.verdict.value: element.last - element.first + 1})
        elif element.rows:  # of a bundle that an earlier stream committed, the ledger has another run
            yield element.rows[0].run_id, _Counted(at_us, len(element.rows), element.totals)


def _write_sheet(
    run: tuple[str, Iterable[_Counted]], lake: Storage, settings: Settings, died: Sequence[str]
) -> RunReport:
    run_id, parts = run[0], list(run[1])
    report = _report(run_id, parts, settings)
    for other in died:
        lake.write(f"runs/{other}.json", orjson.dumps({"run_id": other, "completed_by": run_id}))
    lake.write(f"runs/{run_id}.json", orjson.dumps(msgspec.to_builtins(report)))
    if report.faults:
        raise UnbalancedRun(f"the sheet of {run_id} does not close: {'; '.join(report.faults)}")
    return report


def _report(run_id: str, parts: Sequence[_Counted], settings: Settings) -> RunReport:
    totals = sum((part.totals for part in parts), Totals())
    balance = totals.balance + BalanceSheet(objects_listed=sum(part.objects for part in parts))
    hour_us = min(part.at_us for part in parts) // HOUR_US * HOUR_US
    slots: Counter[str] = Counter()
    for part in parts:
        slots.update(part.slots)
    return RunReport(
        run_id=run_id,
        started_at=format_us(hour_us),
        finished_at=format_us(hour_us + HOUR_US),
        as_of=format_us(hour_us + HOUR_US),
        inputs=settings.inputs,
        balance=balance,
        faults=balance.faults(),
        alerts=sum(part.alerts for part in parts),
        slots=dict(slots),
        dead_letters=totals.letters,
        conflicts=totals.conflicts,
        foreign=0,
        foreign_names=(),
    )


def _windows(size_us: int, allowed_lateness_us: int, mode: int) -> beam.WindowInto:
    return beam.WindowInto(
        FixedWindows(Duration(micros=size_us)),
        trigger=AfterWatermark(late=AfterCount(1)),
        allowed_lateness=Duration(micros=allowed_lateness_us),
        accumulation_mode=mode,
    )
