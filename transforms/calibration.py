"""What follows from test calls: period and grace for each canary, and which places were never proved to be heard."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from schemas.alerts import Alert
from schemas.calibration import Calibration, Measured, Proposal, conditions_of
from schemas.canaries import Canary, Place
from schemas.times import HOUR_US, MINUTE_US
from transforms.expected import places

_STEP_US = 5 * MINUTE_US  # CloudTrail delivers about every five minutes
_LEAST_GRACE_US = 15 * MINUTE_US  # what AWS once named as usual; delays have a tail that a few calls do not show
_LONGEST_PERIOD_US = HOUR_US
CAVEAT = " (not calibrated: no test call was found in the log)"


class _Tried(msgspec.Struct, frozen=True):
    """One call of a canary, in all the places in which it was made."""

    call: str
    configured: bool
    calls: int
    delays: tuple[int, ...]

    @property
    def merit(self) -> tuple[int, bool, int]:
        """Heard in the most places; of equals the one that need not be changed, else the one that comes soonest."""
        return len(self.delays), self.configured, -max(self.delays)


def proposals_of(calls: Iterable[Measured], candidates: Iterable[Measured] = ()) -> tuple[Proposal, ...]:
    """The best call of each canary of which one was heard, with a period and a grace for it.

    The period is the median delay, for a shorter one would not tell of a silence much sooner; the grace is twice the
    longest. Both are rounded up to five minutes; a period is at most an hour, a grace at least a quarter of one.
    """
    tried: defaultdict[str, list[_Tried]] = defaultdict(list)
    for configured, some in ((True, calls), (False, candidates)):
        by_call: defaultdict[tuple[str, str], list[Measured]] = defaultdict(list)
        for each in some:
            by_call[each.canary, each.call].append(each)
        for (name, call), made in by_call.items():
            delays = tuple(each.delay_us for each in made if each.heard and each.delay_us is not None)
            if delays:
                tried[name].append(_Tried(call, configured, len(made), delays))
    return tuple(_proposal(name, max(some, key=lambda each: each.merit)) for name, some in sorted(tried.items()))


def _proposal(name: str, best: _Tried) -> Proposal:
    longest_us = max(best.delays)
    period_us = min(_rounded_us(int(statistics.median(best.delays))), _LONGEST_PERIOD_US)
    grace_us = max(_rounded_us(2 * longest_us), _LEAST_GRACE_US)
    return Proposal(
        name,
        _minutes(period_us),
        _minutes(grace_us),
        call=best.call,
        configured=best.configured,
        calls=best.calls,
        delays=len(best.delays),
        longest_delay_us=longest_us,
    )


def _rounded_us(length_us: int) -> int:
    return max(-(-length_us // _STEP_US), 1) * _STEP_US


def _minutes(length_us: int) -> str:
    return f"{length_us // MINUTE_US}m"


def merged(earlier: Calibration, newer: Calibration) -> Calibration:
    """The newest call of each place and of each candidate there, and the newest proposal of each canary."""
    calls = {call.place: call for call in (*earlier.calls, *newer.calls)}
    candidates = {(call.place, call.call): call for call in (*earlier.candidates, *newer.candidates)}
    proposals = {proposal.canary: proposal for proposal in (*earlier.proposals, *newer.proposals)}
    return Calibration(
        tuple(calls[place] for place in sorted(calls)),
        tuple(proposals[name] for name in sorted(proposals)),
        tuple(candidates[tried] for tried in sorted(candidates)),
    )


def with_uncalibrated(canaries: Iterable[Canary], calibration: Calibration) -> tuple[Canary, ...]:
    """Canaries that know in which of their places no test call was heard, under the conditions that they have now."""
    heard = {(call.place, call.conditions) for call in calibration.calls if call.heard}

    def flagged(canary: Canary) -> Canary:
        conditions = conditions_of(canary)
        unheard = frozenset(place for place in places(canary) if (place, conditions) not in heard)
        return msgspec.structs.replace(canary, uncalibrated=unheard)

    return tuple(map(flagged, canaries))


def caveat(canary: Canary, place: Place) -> str:
    """What ends the title of each alert of a place in which no test call was found in the log; else nothing."""
    return CAVEAT if place in canary.uncalibrated else ""


def flagged(alert: Alert, canary: Canary) -> Alert:
    """An alert of a canary's place, with its caveat if there is one."""
    place = Place(canary.name, alert.account_id or "", alert.region or "")
    if place not in canary.uncalibrated:
        return alert
    return msgspec.structs.replace(alert, title=alert.title + caveat(canary, place))
