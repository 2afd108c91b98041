"""A DuckDB connection that has a lake's views."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import fastavro
import pyarrow as pa

from pipeline.compactions import encode_compaction, read_compactions
from pipeline.local_storage import LocalStorage
from pipeline.views import PATTERNS, lake_files, views_sql
from schemas.dead_letters import DEAD_LETTER_AVRO
from schemas.errors import LakeDamaged, UsageError
from schemas.storage import Storage

_DOWNLOADS = 16
_AVRO_DAMAGE = (ValueError, EOFError, IndexError, KeyError, StopIteration, zlib.error)
_ARROW_TYPES = {"long": pa.int64(), "bytes": pa.binary()}


@contextlib.contextmanager
def connect(storage: Storage) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB with the views of `pipeline/views.sql` over the lake, while the context lasts.

    A bucket's files are first copied into a temporary folder, and standard error says so: DuckDB reads buckets only
    with an extension that it would have to download.

    Raises:
        UsageError: there is no lake.
        LakeDamaged: DuckDB cannot read a file of the lake.
        StorageError: a file could not be listed or copied.
    """
    with contextlib.ExitStack() as stack:
        local = stack.enter_context(_mirror(storage)) if storage.remote else storage
        compactions = read_compactions(local)
        files = {kind: lake_files(local, compactions, kind) for kind in PATTERNS}
        present = frozenset(kind for kind, paths in files.items() if paths)
        if not present:
            raise UsageError([f"{storage.root}: no lake there; `trailcanary run --output` makes one"])
        connection = stack.enter_context(duckdb.connect())
        try:
            connection.execute("SET python_enable_replacements = false")  # a table is no variable of this program
            connection.execute(views_sql(local.root, present, files))
        except duckdb.Error as error:
            raise LakeDamaged(f"{storage.root}: {error}") from error
        yield connection


def dead_letters(storage: Storage) -> pa.Table:
    """All dead letters of the lake, under the names of `DEAD_LETTER_AVRO`.

    Raises LakeDamaged, which names the file, where one is not Avro; StorageError.
    """
    paths = sorted(stat.path for stat in storage.list("dead_letters/") if stat.path.endswith(".avro"))
    rows: list[Any] = []
    for path in paths:
        body = storage.read(path).body
        try:
            rows += fastavro.reader(io.BytesIO(body))
        except _AVRO_DAMAGE as error:
            raise LakeDamaged(f"{storage.root}/{path}: not an Avro file of dead letters: {error}") from error
    schema = pa.schema([(field["name"], _arrow_type(field["type"])) for field in DEAD_LETTER_AVRO["fields"]])
    return pa.Table.from_pylist(rows, schema=schema)


def _arrow_type(avro: Any) -> pa.DataType:
    named = avro[-1] if isinstance(avro, list) else avro
    return _ARROW_TYPES.get(named, pa.string()) if isinstance(named, str) else pa.string()


@contextlib.contextmanager
def _mirror(storage: Storage) -> Iterator[LocalStorage]:
    """A temporary copy of all files that views read. Of compactions it has those that were known before the rest."""
    with tempfile.TemporaryDirectory(prefix="trailcanary-") as folder:
        copy = LocalStorage(folder)

        def download(path: str) -> None:
            copy.write(path, storage.read(path).body)

        for record in (compactions := read_compactions(storage)).all:
            copy.write(record.path, encode_compaction(record))
        paths = [path for kind in PATTERNS for path in lake_files(storage, compactions, kind)]
        if paths:
            sys.stderr.write(f"copying {len(paths):,} files of {storage.root} into a temporary folder\n")
        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            for _ in pool.map(download, paths):
                pass
        yield copy
