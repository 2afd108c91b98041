"""The digests of a place: an account and region have an hourly chain, and one for what the hourly one left out."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.times import HOUR_US, MINUTE_US
from transforms.simulation.digests import DigestChain
from transforms.simulation.file_attacks import FILE_ATTACKS
from transforms.simulation.objects import SimulatedObject
from transforms.simulation.scenario import INTERVAL_US, Scenario
from transforms.simulation.tampering import ChainEffect
from transforms.simulation.timeline import Timeline

_MARKS_PER_HOUR = HOUR_US // INTERVAL_US
_LEFT_OUT_MARKS = 30 * MINUTE_US // INTERVAL_US
_BACKFILLED_AFTER_US = 90 * MINUTE_US


class PlaceDigests:
    """What the organisation trail says about an account's log objects in a region."""

    def __init__(self, scenario: Scenario, timeline: Timeline, account: str, region: str) -> None:
        self._timeline = timeline
        self._account = account
        self._hourly = DigestChain(scenario, account, region)
        self._backfill = DigestChain(scenario, account, region, backfill=True)
        attacks = [FILE_ATTACKS[name] for name in scenario.attacks if name in FILE_ATTACKS]
        self._effects = {attack.chain for attack in attacks} if account == scenario.victim else set()

    def add(self, mark: int, key: str, body: bytes) -> None:
        """List a log object delivered at `mark`: its key and its JSON."""
        attacked = self._timeline.interval + 1
        left_out = ChainEffect.LEFT_OUT in self._effects and attacked < mark <= attacked + _LEFT_OUT_MARKS
        (self._backfill if left_out else self._hourly).add(key, body)

    def close(self, mark: int) -> Iterator[SimulatedObject]:
        """The digests that end at `mark`: one each hour, also of nothing, and one of the rest when a trail is stopped.

        One of what was left out comes later than the hour's, which `delivered_us` tells.
        """
        last, end_us = self._timeline.last_digest(self._account), mark * INTERVAL_US
        on_the_hour = mark % _MARKS_PER_HOUR == 0
        if on_the_hour and self._is_unvalidated(mark):
            self._hourly.restart(end_us)
        elif mark == last or (on_the_hour and (last is None or mark < last)):
            yield self._hourly.close(end_us, end_us)
        if on_the_hour and self._backfill.holds_logs:
            yield self._backfill.close(end_us, end_us + _BACKFILLED_AFTER_US)

    def _is_unvalidated(self, mark: int) -> bool:
        since_attack = mark - self._timeline.interval - 1
        return ChainEffect.UNVALIDATED in self._effects and 0 <= since_attack < _MARKS_PER_HOUR
