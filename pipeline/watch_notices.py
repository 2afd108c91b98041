"""A watch that waits at a queue: whatever a message names is handled at once, and acknowledged once it is committed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from pipeline.noticed import Noticed
from pipeline.sqs_queue import SqsQueue
from pipeline.visibility import KeptHidden
from schemas.errors import QueueError, StorageError
from schemas.objects import ObjectRef
from schemas.storage import Storage
from schemas.times import SECOND_US

_AFTER_FAILURE_US = 5 * SECOND_US


class WatchNotices:
    """What the queue has told since the last cycle. For the thread that runs the cycles.

    `wait` is what a watch without a queue waits with. A queue that fails is a warning, and no error: the listing finds
    what it does not tell.
    """

    def __init__(
        self,
        queue: SqsQueue,
        inputs: tuple[Storage, ...],
        wait: Callable[[int], None],
        stopping: Callable[[], bool],
        *,
        clock: Callable[[], int],
        warn: Callable[[str], None],
    ) -> None:
        self._queue = queue
        self._noticed = Noticed(queue, inputs)
        self._wait = wait
        self._stopping = stopping
        self._clock = clock
        self._warn = warn
        self._refs: list[ObjectRef] = []
        self._committed: Callable[[str], bool] = lambda _uri: False

    def wait(self, length_us: int) -> None:
        """Wait for messages of ours, but no longer than `length_us`; asks the queue once at least.

        Only after a cycle that failed it does not ask: what is held then would grow for as long as the lake fails.
        """
        if self._refs:
            self._wait(length_us)
            return
        until_us = self._clock() + length_us
        while not self._stopping():
            try:
                self._refs += self._noticed.receive(self._committed)
                if self._refs:
                    return
                self._noticed.settle(lambda _uri: False)  # what names nothing of ours is done with
            except (QueueError, StorageError) as error:
                self._warn(str(error))
                self._wait(min(_AFTER_FAILURE_US, until_us - self._clock()))
            if self._clock() >= until_us:
                return

    @contextlib.contextmanager
    def taken(self, committed: Callable[[str], bool]) -> Iterator[list[ObjectRef]]:
        """The objects that were named, for a cycle: they are acknowledged when the body is left without an error.

        After an error they are taken again by the next cycle. Meanwhile no other reader gets the messages.
        """
        self._committed = committed
        messages = self._noticed.messages
        with KeptHidden(self._queue, messages) if messages else contextlib.nullcontext():
            yield self._refs
        self._refs = []
        try:
            self._noticed.settle(lambda _uri: True)
        except QueueError as error:
            self._warn(str(error))
