"""Who holds a lake."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated

import msgspec

from schemas.errors import LakeLocked
from schemas.times import format_us

LOCK_PATH = ".lock"

_TimeUs = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999_999)]
_Pid = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Holder(msgspec.Struct, frozen=True):
    """The content of a lake's `.lock`. `until_us` is the end of a lease; 0 where there is none.

    `machine` names a boot and a process namespace, within which a pid means the same; empty where the system tells
    neither.
    """

    run_id: str
    host: str
    machine: str
    pid: _Pid
    since_us: _TimeUs
    until_us: _TimeUs = 0

    def is_same_run(self, other: Holder) -> bool:
        """True where both were written by one run, at whatever point of its lease."""
        return msgspec.structs.replace(self, until_us=0) == msgspec.structs.replace(other, until_us=0)

    def is_dead(self) -> bool:
        """True only where it is known that the process has ended: it ran on this machine."""
        return bool(self.machine) and self.machine == _machine() and not _runs(self.pid)


def this_process(run_id: str, since_us: int) -> Holder:
    """The holder that this process is."""
    return Holder(run_id, socket.gethostname(), _machine(), os.getpid(), since_us)


def encode_holder(holder: Holder) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(holder) + b"\n"


def decode_holder(body: bytes) -> Holder | None:
    """Read what `encode_holder` wrote; None for anything else."""
    try:
        return msgspec.json.decode(body, type=Holder)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def locked_by(root: str, holder: Holder | None, lock_path: str = LOCK_PATH) -> LakeLocked:
    """The error of a run that finds the lake held."""
    if holder is None:
        return LakeLocked(f"{root} is held by another run, which left no name in {root}/{lock_path}")
    lease = f", its lease ends {format_us(holder.until_us)} unless renewed" if holder.until_us else ""
    since = format_us(holder.since_us)
    return LakeLocked(
        f"{root} is held by run {holder.run_id} (host {holder.host}, pid {holder.pid}) since {since}{lease}"
    )


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return ""


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it runs
        return True
    return True
