"""What a stream writes besides its bundles: alerts as they are raised, verdicts by the minute, a sheet an hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import msgspec
import orjson
from apache_beam.pvalue import PCollection
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import FixedWindows
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple
from apache_beam.utils.timestamp import Duration

from pipeline.alerts import FOLDER
from pipeline.commit import RunReport
from schemas.alerts import Alert
from schemas.balance import BalanceSheet
from schemas.canaries import Canary, SlotVerdict
from schemas.errors import UnbalancedRun
from schemas.settings import Settings
from schemas.storage import Storage
from schemas.times import HOUR_US, MINUTE_US, format_us
from transforms.alert_encoding import alerts_avro, alerts_jsonl
from transforms.bundle_writer import BundleReport, Totals
from transforms.canary_tables import verdicts_table
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
    path = f"{FOLDER}{alert.alert_id}"
    lake.write(f"{path}.avro", alerts_avro([alert]))
    lake.write(f"{path}.jsonl", alerts_jsonl([alert]))
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
        # A correction must be newer than what it corrects, which was judged at the end of the same window.
        judged_us = max([window.end.micros, *(each.delivered_us or 0 for each in verdicts)]) + pane.index
        table = verdicts_table(verdicts, self._canaries, self._stream_id, judged_us)
        path = f"canaries/verdicts-{self._stream_id}-{window.end.micros // MINUTE_US}-{pane.index}.parquet"
        self._lake.write(path, parquet_bytes(table))
        yield path


class WriteSheets(beam.PTransform[BundleReport, PCollection[RunReport]]):
    """BundleReport, stamped with when it was taken in → the sheet of each hour's run, when the hour is over.

    `died` are runs that this stream completes: their findings are raised long before its first sheet.

    Raises:
        UnbalancedRun: a sheet does not close; it is written first, with its faults, and the step fails.
    """

    def __init__(self, lake: Storage, settings: Settings, died: Sequence[str]) -> None:
        super().__init__()
        self._lake = lake
        self._settings = settings
        self._died = tuple(died)

    def expand(self, reports: PCollection[BundleReport]) -> PCollection[RunReport]:
        windows = _windows(HOUR_US, HOUR_US, AccumulationMode.ACCUMULATING)
        keyed = reports | "ByRun" >> beam.FlatMap(_by_run).with_output_types(Tuple[str, AnyType])
        write = beam.Map(_write_sheet, self._lake, self._settings, self._died)
        sheets: PCollection[RunReport] = keyed | "Hours" >> windows | beam.GroupByKey() | "Write" >> write
        return sheets


def _by_run(report: BundleReport) -> Iterator[tuple[str, tuple[int, Totals, int]]]:
    for run_id in {row.run_id for row in report.rows}:
        yield run_id, (len(report.rows), report.totals, max(row.handled_us for row in report.rows))


def _write_sheet(
    run: tuple[str, Iterable[tuple[int, Totals, int]]], lake: Storage, settings: Settings, died: Sequence[str]
) -> RunReport:
    run_id, parts = run[0], list(run[1])
    totals = sum((each for _, each, _ in parts), Totals())
    balance = totals.balance + BalanceSheet(objects_listed=sum(objects for objects, _, _ in parts))
    hour_us = max(handled_us for _, _, handled_us in parts) // HOUR_US * HOUR_US
    report = RunReport(
        run_id=run_id,
        started_at=format_us(hour_us),
        finished_at=format_us(hour_us + HOUR_US),
        as_of=None,
        inputs=settings.inputs,
        balance=balance,
        faults=balance.faults(),
        alerts=0,
        slots={},
        dead_letters=dict(Counter(totals.letters)),
        conflicts=totals.conflicts,
        foreign=0,
        foreign_names=(),
    )
    for other in died:
        lake.write(f"runs/{other}.json", orjson.dumps({"run_id": other, "completed_by": run_id}))
    lake.write(f"runs/{run_id}.json", orjson.dumps(msgspec.to_builtins(report)))
    if report.faults:
        raise UnbalancedRun(f"the sheet of {run_id} does not close: {'; '.join(report.faults)}")
    return report


def _windows(size_us: int, allowed_lateness_us: int, mode: int) -> beam.WindowInto:
    return beam.WindowInto(
        FixedWindows(Duration(micros=size_us)),
        trigger=AfterWatermark(late=AfterCount(1)),
        allowed_lateness=Duration(micros=allowed_lateness_us),
        accumulation_mode=mode,
    )
