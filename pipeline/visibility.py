"""Messages kept hidden from other receivers for as long as their objects take."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pipeline.sqs_queue import HIDDEN_S, Message, SqsQueue
from schemas.errors import QueueError

_LOG = logging.getLogger(__name__)


class KeptHidden:
    """While it is entered, a thread extends the visibility timeout of `messages`: at once, then each half of it.

    SQS ends this 12 hours after a message was received. Where the queue fails, the next time tries again; at worst a
    message comes to another receiver too, who finds its objects known. So that is a warning, and no error.
    """

    def __init__(self, queue: SqsQueue, messages: Sequence[Message], hidden_s: int = HIDDEN_S) -> None:
        self._queue, self._messages, self._hidden_s = queue, messages, hidden_s
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="visibility", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop extending; returns when the thread has ended. What was not acknowledged comes again in its time."""
        self._released.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._released.is_set():
            try:
                self._queue.extend(self._messages, self._hidden_s)
            except QueueError as error:
                _LOG.warning("messages may come twice: %s", error)
            self._released.wait(self._hidden_s / 2)
