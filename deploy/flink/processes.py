"""Processes of a cluster on this machine: started, found again by their pids, killed."""

from __future__ import annotations

import contextlib
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
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Start one, in a session of its own; its pid."""
        whole = {**os.environ, **environment}
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=whole, start_new_session=True
            )
        self._children[name] = process
        self._pid_file(name).write_text(f"{process.pid} {_started_at(process.pid)}")
        return process.pid

    def names(self) -> list[str]:
        """Those that were started and not stopped."""
        return sorted(path.stem for path in self._folder.glob("*.pid"))

    def pid(self, name: str) -> int | None:
        """The pid of one that runs."""
        pid = self._recorded(name)
        return pid if pid is not None and _started_at(pid) else None

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End one and what it started, and wait until it is gone. Raises TimeoutError."""
        pid = self._recorded(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)
            wait_for(lambda: self.pid(name) is None, f"{name} to end")
        if child := self._children.pop(name, None):
            child.wait()
        self._pid_file(name).unlink(missing_ok=True)

    def stop_all(self) -> None:
        """End them all."""
        for name in self.names():
            self.kill(name)

    def members(self, name: str) -> dict[int, str]:
        """The process and what it started, by pid, with their commands; also where the process itself has ended."""
        group = self._recorded(name)
        fields = (line.split(None, 2) for line in _ps("-A", "-ww", "-o", "pid=,pgid=,args=").splitlines())
        return {int(pid): command for pid, pgid, command in fields if int(pgid) == group}

    def log(self, name: str, last_bytes: int = 4000) -> str:
        """The end of one's log."""
        path = self._folder / f"{name}.log"
        return path.read_bytes()[-last_bytes:].decode(errors="replace") if path.exists() else ""

    def _recorded(self, name: str) -> int | None:
        """The pid that was written down, unless another process has it by now."""
        path = self._pid_file(name)
        if not path.exists():
            return None
        if name in self._children:
            self._children[name].poll()  # else one that ended would stay in the table of processes
        pid, _, started = path.read_text().partition(" ")
        return int(pid) if _started_at(int(pid)) in (started, "") else None

    def _pid_file(self, name: str) -> Path:
        return self._folder / f"{name}.pid"


def wait_for(condition: Callable[[], bool], what: str, within_s: float = 60) -> None:
    """Wait until a condition holds. Raises TimeoutError, which says for what it waited."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within_s:g} s for {what}")
        time.sleep(_LOOK_AGAIN_S)


def _started_at(pid: int) -> str:
    """When a process started, as `ps` says it; empty where there is none, or only what is left of one."""
    state, _, started = _ps("-o", "stat=,lstart=", "-p", str(pid)).strip().partition(" ")
    return "" if state.startswith("Z") else " ".join(started.split())


def _ps(*options: str) -> str:
    return subprocess.run(["ps", *options], capture_output=True, text=True, check=False).stdout
