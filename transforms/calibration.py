"""What follows from test calls: period and grace for each canary, and which places were never proved to be heard."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from schemas.alerts import Alert
from schemas.calibration import Calibration, Measured, Proposal, conditions_of
from schemas.canaries import Canary, Place
from schemas.times import HOUR_US, MINUTE_US
from transforms.expected import places

_STEP_US = 5 * MINUTE_US  # CloudTrail delivers about every five minutes
_LEAST_GRACE_US = 15 * MINUTE_US  # what AWS once named as usual; delays have a tail that a few calls do not show
_LONGEST_PERIOD_US = HOUR_US
_CAVEAT = " (not calibrated: no test call was found in the log)"


def proposals_of(calls: Iterable[Measured]) -> tuple[Proposal, ...]:
    """Period and grace of each canary of which a call was heard.

    The period is the median delay, for a shorter one would not tell of a silence much sooner; the grace is twice the
    longest. Both are rounded up to five minutes; a period is at most an hour, a grace at least a quarter of one.
    """
    delays: defaultdict[str, list[int]] = defaultdict(list)
    for call in calls:
        if call.heard and call.delay_us is not None:
            delays[call.canary].append(call.delay_us)
    return tuple(_proposal(name, some) for name, some in sorted(delays.items()))


def _proposal(name: str, delays: Sequence[int]) -> Proposal:
    period_us = min(_rounded_us(int(statistics.median(delays))), _LONGEST_PERIOD_US)
    grace_us = max(_rounded_us(2 * max(delays)), _LEAST_GRACE_US)
    return Proposal(name, _minutes(period_us), _minutes(grace_us), len(delays), max(delays))


def _rounded_us(length_us: int) -> int:
    return max(-(-length_us // _STEP_US), 1) * _STEP_US


def _minutes(length_us: int) -> str:
    return f"{length_us // MINUTE_US}m"


def merged(earlier: Calibration, newer: Calibration) -> Calibration:
    """The newest call of each place, and the newest proposal of each canary."""
    calls = {call.place: call for call in (*earlier.calls, *newer.calls)}
    proposals = {proposal.canary: proposal for proposal in (*earlier.proposals, *newer.proposals)}
    return Calibration(
        tuple(calls[place] for place in sorted(calls)), tuple(proposals[name] for name in sorted(proposals))
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
    return _CAVEAT if place in canary.uncalibrated else ""


def flagged(alert: Alert, canary: Canary) -> Alert:
    """An alert of a canary's place, with its caveat if there is one."""
    place = Place(canary.name, alert.account_id or "", alert.region or "")
    if place not in canary.uncalibrated:
        return alert
    return msgspec.structs.replace(alert, title=alert.title + caveat(canary, place))
