"""How the job reaches files: one small protocol, so that a folder and a bucket look the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec


class Stat(msgspec.Struct, frozen=True):
    """One listed object; `path` is relative to the storage's root. A folder's `etag` is its mtime, `mtime:<ns>`."""

    path: str
    size: int
    etag: str
    modified_us: int


class Fetched(msgspec.Struct, frozen=True):
    """An object's bytes, the version they came from where the store keeps versions, and its S3 user metadata.

    In a folder only digests have metadata, from their sidecars (`schemas.digest_sidecars`).
    """

    body: bytes
    version: str | None = None
    metadata: Mapping[str, str] = {}


class Storage(Protocol):
    """A folder or a bucket prefix. Picklable; clients are built where they are used.

    Paths are relative to `root`, with `/`. Errors: `StorageError` and its children, nothing else.
    """

    @property
    def root(self) -> str:
        """`s3://bucket/prefix` or an absolute folder path, without a trailing slash."""

    @property
    def remote(self) -> bool:
        """True where reads wait for a network, and so gain from being done side by side."""

    def list(self, prefix: str = "", after: str = "") -> Iterator[Stat]:
        """Every object below `prefix` whose path sorts after `after`, in no promised order; nothing where none is."""

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Names of the folders right below `prefix`; nothing where there is none."""

    def stat(self, path: str) -> Stat:
        """One object, as `list` would show it. Raises ObjectVanished, ObjectForbidden or StorageError."""

    def read(self, path: str) -> Fetched:
        """The whole object. Raises ObjectVanished, ObjectForbidden or StorageError."""

    def write(self, path: str, body: bytes | memoryview, metadata: Mapping[str, str] | None = None) -> None:
        """Replace the whole object at once: readers see the old bytes or the new, never a part.

        Metadata is kept with it; a folder keeps that of digests only, in a sidecar that is written first.
        """

    def delete(self, path: str) -> None:
        """Remove the object; one that is not there is no error."""
