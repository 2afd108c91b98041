"""The source of a stream: new objects and the clock's ticks, under one watermark that moves while nothing arrives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Duration, Timestamp

from schemas.intake import Entry, Offered, Taken, Tick
from schemas.times import MINUTE_US

TICKS = "ticks"
AHEAD_US = MINUTE_US
"""Slots are expected so long before their deadline: their elements must be there before the watermark is."""

_FOR_EVER = 1 << 60
_A_SECOND = Duration(1.5)
"""Flink's runner keeps whole seconds, of what is left when it gets to know."""


class Intake(Protocol):
    """Looks for new objects (`pipeline.intake.LakeIntake`). Picklable."""

    def look(self, number: int) -> Taken:
        """What is new; an entry that an earlier life of the stream has written under this number or a later one first.

        Errors: StorageError where an input cannot be listed; time stands still then.
        """


class TakeIn(beam.PTransform):
    """Impulse → Offered, stamped with where the clock stood before; tagged `TICKS`: Tick.

    The watermark is the time up to which everything that was visible has been taken in; until that is known there are
    no ticks. A look a second at most: portable runners wait in whole seconds. Where a look fails the step fails, and
    the runner tries it again.
    """

    def __init__(self, intake: Intake) -> None:
        super().__init__()
        self._intake = intake

    def expand(self, root: beam.pvalue.PBegin) -> beam.pvalue.DoOutputsTuple:
        look = beam.ParDo(_Look(self._intake)).with_outputs(TICKS, main="bundles")
        taken = root | beam.Impulse() | look
        taken[TICKS].is_bounded = False  # Beam marks the main output only
        return taken


class _ForEver(OffsetRestrictionTracker):
    """Offsets are numbers of looks; only the step itself says where to go on."""

    def is_bounded(self) -> bool:
        return False

    def try_split(self, fraction_of_remainder: float) -> Any:
        return super().try_split(fraction_of_remainder) if fraction_of_remainder == 0 else None


class _Looks(RestrictionProvider):
    def initial_restriction(self, _element: bytes) -> OffsetRange:
        return OffsetRange(0, _FOR_EVER)

    def create_tracker(self, restriction: OffsetRange) -> _ForEver:
        return _ForEver(restriction)

    def restriction_size(self, _element: bytes, _restriction: OffsetRange) -> int:
        return 1

    def truncate(self, _element: bytes, _restriction: OffsetRange) -> None:
        """Drained: no more looks."""


class _Look(beam.DoFn):
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    @beam.DoFn.unbounded_per_element()  # type: ignore[untyped-decorator]
    def process(
        self,
        _: bytes,
        looks: Any = beam.DoFn.RestrictionParam(_Looks()),
        watermark: Any = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider()),
    ) -> Iterator[TimestampedValue[Offered] | beam.pvalue.TaggedOutput]:
        taken = self._intake.look(looks.current_restriction().start)
        if not looks.try_claim(taken.number):
            return
        before = watermark.current_watermark()
        before_us = None if before is None or before == MIN_TIMESTAMP else before.micros
        complete_us = max(taken.complete_us, before_us or 0)
        if complete_us:
            tick = tick_of(taken, before_us)
            yield beam.pvalue.TaggedOutput(TICKS, TimestampedValue(tick, Timestamp(micros=complete_us)))
        if taken.entry is not None:
            yield from offered_of(taken.entry, before_us, again=taken.again)
        if complete_us:
            watermark.set_watermark(Timestamp(micros=complete_us))
        looks.defer_remainder(_A_SECOND)


def offered_of(entry: Entry, before_us: int | None, *, again: bool) -> Iterator[TimestampedValue[Offered]]:
    """The bundles of an entry, stamped with where the clock stood: none of the deadlines since then passes before them.

    A runner that does not tell its watermark in order, as Dataflow does not, holds it for what is under way.
    """
    at = MIN_TIMESTAMP if before_us is None else Timestamp(micros=before_us)
    return (TimestampedValue(Offered(bundle, again, entry.taken_us), at) for bundle in entry.bundles())


def tick_of(taken: Taken, before_us: int | None) -> Tick:
    """The clock's step from one look to the next; `before_us` is where it stood, None before the first step."""
    from_us = None if before_us is None else before_us + AHEAD_US
    return Tick(from_us, max(taken.complete_us, before_us or 0) + AHEAD_US, taken.first_delivery_us)
