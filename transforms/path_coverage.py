"""Which trails still record what: an alert where the last one that is known to do so no longer does.

Only what is known counts: a declared trail records the management events of its account in its home region, or of all
accounts or regions where that is declared; a created one what its call and later ones say, once it is started. What
nobody was known to record cannot be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from schemas.log_path import MANAGEMENT, Aspect, PathFact
from schemas.trails import LogPath
from transforms.path_names import declared_by

EVERY = "*"
"""For a scope: every account of the organization, or every region."""

COVERAGE_ASPECTS = (
    Aspect.LOGGING,
    Aspect.BUCKET,
    Aspect.KEY,
    Aspect.MANAGEMENT_SELECTORS,
    Aspect.DATA_SELECTORS,
    Aspect.MULTI_REGION,
    Aspect.ORGANIZATION,
)

DELIVERY_ASPECTS = (Aspect.KEY_USE, Aspect.KEY_MATERIAL, Aspect.KEY_POLICY, Aspect.BUCKET_POLICY)
"""Of a trail's key and its bucket: while one of them is harmed, CloudTrail can deliver nothing."""


class Scope(NamedTuple):
    """Accounts and regions: one, or `EVERY`."""

    account_id: str
    region: str

    def holds(self, other: Scope) -> bool:
        """Whether all of another scope lies in this one."""
        return self.account_id in (EVERY, other.account_id) and self.region in (EVERY, other.region)


class Trail(msgspec.Struct, frozen=True):
    """What a trail is known to record: by default nothing, because it is not known to be on.

    `key` and `bucket` are where it is known to deliver; `delivers` says that these let it.
    """

    account_id: str
    home_region: str
    on: bool = False
    ours: bool = True
    management: tuple[str, ...] = MANAGEMENT
    data: bool = False
    multi_region: bool = False
    organization: bool = False
    key: str | None = None
    bucket: str | None = None
    delivers: bool = True

    @property
    def scope(self) -> Scope:
        """Of what it records."""
        return Scope(EVERY if self.organization else self.account_id, EVERY if self.multi_region else self.home_region)

    @property
    def classes(self) -> frozenset[str]:
        """What it records in its scope, into a bucket that is ours."""
        if not (self.on and self.ours and self.delivers):
            return frozenset()
        return frozenset(self.management) | ({"data"} if self.data else set())

    def after(self, fact: PathFact, *, sound: bool) -> Trail:
        """The trail as a fact leaves it."""
        changed: dict[Aspect, dict[str, object]] = {
            Aspect.LOGGING: {"on": sound},
            Aspect.BUCKET: {"ours": sound, "bucket": fact.value or self.bucket},
            Aspect.KEY: {"key": fact.value or None},
            Aspect.MANAGEMENT_SELECTORS: {"management": fact.recorded},
            Aspect.DATA_SELECTORS: {"data": fact.sound},
            Aspect.MULTI_REGION: {"multi_region": sound},
            Aspect.ORGANIZATION: {"organization": sound},
        }
        return msgspec.structs.replace(self, **changed.get(fact.aspect, {}))


def declared_trails(log_path: LogPath) -> dict[str, Trail]:
    """Declared trails, by ARN: on, until something says otherwise."""
    found = {}
    for each in log_path.trails:
        arn, bucket, *rest = declared_by(each)
        key = rest[0] if each.kms_key else None
        found[arn] = Trail(
            each.account,
            each.home_region,
            on=True,
            multi_region=each.multi_region,
            organization=each.organization,
            key=key,
            bucket=bucket,
        )
    return found


def trail_of(arn: str) -> Trail | None:
    """A trail of which nothing is known but its ARN; None where that is none."""
    parts = arn.split(":", 5)
    return Trail(parts[4], parts[3]) if len(parts) == 6 and parts[5].startswith("trail/") else None


class Cell(NamedTuple):
    """One class of events in one scope."""

    scope: Scope
    recorded: str


class Coverage:
    """What all trails together are known to record."""

    def __init__(self, trails: Mapping[str, Trail]) -> None:
        self._cells = {arn: frozenset(_cells(trail)) for arn, trail in trails.items()}

    def update(self, arn: str, trail: Trail) -> frozenset[Cell]:
        """Take in a trail as it is now; what of it nobody records any more."""
        before, self._cells[arn] = self._cells.get(arn, frozenset()), frozenset(_cells(trail))
        return frozenset(cell for cell in before if not self.covers(cell))

    def covers(self, cell: Cell) -> bool:
        """Whether some trail records all of a cell."""
        return any(
            mine.recorded == cell.recorded and mine.scope.holds(cell.scope)
            for cells in self._cells.values()
            for mine in cells
        )

    def parts_of(self, cell: Cell) -> Iterator[Scope]:
        """Smaller scopes within a cell that some trail still records."""
        cells: Iterable[Cell] = {mine for each in self._cells.values() for mine in each}
        for mine in sorted(cells):
            if mine.recorded == cell.recorded and cell.scope.holds(mine.scope):
                yield mine.scope


def _cells(trail: Trail) -> Iterator[Cell]:
    return (Cell(trail.scope, each) for each in trail.classes)
