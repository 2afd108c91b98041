"""A job that is fed by nothing but the clock: numbers whose time has come, gathered in windows of three seconds.

Nothing about it depends on when it runs, so that what fires twice must be equal, and what is missing is known.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from transforms.intake import _Looks

WINDOW_S = 3
PER_SECOND = 2
KEYS = 3


class Schedule(NamedTuple):
    """Number k of `count` is due at `start_s + k / PER_SECOND`, and is given out `ahead_s` before."""

    start_s: int
    ahead_s: int
    count: int

    def at(self, number: int) -> float:
        """When a number is due, in seconds of Unix time."""
        return self.start_s + number / PER_SECOND

    def gathered(self) -> dict[tuple[str, int], tuple[int, ...]]:
        """What every window must have: (key, the window's end) ↦ its numbers."""
        windows: dict[tuple[str, int], list[int]] = defaultdict(list)
        for number in range(self.count):
            end = (int(self.at(number)) // WINDOW_S + 1) * WINDOW_S
            windows[str(number % KEYS), end].append(number)
        return {window: tuple(numbers) for window, numbers in windows.items()}


class Firing(NamedTuple):
    """One pane of one window as it was written: by key and end of window, in seconds of Unix time."""

    key: str
    end_s: int
    numbers: tuple[int, ...]
    late_s: float


_NUMBERS = _Looks()  # the very restriction that the stream has


class Count(beam.DoFn):
    """Impulse → numbers as they are due. The watermark is the clock, whether there is anything to give out or not."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        _element: bytes,
        tracker: Any = beam.DoFn.RestrictionParam(_NUMBERS),
        watermark: Any = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider()),
    ) -> Iterator[TimestampedValue]:
        now = time.time()
        number = tracker.current_restriction().start
        while number < self._schedule.count and self._schedule.at(number) <= now + self._schedule.ahead_s:
            if not tracker.try_claim(number):
                return
            yield TimestampedValue((str(number % KEYS), number), Timestamp(self._schedule.at(number)))
            number += 1
        watermark.set_watermark(Timestamp(now))
        tracker.defer_remainder(Duration(1))


class Write(beam.DoFn):
    """A line for each pane of each window."""

    def __init__(self, path: str) -> None:
        self._path = path

    def process(self, gathered: tuple[str, Sequence[int]], window: Any = beam.DoFn.WindowParam) -> None:
        key, numbers = gathered
        end = int(window.end)
        line = json.dumps([key, end, sorted(numbers), time.time() - end]) + "\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())  # one write: lines of two workers do not mix
        os.close(file)


def submit(name: str, schedule: Schedule, output: Path, options: Sequence[str]) -> None:
    """Hand the job to the job server; returns as soon as that has taken it."""
    pipeline = beam.Pipeline(options=PipelineOptions([*options, f"--job_name={name}", "--streaming"]))
    numbers = pipeline | beam.Impulse() | "Count" >> beam.ParDo(Count(schedule)).with_output_types(tuple[str, int])
    windows = numbers | beam.WindowInto(FixedWindows(WINDOW_S)) | beam.GroupByKey()
    _ = windows | "Write" >> beam.ParDo(Write(str(output)))
    pipeline.run()


def firings(output: Path) -> list[Firing]:
    """What was written so far, in order."""
    lines = output.read_text().splitlines() if output.exists() else []
    return [Firing(key, end, tuple(numbers), late) for key, end, numbers, late in map(json.loads, lines)]


def main(arguments: Sequence[str]) -> None:
    """As a process of its own: NAME START AHEAD COUNT OUTPUT and Beam's options."""
    name, start, ahead, count, output, *options = arguments
    submit(name, Schedule(int(start), int(ahead), int(count)), Path(output), options)
