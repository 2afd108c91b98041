"""A watch at a queue: what is asked of it between cycles, and when its messages are acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest

from pipeline.local_storage import LocalStorage
from pipeline.sqs_queue import Message, SqsQueue
from pipeline.watch_notices import WatchNotices
from schemas.errors import QueueError, StorageError
from schemas.times import SECOND_US


class Queue:
    """A queue that tells what a test says, and notes what it is asked."""

    def __init__(self, told: list[list[Message] | QueueError]) -> None:
        self.told = told
        self.asked = 0
        self.acknowledged: list[str] = []

    def receive(self, most: int, wait_s: int = 0, committed: Callable[[str], bool] = bool) -> list[Message]:
        """The next answer; empty ones after the last."""
        assert (most > 0, wait_s, committed("mem://never")) == (True, 1, False)
        self.asked += 1
        answer = self.told.pop(0) if self.told else []
        if isinstance(answer, QueueError):
            raise answer
        return answer

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Note them."""
        self.acknowledged += [message.message_id for message in messages]

    def extend(self, messages: Sequence[Message], hidden_s: int = 0) -> None:
        """They stay hidden."""


class World:
    """A watch's folder, its queue, and a clock that moves by a second whenever somebody looks at it."""

    def __init__(self, top: Path, told: list[list[Message] | QueueError]) -> None:
        self.now_us = 0
        self.waited: list[int] = []
        self.warnings: list[str] = []
        (top / "a").write_bytes(b"a")
        self.queue = Queue(told)
        self.notices = WatchNotices(
            cast("SqsQueue", self.queue),
            (LocalStorage(str(top)),),
            self.wait,
            lambda: False,
            clock=self.clock,
            warn=self.warnings.append,
        )

    def clock(self) -> int:
        """A second later than before."""
        self.now_us += SECOND_US
        return self.now_us

    def wait(self, length_us: int) -> None:
        """As a watch without a queue does."""
        self.waited.append(length_us)

    def cycle(self, error: StorageError | None = None) -> list[str]:
        """A cycle, which may fail; the paths that it was told of."""
        with self.notices.taken(lambda _uri: False) as named:
            if error is not None:
                raise error
            return [ref.path for ref in named]


def naming(top: Path, *paths: str) -> list[Message]:
    """One message."""
    return [Message("m", "receipt", tuple(f"{top}/{path}" for path in paths))]


def test_acknowledged_after_the_cycle(tmp_path: Path) -> None:
    """A message ends the wait, its object is the cycle's, and it is acknowledged once that is over."""
    world = World(tmp_path, [[], naming(tmp_path, "a", "gone")])
    world.notices.wait(3600 * SECOND_US)
    assert (world.queue.asked, world.queue.acknowledged) == (2, [])
    assert world.cycle() == ["a"]
    assert world.queue.acknowledged == ["m"]
    assert world.cycle() == []


def test_names_nothing_of_ours(tmp_path: Path) -> None:
    """Such a message is acknowledged, and no cycle follows before its time."""
    world = World(tmp_path, [[Message("test", "receipt", (), ("test",))]])
    world.notices.wait(5 * SECOND_US)
    assert world.queue.acknowledged == ["test"]
    assert world.queue.asked > 1
    assert world.cycle() == []


def test_failed_cycle_asks_for_no_more(tmp_path: Path) -> None:
    """What was told is kept for the next cycle, unacknowledged; nothing is added to it while cycles fail."""
    world = World(tmp_path, [naming(tmp_path, "a")])
    world.notices.wait(SECOND_US)
    for number in range(3):
        with pytest.raises(StorageError):
            world.cycle(StorageError("/lake", "No space left on device"))
        world.notices.wait(30 * SECOND_US)
        assert world.waited == [30 * SECOND_US] * (number + 1)
    assert (world.queue.asked, world.queue.acknowledged) == (1, [])
    assert world.cycle() == ["a"]
    assert world.queue.acknowledged == ["m"]
    world.notices.wait(SECOND_US)
    assert world.queue.asked == 2


def test_queue_that_fails(tmp_path: Path) -> None:
    """A warning, a rest, and another try; the wait is not longer than it was to be."""
    world = World(tmp_path, [QueueError("no such queue"), naming(tmp_path, "a")])
    world.notices.wait(60 * SECOND_US)
    assert (world.warnings, world.waited) == (["no such queue"], [5 * SECOND_US])
    assert world.cycle() == ["a"]
