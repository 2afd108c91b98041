"""What a queue's messages name is looked up side by side."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pipeline.local_storage import LocalStorage
from pipeline.noticed import Noticed
from pipeline.sqs_queue import Message, SqsQueue
from schemas.storage import Stat

FOLDER = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/24"
NAMES = [f"{FOLDER}/111122223333_CloudTrail_us-east-1_20261124T0000Z_{number}.json.gz" for number in range(4)]


def test_objects_are_looked_up_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other they would wait for each other for ever; their order is that of the messages."""
    storage = LocalStorage(str(tmp_path))
    for name in NAMES:
        storage.write(name, b"")
    all_asked = threading.Barrier(len(NAMES), timeout=10)
    answer = LocalStorage.stat

    def stat(self: LocalStorage, path: str) -> Stat:
        all_asked.wait()
        return answer(self, path)

    messages = [Message(name, "", (f"{storage.root}/{name}",)) for name in NAMES]
    monkeypatch.setattr(LocalStorage, "stat", stat)
    monkeypatch.setattr(SqsQueue, "receive", lambda *_, **__: messages)
    queue = SqsQueue("", None, (storage.root,), storage, "run")
    assert [ref.path for ref in Noticed(queue, (storage,)).receive(lambda _uri: False)] == NAMES
