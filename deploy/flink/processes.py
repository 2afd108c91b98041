"""Processes of a cluster on this machine: started, found again by their pids, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_LOOK_AGAIN_S = 0.1


class Processes:
    """Named processes with a log and a pid file each in `folder`; they outlive whoever started them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Start one, in a session of its own; its pid."""
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **environment},
                start_new_session=True,
            )  # fmt: skip
        self._pid_file(name).write_text(str(process.pid))
        return process.pid

    def names(self) -> list[str]:
        """Those that were started and not stopped."""
        return sorted(path.stem for path in self._folder.glob("*.pid"))

    def pid(self, name: str) -> int | None:
        """The pid of one that runs."""
        try:
            pid = int(self._pid_file(name).read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return None if _is_zombie(pid) else pid

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End one and what it started, and wait until it is gone."""
        pid = self.pid(name)
        if pid is not None:
            os.killpg(pid, number)
            wait_for(lambda: self.pid(name) is None, f"{name} to end")
        self._pid_file(name).unlink(missing_ok=True)

    def stop_all(self) -> None:
        """End them all."""
        for name in self.names():
            self.kill(name)

    def log(self, name: str, last_bytes: int = 4000) -> str:
        """The end of one's log."""
        path = self._folder / f"{name}.log"
        return path.read_bytes()[-last_bytes:].decode(errors="replace") if path.exists() else ""

    def _pid_file(self, name: str) -> Path:
        return self._folder / f"{name}.pid"


def wait_for(condition: Callable[[], bool], what: str, within_s: float = 60) -> None:
    """Wait until a condition holds. Raises TimeoutError, which says for what it waited."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within_s:g} s for {what}")
        time.sleep(_LOOK_AGAIN_S)


def _is_zombie(pid: int) -> bool:
    """A child of ours that ended; reaped here, because nobody else will."""
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return False
    return ended == pid
