"""A set of times as spans: what an incident still waits for, however long and ragged a silence was."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

Span = tuple[int, int]
"""Start and end, microseconds; the end lies outside."""


class TimeSpans:
    """Ascending disjoint spans; spans that touch are one. Adding and removing look only at what is concerned."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._spans: list[Span] = []
        for start_us, end_us in sorted(spans):
            self.add(start_us, end_us)

    def __bool__(self) -> bool:
        return bool(self._spans)

    def spans(self) -> tuple[Span, ...]:
        """All of them."""
        return tuple(self._spans)

    def add(self, start_us: int, end_us: int) -> None:
        """Add a span, which may overlap or touch others."""
        low = bisect_left(self._spans, start_us, key=_end)
        high = bisect_right(self._spans, end_us, key=_start)
        for start, end in self._spans[low:high]:
            start_us, end_us = min(start, start_us), max(end, end_us)
        self._spans[low:high] = [(start_us, end_us)]

    def remove(self, start_us: int, end_us: int) -> bool:
        """Remove a span; False where none of it was there."""
        low = bisect_right(self._spans, start_us, key=_end)
        high = bisect_left(self._spans, end_us, key=_start)
        pieces = [piece for start, end in self._spans[low:high] for piece in ((start, start_us), (end_us, end))]
        self._spans[low:high] = [(start, end) for start, end in pieces if start < end]
        return low < high


def _start(span: Span) -> int:
    return span[0]


def _end(span: Span) -> int:
    return span[1]
