"""When a queue that is empty says that there is nothing more."""

from __future__ import annotations

from pipeline.sqs_queue import HIDDEN_S
from schemas.times import SECOND_US

_NEVER = 1 << 62


class QueueSilence:
    """What one reader of a queue may conclude from its silence: nothing while messages may be hidden from it.

    At first only a listing tells what no notice was sent of. A reader that takes over from a dead one, which had
    `listed` all, waits until what that one had received and not written down is hidden no longer.
    """

    def __init__(self, now_us: int, *, listed: bool) -> None:
        self._trusted_from_us = now_us + HIDDEN_S * SECOND_US if listed else _NEVER
        self._lost_us = 0

    def lose(self, now_us: int) -> None:
        """Something was received by now, and lost: no silence counts until a listing that begins later has it.

        One that is under way may have gone past the object before it was delivered.
        """
        self._trusted_from_us, self._lost_us = _NEVER, now_us

    def list(self, began_us: int) -> None:
        """A listing that began then is complete."""
        if began_us >= self._lost_us:
            self._trusted_from_us = 0

    def counts(self, now_us: int) -> bool:
        """Whether a queue that is empty now has told all."""
        return now_us >= self._trusted_from_us
