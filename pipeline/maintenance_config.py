"""`[[maintenance]]`: times in which what concerns some places pages nobody."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence

from pipeline.toml_table import Form, Table, quoted
from schemas.maintenance import Maintenance
from schemas.times import DAY_US

_KEYS = ("name", "start", "end", "accounts", "regions", "canaries")
_LONGEST_US = 31 * DAY_US
_NAME = Form("a name of 1 to 64 letters, digits and . _ -", re.compile(r"[A-Za-z0-9._-]{1,64}"))
_ACCOUNT = Form(
    "an account id of 12 digits, or a pattern such as 1111*", re.compile(r"[0-9]{12}|(?=.*[*?[])[][0-9*?!-]{1,64}")
)
_REGION = Form(
    "a region, or a pattern such as eu-*",
    re.compile(r"[a-z]{2,5}(-[a-z]{2,20}){1,3}-[0-9]{1,2}|(?=.*[*?[])[][a-z0-9*?!-]{1,64}"),
)
_CANARY = Form("the name of a canary, or a pattern", re.compile(r"[^\x00-\x1f\x7f]{1,128}"))


def read_maintenance(tables: Iterable[Table], canaries: Sequence[str]) -> tuple[Maintenance, ...]:
    """Read the tables, beside canaries with those names; what is wrong is noted in each."""
    return tuple(_window(table, canaries) for table in tables)


def _window(table: Table, canaries: Sequence[str]) -> Maintenance:
    table.refuse_unknown(_KEYS)
    window = Maintenance(
        name=table.string("name", _NAME),
        start_us=_moment_us(table, "start"),
        end_us=_moment_us(table, "end"),
        accounts=_globs(table, "accounts", _ACCOUNT),
        regions=_globs(table, "regions", _REGION),
        canaries=_globs(table, "canaries", _CANARY),
    )
    for glob in window.canaries:
        if not any(fnmatch.fnmatchcase(name, glob) for name in canaries):
            table.note(f"canaries: {quoted(glob)} is no canary of this file")
    if window.start_us and window.end_us:
        if window.end_us <= window.start_us:
            table.note("end must lie after start")
        elif window.end_us - window.start_us > _LONGEST_US:
            table.note("end lies more than 31 days after start")
    return window


def _moment_us(table: Table, key: str) -> int:
    if table.has(key):
        return table.moment_us(key)
    table.note(f"{key} is missing")
    return 0


def _globs(table: Table, key: str, form: Form) -> tuple[str, ...]:
    return table.strings(key, form) if table.has(key) else ()
