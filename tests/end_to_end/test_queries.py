"""Queries that an analyst asks of a lake as the job writes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import ACCOUNT, ask, event, fill, log_key, packed, run

USERS = 40


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of many calls by a few users."""
    folder = tmp_path_factory.mktemp("queries")
    calls = [
        event(
            f"e-{number:04}", userIdentity={"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/u{number % USERS}"}
        )
        for number in range(4000)
    ]
    run(fill(folder / "bucket", {log_key("Queries"): packed(*calls)}), folder / "lake")
    return folder / "lake"


def test_a_condition_on_a_member_of_a_struct_with_a_limit(lake: Path) -> None:
    """DuckDB reads the condition's column first and the others later: its reader must be able to (2.0 is picky)."""
    condition = "user_identity.arn LIKE '%/u7' ORDER BY event_time, event_id LIMIT 3"
    found = ask(lake, f"SELECT event_id, event_name, error_code FROM events WHERE {condition}")  # noqa: S608
    assert [event_id for event_id, *_ in found] == ["e-0007", "e-0047", "e-0087"]
