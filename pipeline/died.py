"""Sheets of runs that died: whoever goes on writes them, from what the ledger has of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec
import orjson

from schemas.balance import BalanceSheet
from schemas.objects import ObjectRow
from schemas.storage import Storage
from transforms.archive_job import balance_of


def balances_of_died(left: Iterable[ObjectRow]) -> dict[str, BalanceSheet]:
    """The balance of each run that committed rows and never wrote a sheet (`LakeState.left`): of what it committed."""
    rows_of: dict[str, list[ObjectRow]] = defaultdict(list)
    for row in left:
        rows_of[row.run_id].append(row)
    return {
        run_id: balance_of(rows, sum(row.archived for row in rows)) + BalanceSheet(objects_listed=len(rows))
        for run_id, rows in rows_of.items()
    }


def write_died(lake: Storage, balances: Mapping[str, BalanceSheet], completed_by: str) -> None:
    """Write a sheet for each. Errors: StorageError."""
    for run_id, balance in balances.items():
        sheet = {"run_id": run_id, "completed_by": completed_by, "balance": msgspec.to_builtins(balance)}
        lake.write(f"runs/{run_id}.json", orjson.dumps(sheet))
