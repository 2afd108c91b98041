"""Objects that several parts of the ledger have rows of: replayed, or changed under their key."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_Hashes = npt.NDArray[np.int64]


class RepeatedObjects:
    """Eight bytes an object. Hashes that collide make an object look repeated, which is harmless."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        self._hashes: list[_Hashes] = []

    def add(self, path: str, uris: pa.ChunkedArray) -> None:
        """Take in a part of the ledger."""
        self._paths.append(path)
        self._hashes.append(np.unique(_hashed(uris.to_pylist())))

    def outside(self, group: Collection[str], uris: pa.ChunkedArray) -> pa.Array:
        """Those of the group's objects that parts outside have rows of too."""
        distinct = uris.unique().to_pylist()
        others = [hashes for path, hashes in zip(self._paths, self._hashes, strict=True) if path not in group]
        if not others:
            return pa.array([], pa.string())
        shared = np.isin(_hashed(distinct), np.concatenate(others))
        return pa.array([uri for uri, too in zip(distinct, shared.tolist(), strict=True) if too], pa.string())


def _hashed(uris: list[str]) -> _Hashes:
    return np.fromiter(map(hash, uris), np.int64, len(uris))
