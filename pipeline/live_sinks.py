"""What a stream writes besides its bundles: alerts as they are raised, verdicts by the minute, a sheet an hour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import FixedWindows
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple
from apache_beam.utils.timestamp import Duration

from pipeline.alerts import write_pair
from schemas.alerts import Alert
from schemas.canaries import Canary, SlotVerdict
from schemas.settings import Settings
from schemas.storage import Storage
from schemas.times import MINUTE_US
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


def _windows(size_us: int, allowed_lateness_us: int, mode: int) -> beam.WindowInto:
    return beam.WindowInto(
        FixedWindows(Duration(micros=size_us)),
        trigger=AfterWatermark(late=AfterCount(1)),
        allowed_lateness=Duration(micros=allowed_lateness_us),
        accumulation_mode=mode,
    )
