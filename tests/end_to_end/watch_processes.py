"""Watches as processes, and what they say."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from folders import finish, start


class Watching:
    """A process that watches, and what it has said so far."""

    def __init__(self, source: Path | str, lake: Path | str, *options: str) -> None:
        self.process = start("watch", "--input", source, "--output", lake, *options)
        self.said: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.said.append(line)
                self._more.notify_all()

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first line of the log that is wanted; a minute at most."""

        def found() -> dict[str, Any] | None:
            return next((line for line in map(json.loads, self.said) if wanted(line)), None)

        with self._more:
            line = self._more.wait_for(found, timeout=60)
        assert line is not None, self.said
        return line

    def event(self, name: str) -> dict[str, Any]:
        """The first line of one kind."""
        return self.wait_for(lambda line: line["event"] == name)

    def end(self) -> int:
        """Stop it."""
        self.process.terminate()
        code = self.process.wait(timeout=60)
        self._reader.join()
        finish(self.process)
        return code
