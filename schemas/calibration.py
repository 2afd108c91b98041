"""Calibration: what became in the log of a test call of each canary, account and region, and what follows from it."""

from __future__ import annotations

import msgspec

from schemas.canaries import Canary, Place
from schemas.receipts import Outcome

CALIBRATION_PATH = "calibration.json"
"""Where a lake keeps it."""


class Measured(msgspec.Struct, frozen=True):
    """One test call. `heard` says that the job would count it as this canary's; `logged` that it is in the log at all.

    `conditions` stands for what the canary asked of its calls (`conditions_of`). `log_region` is the region in the
    name of the log object, or the one whose event history was asked. `carrier_present` is None for a canary without a
    code. `unmet` names what the record does not meet: fields of the canary's conditions, `region`, or `error_code` for
    a call that was not refused. `fields` names the columns of the archive that the record fills, `log_error_code` what
    it has for an error. `delay_us` lies between the event and the moment at which it could be read.
    """

    canary: str
    account_id: str
    region: str
    conditions: str
    call: str
    at: str
    outcome: Outcome
    error_code: str | None = None
    request_id: str | None = None
    logged: bool = False
    heard: bool = False
    log_region: str | None = None
    object_key: str | None = None
    event_id: str | None = None
    carrier: str | None = None
    carrier_present: bool | None = None
    unmet: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    log_error_code: str | None = None
    delay_us: int | None = None

    @property
    def place(self) -> Place:
        """Where the call was made."""
        return Place(self.canary, self.account_id, self.region)


class Proposal(msgspec.Struct, frozen=True):
    """The best call for a canary, and its period and grace (as TOML has them), from the longest of so many delays.

    `configured` says that it is the call which the canary makes; it was made so many times (`calls`).
    """

    canary: str
    period: str
    grace: str
    call: str
    configured: bool
    calls: int
    delays: int
    longest_delay_us: int


class Calibration(msgspec.Struct, frozen=True):
    """`calibration.json`: the newest test call of each place, the newest proposals, and the newest candidate calls.

    Only `calls`, which are the canaries' own, say whether a canary is calibrated.
    """

    calls: tuple[Measured, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    candidates: tuple[Measured, ...] = ()


def conditions_of(canary: Canary) -> str:
    """Changes with whatever decides which records are the canary's calls, and not with where or when it sings."""
    return msgspec.structs.replace(canary, accounts=(), regions=()).fingerprint
