"""What the ledger knows of objects, in little memory, for a job that goes on for months: it can be added to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from schemas.objects import ObjectRef, ObjectRow, Replaced
from transforms.unicode_text import encodable

Identity: TypeAlias = tuple[str, str, int]
"""URI, entity tag and size."""

_KEY_BYTES = 16
_SHA256_BYTES = 32
_RECENT = 4096
_RECENT_SHARE = 16


class HashSet:
    """A set of texts that only grows: 16 bytes each, a hash under a secret `key`, so that nobody can make two collide.

    New ones lie in a Python set until there are enough of them to be sorted in.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._sorted: Any = np.empty(0, f"S{_KEY_BYTES}")
        self._recent: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def add(self, texts: Iterable[str]) -> None:
        """Have these too."""
        keys = list(dict.fromkeys(hashed(text, self._key) for text in texts))
        self._recent.update(key for key, there in zip(keys, self._has(keys), strict=True) if not there)
        if len(self._recent) > max(_RECENT, len(self._sorted) // _RECENT_SHARE):
            recent = np.array(list(self._recent), self._sorted.dtype)
            self._sorted = np.sort(np.concatenate([self._sorted, recent]))
            self._recent = set()

    def has(self, texts: Iterable[str]) -> list[bool]:
        """For each text whether it is there."""
        return self._has([hashed(text, self._key) for text in texts])

    def _has(self, keys: list[bytes]) -> list[bool]:
        _, there = _find(self._sorted, keys)
        return [old or key in self._recent for key, old in zip(keys, there, strict=True)]


class ObjectIndex:
    """The ledger's objects by identity, and the newest version of each by URI: about 80 bytes each.

    `key` is any secret, such as random bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._identities = HashSet(key)
        self._uris: Any = np.empty(0, f"S{_KEY_BYTES}")
        self._sizes: Any = np.empty(0, np.int64)
        self._hashes: Any = np.empty((0, _SHA256_BYTES), np.uint8)
        self._recent: dict[bytes, Replaced] = {}

    def __len__(self) -> int:
        return len(self._identities)

    def add_rows(self, rows: Iterable[ObjectRow]) -> None:
        """Know objects that were handled now."""
        self._add((row.uri, row.etag, row.size, row.body_sha256) for row in rows)

    def add_refs(self, refs: Iterable[ObjectRef]) -> None:
        """Know objects that are being handled: what is in them is not known yet."""
        self._add((encodable(ref.uri), ref.etag, ref.size, None) for ref in refs)

    def add_ledger(self, ledger: pa.Table) -> None:
        """Know the rows of a ledger, the oldest first."""
        for batch in ledger.sort_by("handled_at").to_batches(max_chunksize=_RECENT):
            self._add(zip(*(batch[name].to_pylist() for name in ("uri", "etag", "size", "body_sha256")), strict=True))

    def known(self, identities: Iterable[Identity]) -> list[bool]:
        """For each identity whether the ledger has it."""
        return self._identities.has(map(_joined, identities))

    def replaced(self, uris: Sequence[str]) -> Mapping[str, Replaced]:
        """What the ledger last knew of keys that are listed under another identity."""
        keys = [hashed(uri, self._key) for uri in uris]
        positions, there = _find(self._uris, keys)
        found = {}
        for uri, key, position, old in zip(uris, keys, positions, there, strict=True):
            if key in self._recent:
                found[uri] = self._recent[key]
            elif old:
                digest = self._hashes[position].tobytes()
                found[uri] = Replaced(int(self._sizes[position]), digest.hex() if any(digest) else None)
        return found

    def _add(self, objects: Iterable[tuple[str, str, int, str | None]]) -> None:
        known = list(objects)
        self._identities.add(_joined((uri, etag, size)) for uri, etag, size, _ in known)
        self._recent.update((hashed(uri, self._key), Replaced(size, sha256)) for uri, _, size, sha256 in known)
        if len(self._recent) > max(_RECENT, len(self._uris) // _RECENT_SHARE):
            self._sort_in()

    def _sort_in(self) -> None:
        newest = list(self._recent.values())
        digests = b"".join(bytes.fromhex(each.body_sha256 or "00" * _SHA256_BYTES) for each in newest)
        uris = np.concatenate([np.array(list(self._recent), self._uris.dtype), self._uris])
        sizes = np.concatenate([np.array([each.size for each in newest], np.int64), self._sizes])
        hashes = np.concatenate([np.frombuffer(digests, np.uint8).reshape(-1, _SHA256_BYTES), self._hashes])
        self._uris, first = np.unique(uris, return_index=True)  # the first of equals, which is the newest
        self._sizes, self._hashes, self._recent = sizes[first], hashes[first], {}


def hashed(text: str, key: bytes) -> bytes:
    """16 bytes that stand for a text; without the key nobody can find two texts with the same."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES, key=key).digest()


def _joined(identity: Identity) -> str:
    uri, etag, size = identity
    return f"{uri}\n{etag}\n{size}"


def _find(ordered: Any, keys: list[bytes]) -> tuple[list[int], list[bool]]:
    """Where each key is in an ascending array, and whether it is there at all."""
    if not len(ordered) or not keys:
        return [0] * len(keys), [False] * len(keys)
    wanted = np.array(keys, ordered.dtype)
    positions = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return positions.tolist(), (ordered[positions] == wanted).tolist()
