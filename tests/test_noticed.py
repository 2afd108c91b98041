"""What a queue's messages name is looked up side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from pipeline.local_storage import LocalStorage
from pipeline.noticed import Noticed
from pipeline.sqs_queue import Message, SqsQueue
from schemas.storage import Stat

NAME = (
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/24/111122223333_CloudTrail_us-east-1_20261124T0000Z_{}.json.gz"
)
TOGETHER = 4


class Queue(SqsQueue, frozen=True):
    """Two messages, and then none."""

    def receive(
        self, most: int, wait_s: int = 0, committed: Callable[[str], bool] = lambda _uri: False
    ) -> list[Message]:
        """One message for each object."""
        uris = [f"{self.roots[0]}/{NAME.format(number)}" for number in range(TOGETHER)]
        return [Message(str(number), "", (uri,)) for number, uri in enumerate(uris)]


class Meeting(LocalStorage):
    """Answers nobody before all have asked."""

    met = threading.Barrier(TOGETHER, timeout=10)

    def stat(self, path: str) -> Stat:
        """The same, together."""
        self.met.wait()
        return super().stat(path)


def test_objects_are_looked_up_side_by_side(tmp_path: Path) -> None:
    """One after the other they would wait for each other for ever; their order is that of the messages."""
    storage = Meeting(str(tmp_path))
    names = [NAME.format(number) for number in range(TOGETHER)]
    for name in names:
        storage.write(name, b"")
    queue = Queue("", None, (storage.root,), storage, "run")
    refs = Noticed(queue, (storage,)).receive(lambda _uri: False)
    assert [ref.path for ref in refs] == names
