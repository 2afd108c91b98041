"""What the tests on a cluster are driven with; this needs no cluster."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from streams import Stream

from pipeline.local_storage import LocalStorage


def test_whoever_lists_while_objects_are_delivered_sees_objects_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source of a job that is being killed may look at any moment, and a stream takes in whatever it sees."""
    cluster: Any = None
    stream = Stream(cluster, tmp_path)
    stream.source.mkdir()
    names = [f"{number}.json.gz" for number in range(2)]
    for name in names:
        (stream.source / name).write_bytes(b"logs")
    listed: list[list[str]] = []
    copy = shutil.copy

    def copy_and_look(path: Path, target: Path) -> None:
        copy(path, target)
        listed.append([stat.path for stat in LocalStorage(str(stream.bucket)).list()])

    monkeypatch.setattr(shutil, "copy", copy_and_look)
    stream.deliver(stream.source / name for name in names)
    assert listed == [[], names[:1]]
    assert sorted(stat.path for stat in LocalStorage(str(stream.bucket)).list()) == names
