"""Objects' bytes: what arrives, in which order, and what is said of the rest."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from schemas.dead_letters import Reason
from schemas.errors import ObjectForbidden, ObjectVanished, StorageError
from schemas.keys import Kind
from schemas.objects import ObjectRef
from schemas.storage import Fetched, Stat
from transforms.fetch import Inflated, Unread, fetch


class Store(msgspec.Struct, frozen=True):
    """Objects in memory; an exception in place of bytes is raised."""

    objects: dict[str, Any]
    remote: bool
    root: str = "in"

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Nothing."""
        return iter([Stat(prefix, 0, "", 0)][:0])

    def read(self, path: str) -> Fetched:
        """The bytes, under a version."""
        if isinstance(self.objects[path], Exception):
            raise self.objects[path]
        return Fetched(self.objects[path], f"v-{path}")

    def write(self, path: str, body: bytes) -> None:
        """Never called."""
        raise AssertionError(path, body)

    def delete(self, path: str) -> None:
        """Never called."""
        raise AssertionError(path)


def fetched(objects: dict[str, Any], *, remote: bool, max_bytes: int = 1000) -> list[Inflated | Unread]:
    """All objects of a store, numbered in order."""
    refs = [ObjectRef("in", path, 1, "e", 0, Kind.LOG, None, None, 0) for path in objects]
    return list(fetch(enumerate(refs), {"in": Store(objects, remote)}, max_bytes))


@pytest.mark.parametrize("remote", [False, True])
def test_objects_arrive_in_order(*, remote: bool) -> None:
    """Side by side or one by one: body, hash, version and number belong together."""
    bodies = {f"{number:03}": b"%d" % number for number in range(100)}
    found = fetched({path: gzip.compress(body) for path, body in bodies.items()}, remote=remote)
    assert [item.number for item in found] == list(range(100))
    for item, (path, body) in zip(found, bodies.items(), strict=True):
        assert isinstance(item, Inflated)
        assert (item.ref.path, item.body, item.version) == (path, body, f"v-{path}")
        assert item.sha256 == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("remote", [False, True])
def test_what_fails_is_described(*, remote: bool) -> None:
    """Each failure has its reason, and the objects behind it still come."""
    large = gzip.compress(bytes(2000))
    objects = {
        "vanished": ObjectVanished("in/vanished", "gone"),
        "forbidden": ObjectForbidden("in/forbidden", "AccessDenied"),
        "failed": StorageError("in/failed", "timeout"),
        "plain": b"{}",
        "large": large,
        "good": gzip.compress(b"{}"),
    }
    *unread, good = fetched(objects, remote=remote)
    assert [(item.reason, item.data) for item in unread if isinstance(item, Unread)] == [
        (Reason.VANISHED, b""),
        (Reason.FORBIDDEN, b""),
        (Reason.READ_FAILED, b""),
        (Reason.NOT_GZIP, b"{}"),
        (Reason.TOO_LARGE, large),
    ]
    assert [item.detail for item in unread if isinstance(item, Unread)][:3] == ["gone", "AccessDenied", "timeout"]
    assert isinstance(good, Inflated)


@pytest.mark.parametrize("remote", [False, True])
def test_a_bug_is_not_a_bad_object(*, remote: bool) -> None:
    """An exception that no store declares ends the bundle."""
    with pytest.raises(ZeroDivisionError):
        fetched({"a": ZeroDivisionError()}, remote=remote)


def test_nothing_to_fetch() -> None:
    """An empty bundle needs no threads."""
    assert fetched({}, remote=True) == []
