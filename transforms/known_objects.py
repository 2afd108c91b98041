"""What the ledger knows of objects: held as Arrow, not as values, because there may be millions."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from schemas.objects import Replaced


class KnownObjects:
    """The ledger's objects, by identity (uri, etag, size) and, for changed ones, by uri."""

    def __init__(self, ledger: pa.Table) -> None:
        newest_last = ledger.select(["uri", "etag", "size", "body_sha256", "handled_at"]).sort_by("handled_at")
        self._identities = _identities(newest_last)
        self._uris = newest_last["uri"].combine_chunks()
        self._rows = newest_last

    def mark(self, listed: pa.Table) -> pa.ChunkedArray:
        """For each listed object (uri, etag, size) whether the ledger has it."""
        return pc.is_in(_identities(listed), value_set=self._identities)

    def replaced(self, uris: list[str]) -> Mapping[str, Replaced]:
        """What the ledger last knew of keys that are listed under another identity."""
        rows = self._rows.filter(pc.is_in(self._uris, value_set=pa.array(uris, pa.string())))
        columns = (rows[name].to_pylist() for name in ("uri", "size", "body_sha256"))
        return {uri: Replaced(size, sha256) for uri, size, sha256 in zip(*columns, strict=True)}


def _identities(table: pa.Table) -> pa.Array:
    parts = [table["uri"], table["etag"], table["size"].cast(pa.string())]
    joined = pc.binary_join_element_wise(*parts, "\n")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
