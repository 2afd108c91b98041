"""The usual administration: chores of each day, by Terraform's role, and one planned change of the log path."""

from __future__ import annotations

from schemas.times import DAY_US
from transforms.simulation.administration_calls import (
    BUCKET_CHORE,
    KEY_CHORE,
    NOTICE_CHORE,
    OPERATIONS_CHORE,
    PLANNED_CHANGE,
    ROLE_CHORE,
    TRAIL_CHORE,
)
from transforms.simulation.scenario import INTERVAL_US, Scenario
from transforms.simulation.schedule import INTERVAL_S
from transforms.simulation.template import Call

_PER_DAY = DAY_US // INTERVAL_US
_NINE = 9 * 12
_BUCKETS = 50
_CHORES = (
    BUCKET_CHORE * _BUCKETS,
    KEY_CHORE,
    ROLE_CHORE,
    NOTICE_CHORE,
    OPERATIONS_CHORE,
    TRAIL_CHORE,
)
LAGGING = range(_NINE + 24, _NINE + 36)
"""Of a day's marks those whose deliveries come late, by as much as a canary's grace of 15 minutes still allows."""
LAG_MARKS = 2


def administration_in(scenario: Scenario, account: str, region: str, interval: int) -> list[tuple[Call, int]]:
    """The administrators' calls recorded there, each with its second of the interval; none if none are asked for.

    A chore a day in each account from nine o'clock UTC, in the trail's home region: the same again after six days.
    """
    if not scenario.administration or region != scenario.home_region:
        return []
    day, at = divmod(interval, _PER_DAY)
    chore = _CHORES[(day + scenario.delivering.index(account)) % len(_CHORES)] if at == _NINE else ()
    planned = interval == scenario.intervals[len(scenario.intervals) // 2] and account == scenario.members[0]
    calls = (*chore, PLANNED_CHANGE) if planned else chore
    return [(call, place % INTERVAL_S) for place, call in enumerate(calls)]


def lags(scenario: Scenario, mark: int) -> bool:
    """Whether what is due at `mark` is delivered `LAG_MARKS` later."""
    return scenario.administration and mark % _PER_DAY in LAGGING


def is_throttled(scenario: Scenario, account: str, slot: int) -> bool:
    """Whether the canary's first call in a slot is throttled, so that it calls again: twice a day in each account."""
    return scenario.administration and (slot + 7 * scenario.delivering.index(account)) % (_PER_DAY // 2) == 0
