"""One run at a time on a lake."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from pipeline.holder import LOCK_PATH, Holder, decode_holder, encode_holder, locked_by, this_process
from pipeline.lease import hold_lease
from pipeline.local_storage import LocalStorage, remove_temporaries
from pipeline.s3_storage import S3Storage
from schemas.errors import LakeLocked, StorageError
from schemas.storage import Storage


class Hold(Protocol):
    """A lake that is ours, as far as we know."""

    def check(self) -> None:
        """Raise LakeLocked if the lake is no longer ours: to be asked before anything written is made to count."""


@contextlib.contextmanager
def hold_lake(storage: Storage, run_id: str, now_us: Callable[[], int], lock_path: str = LOCK_PATH) -> Iterator[Hold]:
    """Hold a lake while the body runs; the hold is checked once more after it.

    Who takes another `lock_path` holds the lake beside a run: two kinds of writers that cannot harm each other. In a
    folder their temporary files must have other names.

    A folder (made if need be) is locked by the kernel, which frees it when the process ends, however it ends. A bucket
    gets a lease, renewed by a thread; that of a dead run is taken over when it ends, or at once on the same machine.

    Raises:
        LakeLocked: another run holds the lake, and the message says which; or it took it over meanwhile.
        StorageError: the lock could not be read or written.
    """
    holder = this_process(run_id, now_us())
    held: AbstractContextManager[Hold]
    if isinstance(storage, S3Storage):
        held = hold_lease(storage, holder, now_us, lock_path)
    else:
        held = _hold_folder(storage, holder, lock_path)
    with held as hold:
        yield hold
        hold.check()


class _FolderHold:
    """An flock on a file of the folder."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path, self._handle = path, handle

    def check(self) -> None:
        """Raise LakeLocked if the locked file is gone: the next run locks another one in its place."""
        try:
            ours = os.path.samestat(os.fstat(self._handle), self._path.stat())
        except OSError:
            ours = False
        if not ours:
            raise LakeLocked(f"{self._path} was removed while this run held the lake")


@contextlib.contextmanager
def _hold_folder(storage: Storage, holder: Holder, lock_path: str) -> Iterator[_FolderHold]:
    path = Path(storage.root, lock_path)
    handle = _open_lock(path)
    _handles.add(handle)
    try:
        _lock(path, handle, holder)
        if isinstance(storage, LocalStorage):
            remove_temporaries(storage)
        yield _FolderHold(path, handle)
        os.ftruncate(handle, 0)
    finally:
        _handles.discard(handle)
        fcntl.flock(handle, fcntl.LOCK_UN)  # closing frees nothing while a child just forked has the handle too
        os.close(handle)


def _open_lock(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise StorageError(str(path), error.strerror or type(error).__name__) from error


def _lock(path: Path, handle: int, holder: Holder) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.pwrite(handle, encode_holder(holder), 0)
    except BlockingIOError:
        raise locked_by(str(path.parent), decode_holder(os.pread(handle, 65536, 0)), path.name) from None
    except OSError as error:
        raise StorageError(str(path), error.strerror or type(error).__name__) from error


_handles: set[int] = set()


def _close_inherited() -> None:
    """A forked worker that outlives its killed run must not keep the lake locked."""
    for handle in _handles:
        os.close(handle)
    _handles.clear()


os.register_at_fork(after_in_child=_close_inherited)
