"""Gaps in what trails record: opened where the last one that is known to record something stops, closed again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from schemas.alerts import Alert
from schemas.log_path import PathFact
from schemas.trails import LogPath
from transforms.path_alerts import Gap, coverage_lost, coverage_regained
from transforms.path_coverage import Cell, Coverage, Scope, Trail, declared_trails, trail_of


class Gaps:
    """What is recorded, and what no longer is."""

    def __init__(self, log_path: LogPath) -> None:
        self._declared = declared_trails(log_path)
        self._trails = dict(self._declared)
        self._coverage = Coverage(self._declared)
        self._open: dict[Gap, set[Cell]] = {}

    def trail(self, arn: str, last: Iterable[tuple[PathFact, bool]]) -> Trail | None:
        """A trail as the last fact of each of its aspects, and whether that is sound, leaves it; None if it is none."""
        trail = self._declared.get(arn) or trail_of(arn)
        for fact, sound in last:
            trail = trail and trail.after(fact, sound=sound)
        return trail

    def trails(self) -> Iterable[tuple[str, Trail]]:
        """The known trails, by ARN, each as it was when it was last taken in."""
        return self._trails.items()

    def change(self, trails: Mapping[str, tuple[Trail, PathFact]], at_us: int) -> Iterator[Alert]:
        """Take in trails that changed, each with the fact to name for it, at the time when that was delivered."""
        self._trails.update((arn, trail) for arn, (trail, _) in trails.items())
        lost = {
            cell: fact for arn, (trail, fact) in sorted(trails.items()) for cell in self._coverage.update(arn, trail)
        }
        gone = sorted(cell for cell in lost if not self._coverage.covers(cell))
        for scope, some in groupby(gone, key=lambda cell: cell.scope):
            if not any(each != scope and each.holds(scope) for each, _ in gone):  # a wider gap says it all
                yield from self._lose(scope, list(some), lost, at_us)
        yield from self._regain(max((fact for _, fact in trails.values()), key=lambda each: each.identity), at_us)

    def _lose(self, scope: Scope, cells: Sequence[Cell], lost: Mapping[Cell, PathFact], at_us: int) -> Iterator[Alert]:
        left = dict.fromkeys(part for cell in cells for part in self._coverage.parts_of(cell))
        but_for = tuple(f"{part.account_id} {part.region}" for part in left)
        gap = Gap(
            *scope, tuple(cell.recorded for cell in cells), max((lost[cell] for cell in cells), key=_identity), but_for
        )
        self._open[gap] = set(cells)
        yield coverage_lost(gap, at_us)

    def _regain(self, fact: PathFact, at_us: int) -> Iterator[Alert]:
        for gap, cells in list(self._open.items()):
            if all(map(self._coverage.covers, cells)):
                del self._open[gap]
                yield coverage_regained(gap, fact, at_us)


def _identity(fact: PathFact) -> tuple[int, str, str, str]:
    return fact.identity
