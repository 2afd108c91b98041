"""`trailcanary calibrate`: makes each canary's call once, and candidates for it, and looks for them in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from pipeline.candidates import Trial
from pipeline.emit import Calls, Emitter, Pause
from schemas.calibration import Calibration, Measured, conditions_of
from schemas.canaries import Canary, Place
from schemas.keys import parse_key
from schemas.receipts import Outcome, Receipt
from schemas.times import MINUTE_US, SECOND_US, format_us
from transforms.calibration import proposals_of
from transforms.canary_search import Found, Wanted
from transforms.canary_tokens import token_of

_FIRST_REST_US = 15 * SECOND_US
_LONGEST_REST_US = 2 * MINUTE_US


class Finder(Protocol):
    """Where calls are looked for (`DeliveredLogs`, `EventHistory`)."""

    def check(self) -> None:
        """Raises StorageError where nothing can be found."""

    def look(self, wanted: Sequence[Wanted]) -> Iterator[Found]:
        """Calls that are there by now."""


class NotedCalls:
    """Calls, and their receipts for whoever looks for them afterwards."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.receipts: list[Receipt] = []

    def send(self, canary: Canary, place: Place, slot: int) -> Receipt:
        """Make the call of a slot, and say what became of it."""
        receipt = self._calls.send(canary, place, slot)
        self.receipts.append(receipt)
        return receipt


class Calibrator:
    """Makes one call of each trial and place through an `Emitter` that has these `calls`, and waits for their records.

    The emitter's canaries are those of the trials.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        emitter: Emitter,
        calls: NotedCalls,
        finder: Finder,
        *,
        clock: Callable[[], int],
        tell: Callable[[str], None],
    ) -> None:
        self._trials = {trial.canary.name: trial for trial in trials}
        self._emitter = emitter
        self._calls = calls
        self._finder = finder
        self._clock = clock
        self._tell = tell

    def calibrate(self, pause: Pause, wait_us: int) -> Calibration:
        """Call, and look until all is found, the end is asked for, or `wait_us` have passed.

        Raises:
            StorageError: the input cannot be listed, or receipts cannot be read or written.
            SecretUnavailable: the secret of a canary's code cannot be read.
        """
        self._finder.check()
        self._emitter.once(pause)
        wanted = [each for receipt in self._calls.receipts if (each := self._wanted(receipt)) is not None]
        found = self._find(wanted, pause, self._clock() + wait_us)
        measured: dict[bool, list[Measured]] = {True: [], False: []}
        for receipt in self._calls.receipts:
            trial = self._trials[receipt.place.canary]
            measured[trial.own].append(_measured(trial, receipt, found.get(receipt.place)))
        own, others = (tuple(sorted(some, key=lambda call: (call.place, call.call))) for some in measured.values())
        return Calibration(own, proposals_of(own, others), others)

    def _find(self, wanted: Sequence[Wanted], pause: Pause, until_us: int) -> dict[Place, Found]:
        found: dict[Place, Found] = {}
        rest_us = _FIRST_REST_US
        while missing := [each for each in wanted if each.receipt.place not in found]:
            for each in self._finder.look(missing):
                found.setdefault(each.wanted.receipt.place, each)
            self._tell(f"{len(found)} of {len(wanted)} calls are in the log")
            left_us = until_us - self._clock()
            if len(found) == len(wanted) or left_us <= 0 or pause.stopping:
                break
            pause.wait(min(rest_us, left_us))
            rest_us = min(rest_us * 3 // 2, _LONGEST_REST_US)
        return found

    def _wanted(self, receipt: Receipt) -> Wanted | None:
        """None for a call that AWS did not answer: it is in no log."""
        if receipt.outcome is Outcome.FAILED and receipt.request_id is None:
            return None
        canary = self._trials[receipt.place.canary].canary
        token = None if canary.code is None else token_of(canary, receipt.place, receipt.slot, "")
        return Wanted(canary, receipt, token)


def _measured(trial: Trial, receipt: Receipt, found: Found | None) -> Measured:
    canary, place = trial.canary, receipt.place
    measured = Measured(
        *(trial.of, place.account_id, place.region, conditions_of(canary)),
        call=receipt.call,
        at=format_us(receipt.at_us),
        outcome=receipt.outcome,
        error_code=receipt.error_code,
        request_id=receipt.request_id,
        carrier=canary.code.carrier if canary.code else None,
    )
    if found is None:
        return measured
    return msgspec.structs.replace(
        measured,
        logged=True,
        heard=found.heard,
        log_region=found.origin.region or parse_key(found.origin.object_key).region,
        object_key=found.origin.object_key,
        event_id=found.event_id,
        carrier_present=found.carrier_present,
        unmet=found.unmet,
        fields=found.fields,
        log_error_code=found.log_error_code,
        delay_us=found.delay_us,
    )
