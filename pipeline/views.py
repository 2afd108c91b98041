"""The DuckDB views of a lake: `views.sql` with the lake's address filled in."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

import msgspec
import pyarrow as pa

from schemas.alerts import ALERT_AVRO
from schemas.archive import ARCHIVE_SCHEMA
from schemas.balance import BalanceSheet
from schemas.canaries import SIGHTING_SCHEMA, VERDICT_SCHEMA
from schemas.compactions import FOLDER, MERGED
from schemas.digest_files import DIGEST_SCHEMA
from schemas.objects import LEDGER_SCHEMA
from schemas.sight import SIGHT_SCHEMA
from schemas.storage import Storage
from transforms.compactions import Compactions

FILE_NAME = "views.sql"
PATTERNS = {
    "events": "events/event_date=*/*.parquet",
    "objects": "objects/*.parquet",
    "sightings": "canaries/sightings-*.parquet",
    "verdicts": "canaries/verdicts-*.parquet",
    "digests": "digests/*.parquet",
    "sight": "sight/*.parquet",
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
_COMPACTION = json.dumps(
    {
        "name": "VARCHAR",
        "committed_at": "VARCHAR",
        "files": [{"folder": "VARCHAR", "names": ["VARCHAR"], "live": "BOOLEAN"}],
        **dict.fromkeys(("rows_read", "rows_written", "copies_removed", "copies_before", "conflicts"), "BIGINT"),
    }
)
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


def lake_files(storage: Storage, compactions: Compactions, kind: str) -> list[str]:
    """Paths of the lake's files of a kind, a key of `PATTERNS`, that count, in order. Raises StorageError.

    The compactions must have been read before.
    """
    return sorted(filter(compactions.counts, _files(storage, kind)))


def _files(storage: Storage, kind: str) -> Iterator[str]:
    pattern = PATTERNS[kind]
    paths = (stat.path for stat in storage.list(pattern.partition("/")[0] + "/"))
    return (path for path in paths if fnmatch.fnmatchcase(path, pattern))


def views_sql(root: str, present: frozenset[str], files: Mapping[str, Sequence[str]] | None = None) -> str:
    """The script that makes every view over the lake at `root`, a folder or `s3://bucket/prefix`.

    DuckDB refuses to read a pattern that matches nothing, so a kind that is not `present` becomes an empty relation
    with the same columns: every view always exists. With `files`, paths by kind, the views are over these alone, in
    this order; else over all that count whenever somebody asks.
    """
    template = Template(resources.files("pipeline").joinpath(FILE_NAME).read_text("utf-8"))
    relations = {
        kind: _source(kind, root, None if files is None else files[kind]) if kind in present else _empty(COLUMNS[kind])
        for kind in PATTERNS
    }
    relations["compactions"] = _compactions(root)
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
    numbers = dict.fromkeys(("alerts", "suppressed"), "BIGINT")
    return {**texts, "inputs": "VARCHAR[]", **numbers, "balance": f"STRUCT({counts})"}


COLUMNS: dict[str, dict[str, str]] = {
    "events": {**_arrow_columns(ARCHIVE_SCHEMA), "event_date": "DATE"},
    "objects": _arrow_columns(LEDGER_SCHEMA),
    "sightings": _arrow_columns(SIGHTING_SCHEMA),
    "verdicts": _arrow_columns(VERDICT_SCHEMA),
    "digests": _arrow_columns(DIGEST_SCHEMA),
    "sight": _arrow_columns(SIGHT_SCHEMA),
    "alerts": _alert_columns(),
    "runs": _run_columns(),
}
"""Each kind's columns and their DuckDB types."""


def _empty(columns: dict[str, str]) -> str:
    nulls = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in columns.items())
    return f"(SELECT {nulls} WHERE false)"


def _source(kind: str, root: str, paths: Sequence[str] | None) -> str:
    pattern = literal(f"{_glob_escaped(root)}/{PATTERNS[kind]}")
    if PATTERNS[kind].endswith(".parquet"):
        listed = None if paths is None else [literal(_glob_escaped(f"{root}/{path}")) for path in paths]
        return _parquet(kind, root, pattern if listed is None else f"[{', '.join(listed)}]", every=listed is None)
    layout = "newline_delimited" if PATTERNS[kind].endswith(".jsonl") else "unstructured"
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in COLUMNS[kind].items())
    return f"read_json({pattern}, format = '{layout}', columns = {{{columns}}}, hive_partitioning = false)"


def _parquet(kind: str, root: str, files: str, *, every: bool) -> str:
    columns, options = "file.*", "hive_partitioning = false"
    if kind == "events" and "=" in root:  # DuckDB takes every `name=value` of the whole path for a column
        columns += ", CAST(event_time AT TIME ZONE 'UTC' AS DATE) AS event_date"
    elif kind == "events":
        options = "hive_partitioning = true, hive_types = {'event_date': DATE}"
    read = f"read_parquet({files}, {options}) AS file"
    return f"(SELECT {columns} FROM {_counting(read, root) if every else read})"  # noqa: S608 - quoted


def _counting(file: str, root: str) -> str:
    """Of all files those that count, as `Compactions.counts` has it.

    DuckDB lists the files of a FROM clause as it binds it, from left to right. So the compactions are known before the
    files that they are about: one that commits in between is not seen at all, rather than half.
    """
    path = f"substr(file.filename, {len(root) + 2})"
    join = f"({_ruled(root)}) AS ruled RIGHT JOIN {file} ON ruled.path = {path}"
    return f"{join} WHERE coalesce(ruled.counts, NOT contains({path}, '{MERGED}'))"


def _ruled(root: str) -> str:
    """Each path that a compaction names, and whether it counts."""
    return (
        "SELECT path, bool_and(live) AS counts FROM ("  # noqa: S608 - quoted
        "SELECT ruling.folder || '/' || unnest(ruling.names) AS path, ruling.live AS live FROM ("
        f"SELECT unnest(compaction.files) AS ruling FROM {_compactions(root)})) GROUP BY path"
    )


def _compactions(root: str) -> str:
    """Every compaction; no error where there is none yet, since the first may come while a session lasts."""
    files = literal(f"{_glob_escaped(root)}/{FOLDER}/*.json")
    return f"(SELECT from_json(content, '{_COMPACTION}') AS compaction FROM read_text({files}))"  # noqa: S608


def _glob_escaped(root: str) -> str:
    """A path in which DuckDB's patterns find only itself; a backslash cannot be quoted, it counts as a slash."""
    return re.sub(r"[\[\]*?]", r"[\g<0>]", root)
