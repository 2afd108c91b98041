"""The DuckDB views of a lake: `views.sql` with the lake's address filled in."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from importlib import resources
from itertools import chain
from string import Template
from typing import Any

import msgspec
import pyarrow as pa

from schemas.alerts import ALERT_AVRO
from schemas.archive import ARCHIVE_SCHEMA
from schemas.balance import BalanceSheet
from schemas.canaries import SIGHTING_SCHEMA, VERDICT_SCHEMA
from schemas.objects import LEDGER_SCHEMA
from schemas.storage import Storage

FILE_NAME = "views.sql"
PATTERNS = {
    "events": "events/event_date=*/*.parquet",
    "objects": "objects/*.parquet",
    "sightings": "canaries/sightings-*.parquet",
    "verdicts": "canaries/verdicts-*.parquet",
    "alerts": "alerts/*.jsonl",
    "runs": "runs/*.json",
}
"""Where each kind of file that a view reads lies below the lake."""

_ALERT_TIMES = frozenset({"window_start", "window_end", "detected_at"})
_AVRO_TYPES = {"string": "VARCHAR", "long": "BIGINT", "bytes": "BLOB"}
_ARROW_TYPES = {
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}
_S3_PREAMBLE = """
INSTALL httpfs; LOAD httpfs;
INSTALL aws; LOAD aws;
CREATE OR REPLACE SECRET trailcanary (TYPE s3, PROVIDER credential_chain, SCOPE {scope});
"""


def write_views(storage: Storage) -> None:
    """Write the lake's `views.sql`, for what the lake holds now. Raises StorageError."""
    storage.write(FILE_NAME, views_sql(storage.root, kinds_present(storage)).encode())


def kinds_present(storage: Storage) -> frozenset[str]:
    """The keys of `PATTERNS` that the lake has a file of. Raises StorageError."""
    return frozenset(kind for kind in PATTERNS if any(True for _ in _files(storage, kind)))


def lake_files(storage: Storage, *kinds: str) -> Iterator[str]:
    """Paths of the lake's files of some kinds, keys of `PATTERNS`. Raises StorageError."""
    return chain.from_iterable(_files(storage, kind) for kind in kinds)


def _files(storage: Storage, kind: str) -> Iterator[str]:
    pattern = PATTERNS[kind]
    paths = (stat.path for stat in storage.list(pattern.partition("/")[0] + "/"))
    return (path for path in paths if fnmatch.fnmatchcase(path, pattern))


def views_sql(root: str, present: frozenset[str]) -> str:
    """The script that makes every view over the lake at `root`, a folder or `s3://bucket/prefix`.

    DuckDB refuses to read a pattern that matches nothing, so a kind that is not `present` becomes an empty relation
    with the same columns: every view always exists.
    """
    template = Template(resources.files("pipeline").joinpath(FILE_NAME).read_text("utf-8"))
    relations = {kind: _source(kind, root) if kind in present else _empty(COLUMNS[kind]) for kind in PATTERNS}
    preamble = _S3_PREAMBLE.format(scope=literal(root)) if root.startswith("s3://") else ""
    return template.substitute(relations, preamble=preamble)


def literal(text: str) -> str:
    """A SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted SQL name."""
    return '"' + name.replace('"', '""') + '"'


def duckdb_type(arrow: pa.DataType) -> str:
    """DuckDB's name for the type of a column of ours."""
    if pa.types.is_list(arrow):
        return f"{duckdb_type(arrow.value_type)}[]"
    if pa.types.is_struct(arrow):
        return "STRUCT(" + ", ".join(f"{identifier(field.name)} {duckdb_type(field.type)}" for field in arrow) + ")"
    return _ARROW_TYPES[arrow]


def _arrow_columns(schema: pa.Schema) -> dict[str, str]:
    return {field.name: duckdb_type(field.type) for field in schema}


def _avro_type(avro: Any) -> str:
    if isinstance(avro, list):
        (avro,) = (part for part in avro if part != "null")
    if isinstance(avro, str):
        return _AVRO_TYPES[avro]
    if avro["type"] == "array":
        return f"{_avro_type(avro['items'])}[]"
    return "STRUCT(" + ", ".join(f"{identifier(f['name'])} {_avro_type(f['type'])}" for f in avro["fields"]) + ")"


def _alert_columns() -> dict[str, str]:
    names = [field["name"] for field in ALERT_AVRO["fields"]]
    types = [_avro_type(field["type"]) for field in ALERT_AVRO["fields"]]
    return {name: "TIMESTAMPTZ" if name in _ALERT_TIMES else kind for name, kind in zip(names, types, strict=True)}


def _run_columns() -> dict[str, str]:
    counts = ", ".join(f"{identifier(name)} BIGINT" for name in msgspec.structs.asdict(BalanceSheet()))
    texts = dict.fromkeys(("run_id", "started_at", "finished_at", "as_of", "completed_by"), "VARCHAR")
    return {**texts, "inputs": "VARCHAR[]", "alerts": "BIGINT", "balance": f"STRUCT({counts})"}


COLUMNS: dict[str, dict[str, str]] = {
    "events": {**_arrow_columns(ARCHIVE_SCHEMA), "event_date": "DATE"},
    "objects": _arrow_columns(LEDGER_SCHEMA),
    "sightings": _arrow_columns(SIGHTING_SCHEMA),
    "verdicts": _arrow_columns(VERDICT_SCHEMA),
    "alerts": _alert_columns(),
    "runs": _run_columns(),
}
"""Each kind's columns and their DuckDB types."""


def _empty(columns: dict[str, str]) -> str:
    nulls = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in columns.items())
    return f"(SELECT {nulls} WHERE false)"


def _source(kind: str, root: str) -> str:
    files = literal(f"{_glob_escaped(root)}/{PATTERNS[kind]}")
    if kind == "events":
        return _events(files, root)
    if PATTERNS[kind].endswith(".parquet"):
        return f"read_parquet({files}, hive_partitioning = false)"
    layout = "newline_delimited" if PATTERNS[kind].endswith(".jsonl") else "unstructured"
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in COLUMNS[kind].items())
    return f"read_json({files}, format = '{layout}', columns = {{{columns}}}, hive_partitioning = false)"


def _events(files: str, root: str) -> str:
    if "=" in root:  # DuckDB takes every `name=value` of the whole path for a column, over the file's own
        day = "CAST(event_time AT TIME ZONE 'UTC' AS DATE) AS event_date"
        return f"(SELECT *, {day} FROM read_parquet({files}, hive_partitioning = false))"  # noqa: S608 - quoted
    return f"read_parquet({files}, hive_partitioning = true, hive_types = {{'event_date': DATE}})"


def _glob_escaped(root: str) -> str:
    """A path in which DuckDB's patterns find only itself; a backslash cannot be quoted, it counts as a slash."""
    return re.sub(r"[\[\]*?]", r"[\g<0>]", root)
