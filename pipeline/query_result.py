"""A query's rows as a table for people, as CSV or as JSON."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, TextIO

import duckdb
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.alert_table import printable
from schemas.times import datetime_us, format_duration_us, format_us

FORMATS = ("table", "csv", "json")
_BATCH_ROWS = 1_000
_TABLE_ROWS = 1_000
_PIPE_COLUMNS = 10_000
_CELL_COLUMNS = 40

Row = tuple[Any, ...]


class Result(msgspec.Struct):
    """Column names, and the rows as they come."""

    names: tuple[str, ...]
    rows: Iterator[Row]


def result_of(connection: duckdb.DuckDBPyConnection) -> Result:
    """The result of what the connection executed last; no columns where that was no query."""
    names = tuple(str(column[0]) for column in connection.description or ())
    return Result(names, _rows(connection) if names else iter(()))


def write_result(result: Result, fmt: str, out: TextIO) -> None:
    """Write a result: `csv` with a header, `json` as one array, `table` for people, cut after a thousand rows."""
    if fmt == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(result.names)
        writer.writerows([_csv_cell(value) for value in row] for row in result.rows)
    elif fmt == "json":
        _write_json(result, out)
    else:
        write_table(result, out)


def write_table(result: Result, out: TextIO) -> None:
    """A table as wide as it needs to be in a pipe; on a terminal too narrow for it, each row as a block of lines."""
    console = Console(file=out, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = _PIPE_COLUMNS
    rows = [[_cell(value) for value in row] for row in itertools.islice(result.rows, _TABLE_ROWS)]
    if _width(result.names, rows) <= console.width:
        _print_grid(result.names, rows, console)
    else:
        _print_blocks(result.names, rows, console)
    if next(result.rows, None) is not None:
        console.print(Text(f"more than {_TABLE_ROWS:,} rows; `--format csv` or `json` writes them all", style="dim"))


def write_block(result: Result, out: TextIO) -> None:
    """Each row as lines of name and value, with thousands marked: for counts."""
    console = Console(file=out, highlight=False, emoji=False, markup=False)
    rows = [[f"{value:,}" if isinstance(value, int) else _cell(value) for value in row] for row in result.rows]
    _print_blocks(result.names, rows, console)


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    while batch := connection.fetchmany(_BATCH_ROWS):
        yield from batch


def _write_json(result: Result, out: TextIO) -> None:
    out.write("[")
    for number, row in enumerate(result.rows):
        fields = {name: _plain(value) for name, value in zip(result.names, row, strict=True)}
        out.write(",\n" if number else "\n")
        json.dump(fields, out, ensure_ascii=False, separators=(",", ":"))
    out.write("\n]\n")


def _plain(value: Any) -> Any:
    """A value as JSON has it: ISO 8601 times, base64 bytes, null for what is no number."""
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, dt.datetime):
        return format_us(datetime_us(value)) if value.tzinfo else value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _csv_cell(value: Any) -> Any:
    plain = _plain(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, dict | list | bool) else plain


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, dt.timedelta):
        sign = "-" if value < dt.timedelta(0) else ""
        return sign + format_duration_us(abs(value) // dt.timedelta(microseconds=1))
    return printable(str(_csv_cell(value)))


def _width(names: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """The columns that a table takes when no cell has more than some forty of them."""
    cells = zip(names, *rows, strict=True)
    return sum(min(_CELL_COLUMNS, max(map(len, column))) + 3 for column in cells) + 1


def _print_grid(names: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False)
    for name in names:
        table.add_column(Text(printable(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _print_blocks(names: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    for number, row in enumerate(rows):
        if number:
            console.print()
        block = Table.grid(padding=(0, 2, 0, 0))
        block.add_column(no_wrap=True)
        block.add_column(overflow="fold")
        for name, cell in zip(names, row, strict=True):
            block.add_row(Text(printable(name), style="bold"), Text(cell))
        console.print(block)
