"""A lease on a lake in a bucket: an object that only its holder can write anew."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import msgspec

from pipeline.holder import LOCK_PATH, Holder, decode_holder, encode_holder, locked_by
from pipeline.s3_storage import S3Storage
from schemas.errors import LakeLocked, ObjectVanished, StorageError
from schemas.times import MINUTE_US, SECOND_US

LEASE_US = 3 * MINUTE_US
"""Long enough for clocks that differ and for two renewals to fail; short enough to wait for after a crash elsewhere."""


class Lease:
    """An object, `.lock` for one, written anew over the ETag that we wrote last: who was overtaken finds out."""

    def __init__(
        self, storage: S3Storage, holder: Holder, now_us: Callable[[], int], lock_path: str = LOCK_PATH
    ) -> None:
        self._storage, self._holder, self._now_us, self._path = storage, holder, now_us, lock_path
        self._etag: str | None = None
        self._lost = False
        self._writing = threading.Lock()

    def acquire(self) -> None:
        """Take a lease that is free, has ended, or whose holder is dead. Raises LakeLocked or StorageError."""
        found, self._etag = self._read()
        taken = self._etag is not None and (found is None or (found.until_us > self._now_us() and not found.is_dead()))
        if taken or not self._write(self._now_us() + LEASE_US):
            raise locked_by(self._storage.root, self._read()[0], self._path)

    def renew(self) -> None:
        """Prolong the lease unless it is lost. Where the store fails, the next renewal tries again."""
        with contextlib.suppress(StorageError):
            self._write(self._now_us() + LEASE_US)

    def check(self) -> None:
        """Raise LakeLocked if another run took the lease over, or could have."""
        if self._lost:
            raise LakeLocked(f"{self._storage.root}: another run took the lake over from run {self._holder.run_id}")
        if self._now_us() >= self._holder.until_us:
            raise LakeLocked(f"{self._storage.root}: run {self._holder.run_id} could not renew its lease in time")

    def release(self) -> None:
        """End the lease, if it still is ours. Where the store fails, it ends by itself."""
        with contextlib.suppress(StorageError):
            self._write(0)

    def _write(self, until_us: int) -> bool:
        """Write the lease with a new end; False, and lost for good, where another run has written."""
        with self._writing:
            for _ in range(2):
                if self._lost:
                    break
                holder = msgspec.structs.replace(self._holder, until_us=until_us)
                etag = self._storage.replace(self._path, encode_holder(holder), self._etag)
                if etag is not None:
                    self._holder, self._etag = holder, etag
                    return True
                # A request whose answer got lost is sent again, and then refused because of itself.
                found, self._etag = self._read()
                self._lost = found is None or not found.is_same_run(self._holder)
            return False

    def _read(self) -> tuple[Holder | None, str | None]:
        try:
            fetched, etag = self._storage.read_tagged(self._path)
        except ObjectVanished:
            return None, None
        return decode_holder(fetched.body), etag


@contextlib.contextmanager
def hold_lease(
    storage: S3Storage, holder: Holder, now_us: Callable[[], int], lock_path: str = LOCK_PATH
) -> Iterator[Lease]:
    """Hold the lease, renewed by a thread three times in its length. Raises LakeLocked or StorageError."""
    lease, ended = Lease(storage, holder, now_us, lock_path), threading.Event()

    def keep() -> None:
        while not ended.wait(LEASE_US / SECOND_US / 3):
            lease.renew()

    lease.acquire()
    keeper = threading.Thread(target=keep, name="lease", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        ended.set()
        keeper.join()
        lease.release()
