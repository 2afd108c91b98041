"""The fold over the log path's facts: the alerts that they raise as they become known.

Facts are told in the order in which they were delivered, and each is put where its event belongs. So alerts depend on
times in the data alone: whoever sees facts in another order, more than once, or in many small runs, says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec

from schemas.alerts import Alert
from schemas.log_path import PathFact, distinct_facts
from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.path_state import PathState

_NEVER_US = -(2**63)


class Told(msgspec.Struct, frozen=True):
    """All alerts that facts call for by a time, each once, and when the next is due if nothing more becomes known."""

    alerts: tuple[Alert, ...]
    due_us: int | None


def tell(
    facts: Iterable[PathFact], log_path: LogPath, as_of_us: int | None, findings: Iterable[Tampering] = ()
) -> Told:
    """Tell what these facts call for; the same for any order and repetition of them.

    Args:
        facts: All that is known; of copies of an event the first to be delivered counts.
        log_path: What is declared to be on the path, and when to warn of deadlines.
        as_of_us: How far deadlines are judged; facts are told whenever they were delivered. None: the newest delivery.
        findings: What rules found on what was not known to be on the path; told again where it proves to be.
    """
    distinct = distinct_facts(tuple(facts))
    if as_of_us is None:
        as_of_us = max((each.delivered_us for each in distinct), default=0)
    fold = Fold(log_path)
    fold.note(findings)
    alerts = {alert.alert_id: alert for alert in reversed(list(fold.tell(distinct, as_of_us)))}
    return Told(tuple(reversed(alerts.values())), fold.due_us)


class Fold:
    """The state after facts, which takes in more of them as long as they come in order of delivery."""

    def __init__(self, log_path: LogPath) -> None:
        self._state = PathState(log_path)
        self._last_us = _NEVER_US

    @property
    def due_us(self) -> int | None:
        """The next time at which something is due of itself."""
        return self._state.due_us

    def follows(self, facts: Iterable[PathFact]) -> bool:
        """Whether these facts come after all that was told."""
        return all(each.delivered_us > self._last_us for each in facts)

    def note(self, findings: Iterable[Tampering]) -> None:
        """Take in findings, before what makes them worth telling again."""
        self._state.escalations.add(findings)

    def tell(self, facts: Iterable[PathFact], as_of_us: int) -> Iterator[Alert]:
        """Take in facts, each once, that follow, and all that is due of itself up to a time."""
        ordered = sorted(facts, key=lambda each: (each.delivered_us, each.identity))
        for delivered_us, some in groupby(ordered, key=lambda each: each.delivered_us):
            yield from self._ring(min(delivered_us, as_of_us + 1))
            yield from self._state.learn(list(some), delivered_us)
            self._last_us = delivered_us
        yield from self._ring(as_of_us + 1)

    def _ring(self, before_us: int) -> Iterator[Alert]:
        for alert in self._state.ring(before_us):
            self._last_us = max(self._last_us, alert.detected_us)
            yield alert
