"""Objects' bytes, read and inflated; what fails is described, never raised, so that its neighbours go on."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from schemas.dead_letters import Reason
from schemas.errors import ObjectForbidden, ObjectVanished, StorageError, UnreadableContent
from schemas.objects import ObjectRef
from schemas.storage import Fetched, Storage
from transforms.inflate import inflate

_PARALLEL_READS = 16
_Stored = tuple[int, ObjectRef, Fetched | tuple[Reason, str]]


class Inflated(msgspec.Struct, frozen=True):
    """An object's body; `number` is its position in the bundle, `sha256` the hex digest that AWS's digests list."""

    number: int
    ref: ObjectRef
    body: bytes
    sha256: str
    version: str | None


class Unread(msgspec.Struct, frozen=True):
    """An object that gave no body: why, and its bytes as far as there are any."""

    number: int
    ref: ObjectRef
    reason: Reason
    detail: str
    data: bytes


def fetch(
    refs: Iterable[tuple[int, ObjectRef]], inputs: Mapping[str, Storage], max_bytes: int
) -> Iterator[Inflated | Unread]:
    """Read and inflate numbered objects, in order; side by side where the storage is remote."""
    for number, ref, read in fetch_stored(refs, inputs):
        yield _inflated(number, ref, read, max_bytes)


def fetch_stored(refs: Iterable[tuple[int, ObjectRef]], inputs: Mapping[str, Storage]) -> Iterator[_Stored]:
    """The same as they are stored, with their metadata; or why one could not be read, as `read_object` has it."""
    numbered = list(refs)
    if not any(inputs[ref.root].remote for _, ref in numbered):
        for number, ref in numbered:
            yield number, ref, read_object(inputs[ref.root], ref)
        return
    with ThreadPoolExecutor(_PARALLEL_READS, thread_name_prefix="fetch") as threads:
        ahead: deque[tuple[int, ObjectRef, Future[Fetched | tuple[Reason, str]]]] = deque()
        for number, ref in numbered:
            ahead.append((number, ref, threads.submit(read_object, inputs[ref.root], ref)))
            if len(ahead) >= 2 * _PARALLEL_READS:
                yield _next(ahead)
        while ahead:
            yield _next(ahead)


def _next(ahead: deque[tuple[int, ObjectRef, Future[Fetched | tuple[Reason, str]]]]) -> _Stored:
    number, ref, read = ahead.popleft()
    return number, ref, read.result()


def read_object(storage: Storage, ref: ObjectRef) -> Fetched | tuple[Reason, str]:
    """An object as it is stored, or why it could not be read: vanished, forbidden or read_failed, and the details."""
    try:
        return storage.read(ref.path)
    except ObjectVanished as error:
        return Reason.VANISHED, error.detail
    except ObjectForbidden as error:
        return Reason.FORBIDDEN, error.detail
    except StorageError as error:
        return Reason.READ_FAILED, error.detail


def _inflated(number: int, ref: ObjectRef, read: Fetched | tuple[Reason, str], max_bytes: int) -> Inflated | Unread:
    if isinstance(read, tuple):
        return Unread(number, ref, *read, data=b"")
    try:
        body = inflate(read.body, max_bytes)
    except UnreadableContent as error:
        return Unread(number, ref, error.reason, error.detail, read.body)
    return Inflated(number, ref, body, hashlib.sha256(body).hexdigest(), read.version)
