"""A folder as a `Storage`."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path

import msgspec

from schemas.digest_sidecars import VERSION, decode_sidecar, encode_sidecar, has_sidecar, is_sidecar, sidecar_of
from schemas.errors import ObjectForbidden, ObjectVanished, StorageError
from schemas.storage import Fetched, Stat

TEMPORARY_PREFIX = ".tmp-"

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR})
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")

_FolderId = tuple[int, int]
_Pending = list[tuple[str, tuple[_FolderId, ...]]]


class LocalStorage(msgspec.Struct, frozen=True):
    r"""The folder `root` (absolute) and everything below it. One writer per path at a time.

    Paths are always UTF-8: a byte of a file name that is not stands as `\xNN`, and a backslash as `\x5c`, so that a
    listed path can be logged, put in a table, and read again. Links to folders are followed, save into a folder that
    they lie in. Only regular files are listed and opened; temporary files of `write` are neither. Their names start
    with `temporary_prefix`, itself starting with `TEMPORARY_PREFIX`: who writes beside a run takes another. A digest's
    sidecar is not listed either: it is read and written with its digest.
    """

    root: str
    temporary_prefix: str = TEMPORARY_PREFIX

    @property
    def remote(self) -> bool:
        """False: a folder answers at once."""
        return False

    def list(self, prefix: str = "", after: str = "") -> Iterator[Stat]:
        """Every file below the folder `prefix`, by name after `after`. Raises StorageError where one cannot be read.

        `root` itself must exist if all of it is asked for; a missing `prefix` holds nothing.
        """
        top = prefix.strip("/")
        pending: _Pending = [(top, ())]
        while pending:
            folder, ancestors = pending.pop()
            if folder and f"{folder}/" < after and not after.startswith(f"{folder}/"):
                continue  # nothing in it sorts after `after`
            try:
                identity = self._folder_id(folder)
                if identity not in ancestors:
                    found = self._list_folder(folder, (*ancestors, identity), pending)
                    yield from (each for each in found if each.path > after) if after else found
            except OSError as error:
                if error.errno not in _GONE or folder == "":
                    raise self._error(folder, error) from error

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Names of the folders right below `prefix`. Raises StorageError where it cannot be read."""
        folder = prefix.strip("/")
        try:
            with os.scandir(self._native(folder)) as entries:
                yield from (_portable(entry.name) for entry in entries if entry.is_dir())
        except OSError as error:
            if error.errno not in _GONE or folder == "":
                raise self._error(folder, error) from error

    def stat(self, path: str) -> Stat:
        """One file. Raises ObjectVanished, ObjectForbidden (also for what is no file) or StorageError."""
        try:
            status = self._native(path).stat()
        except OSError as error:
            raise self._error(path, error) from error
        if not stat.S_ISREG(status.st_mode):
            raise ObjectForbidden(self._uri(path), "not a regular file")
        return _stat(path, status)

    def read(self, path: str) -> Fetched:
        """The whole file; a digest with its sidecar, if that can be read.

        Raises ObjectVanished, ObjectForbidden (also for what is no file) or StorageError.
        """
        body = self._read(path)
        if not has_sidecar(path):
            return Fetched(body)
        try:
            metadata = decode_sidecar(self._read(sidecar_of(path)))
        except StorageError:  # a copy of the bytes alone
            return Fetched(body)
        version = metadata.pop(VERSION, None)
        return Fetched(body, version, metadata)

    def _read(self, path: str) -> bytes:
        target = os.fsencode(self.root) + b"/" + self._name(path)  # no Path: this runs for every object
        try:
            if not stat.S_ISREG(os.stat(target).st_mode):  # noqa: PTH116
                raise ObjectForbidden(self._uri(path), "not a regular file")
            # O_NONBLOCK: should the file have become a FIFO since, opening it must not wait for a writer.
            with FileIO(os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
                return file.readall()
        except OSError as error:
            raise self._error(path, error) from error

    def write(self, path: str, body: bytes | memoryview, metadata: Mapping[str, str] | None = None) -> None:
        """Write a temporary file beside the target, flush it to disk, and rename it. Raises StorageError.

        The metadata of a digest goes into its sidecar, before the digest is there.
        """
        if metadata and has_sidecar(path):
            self.write(sidecar_of(path), encode_sidecar(metadata))
        target = self._native(path)
        # Named by its target and no process: what a killed run left behind, its retry overwrites.
        temporary = target.with_name(self.temporary_prefix + hashlib.sha256(os.fsencode(target.name)).hexdigest()[:24])
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            _flush_folder(target.parent)
        except OSError as error:
            raise self._error(path, error) from error

    def delete(self, path: str) -> None:
        """Remove the file; one that is not there is no error. Raises StorageError."""
        try:
            self._native(path).unlink(missing_ok=True)
        except OSError as error:
            if error.errno not in _GONE:
                raise self._error(path, error) from error

    def _list_folder(self, folder: str, chain: tuple[_FolderId, ...], pending: _Pending) -> Iterator[Stat]:
        with os.scandir(self._native(folder)) as entries:
            for entry in entries:
                path = f"{folder}/{_portable(entry.name)}" if folder else _portable(entry.name)
                try:
                    if entry.is_dir():
                        pending.append((path, chain))
                    elif entry.is_file() and not _is_hidden(entry.name):
                        yield _stat(path, entry.stat())
                except OSError as error:  # removed since the folder was read, or a link to itself
                    if error.errno not in _GONE:
                        raise

    def _folder_id(self, folder: str) -> _FolderId:
        status = self._native(folder).stat()
        return status.st_dev, status.st_ino

    def _native(self, path: str) -> Path:
        return Path(self.root, os.fsdecode(self._name(path)))

    def _name(self, path: str) -> bytes:
        name = path.encode("utf-8", "backslashreplace")
        if b"\\" in name:
            name = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), name)
        if b"\0" in name or name.startswith(b"/") or b".." in name.split(b"/"):
            raise StorageError(self._uri(path), "not a path below the folder")
        return name

    def _uri(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def _error(self, path: str, error: OSError) -> StorageError:
        detail = error.strerror or type(error).__name__
        if path and error.errno in _GONE:
            return ObjectVanished(self._uri(path), detail)
        return (ObjectForbidden if error.errno in _REFUSED else StorageError)(self._uri(path), detail)


def remove_temporaries(storage: LocalStorage) -> None:
    """Remove what killed writers left that took these names, which nobody else takes. Raises StorageError."""
    ours = re.compile(re.escape(storage.temporary_prefix) + "[0-9a-f]{24}")
    try:
        for path in Path(storage.root).rglob(f"{storage.temporary_prefix}*"):
            if ours.fullmatch(path.name):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(storage.root, error.strerror or type(error).__name__) from error


def _portable(name: str) -> str:
    return os.fsencode(name).replace(b"\\", b"\\x5c").decode("utf-8", "backslashreplace")


def _is_hidden(name: str) -> bool:
    return name.startswith(TEMPORARY_PREFIX) or is_sidecar(name)


def _stat(path: str, status: os.stat_result) -> Stat:
    return Stat(path, status.st_size, f"mtime:{status.st_mtime_ns}", status.st_mtime_ns // 1000)


def _flush_folder(folder: Path) -> None:
    """A rename is durable only once its folder is: the ledger's part must not outlive the rows it commits."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
