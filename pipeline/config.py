"""The configuration file: canaries and the log path, in TOML."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.canary_secrets import KINDS, NamedSecrets
from pipeline.emission_config import read_emission
from pipeline.log_path_config import ACCOUNT, REGION, read_log_path
from pipeline.maintenance_config import read_maintenance
from pipeline.toml_table import Form, Table, quoted, type_name
from schemas.canaries import Canary, CanaryCode, Match, OpenAfter
from schemas.errors import UsageError
from schemas.settings import Config, DigestConfig
from transforms.canary_carriers import SESSION_NAME, is_carrier
from transforms.canary_match import match_problems
from transforms.canary_tokens import DEFAULT_PREFIX
from transforms.maintenance import with_maintenance

_TOP_KEYS = ("canary", "trail", "maintenance", "time_bombs", "digests", "allowed_lateness")
_CANARY_KEYS = ("name", "accounts", "regions", "period", "grace", "since", "open_after", "match", "code", "emit")
_DIGEST_KEYS = ("grace", "original_location")
_CODE_KEYS = ("carrier", "prefix", *KINDS)

_NAME = Form(
    "a name of 1 to 128 printable characters", re.compile(r"(?!\s)[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,128}(?<!\s)")
)
_PREFIX = Form(
    "a prefix of 2 to 16 characters such as tc-: a-z, 0-9 and -, a letter first", re.compile(r"[a-z][a-z0-9-]{1,15}")
)
_OPEN_AFTER = Form("N of M, such as 2 of 3", re.compile(r"[1-9][0-9]{0,2} of [1-9][0-9]{0,2}"))
_CARRIER = Form("the name of a carrier", re.compile(r"[^\x00-\x1f\x7f]{1,512}"))
_SECRET_NAME = Form("a name of 1 to 2048 printable characters", re.compile(r"[^\x00-\x1f\x7f]{1,2048}"))

_BUCKET = Form("s3://bucket or s3://bucket/prefix", re.compile(r"s3://[a-z0-9.-]{3,63}(/[^\x00-\x1f\x7f]{1,900})?"))

_MOST_SLOTS = 100

_BARE_ACCOUNT = re.compile(r"[\[=,\s]0[0-9]{11}[\],\s]")  # TOML knows no number with a leading zero


def load_config(text: str, source: str) -> Config:
    """Read a configuration file's text; `source` is its path, in messages and for files named beside it.

    `[[canary]]` has name, accounts, regions, period, grace, perhaps since, open_after, `[canary.match]` and perhaps
    `[canary.code]`; `[[trail]]` has name, account, home_region, bucket, perhaps kms_key, topic, queue, role, log_group,
    rule; `[[maintenance]]` has name, start, end, perhaps accounts, regions, canaries; `[time_bombs]` has warn;
    `[digests]` has perhaps grace and original_location;
    `allowed_lateness` stands above all. Anything else is refused.

    Raises:
        UsageError: with every problem found, each with its place.
    """
    problems: list[str] = []
    folder = Path(source).absolute().parent
    top = Table("top level", _parse(text, source), problems)
    top.refuse_unknown(_TOP_KEYS)
    canaries = tuple(_canary(at, entries, folder, problems) for at, entries in enumerate(top.tables("canary"), 1))
    log_path = read_log_path(
        _tables(top, "trail", problems), top.inner("time_bombs") if top.has("time_bombs") else None
    )
    names = [canary.name for canary in canaries]
    maintenance = read_maintenance(_tables(top, "maintenance", problems), names)
    _refuse_twice(problems, "canary", names)
    _refuse_twice(problems, "maintenance", [window.name for window in maintenance])
    _refuse_twice(problems, "trail", [f"{trail.name} of {trail.account}" for trail in log_path.trails if trail.account])
    lateness_us = top.duration_us("allowed_lateness") if top.has("allowed_lateness") else Config().allowed_lateness_us
    digests = _digests(top.inner("digests")) if top.has("digests") else DigestConfig()
    if problems:
        raise UsageError([f"{source}: {problem}" for problem in problems])
    return Config(with_maintenance(canaries, maintenance), log_path, lateness_us, maintenance, digests)


def _digests(table: Table) -> DigestConfig:
    table.refuse_unknown(_DIGEST_KEYS)
    grace_us = table.duration_us("grace") if table.has("grace") else DigestConfig().grace_us
    location = table.string("original_location", _BUCKET) if table.has("original_location") else None
    return DigestConfig(grace_us, location)


def _tables(top: Table, key: str, problems: list[str]) -> list[Table]:
    return [Table(_place(key, at, entries), entries, problems) for at, entries in enumerate(top.tables(key), 1)]


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))  # the mark that some editors on Windows begin files with
    except ValueError as error:  # TOMLDecodeError, which says the line; and numbers beyond Python's limit
        hint = "; an account id must stand in quotes" if _BARE_ACCOUNT.search(text) else ""
        raise UsageError([f"{source}: not TOML: {error}{hint}"]) from error
    except RecursionError:
        raise UsageError([f"{source}: not a configuration: nested too deeply"]) from None


def _canary(at: int, entries: dict[str, Any], folder: Path, problems: list[str]) -> Canary:
    table = Table(_place("canary", at, entries), entries, problems)
    table.refuse_unknown(_CANARY_KEYS)
    name = table.string("name", _NAME)  # problems are told in this order
    accounts = table.strings("accounts", ACCOUNT)
    code = _code(table.inner("code"), folder) if table.has("code") else None
    return Canary(
        name=name,
        accounts=accounts,
        regions=table.strings("regions", REGION),
        period_us=table.duration_us("period"),
        grace_us=table.duration_us("grace"),
        since_us=table.moment_us("since") if table.has("since") else None,
        open_after=_open_after(table) if table.has("open_after") else OpenAfter(),
        match=tuple(_match(table, field, value) for field, value in table.table("match").items()),
        code=code,
        emission=read_emission(table.inner("emit"), accounts, code) if table.has("emit") else None,
    )


def _open_after(table: Table) -> OpenAfter:
    misses, _, slots = table.string("open_after", _OPEN_AFTER).partition(" of ")
    if not slots:
        return OpenAfter()
    if not int(misses) <= int(slots) <= _MOST_SLOTS:
        table.note(f"open_after: {misses} of {slots} is not N of M with N up to M and M up to {_MOST_SLOTS}")
    return OpenAfter(int(misses), int(slots))


def _code(table: Table, folder: Path) -> CanaryCode | None:
    """`[canary.code]`: a carrier, perhaps a prefix, and one of `KINDS`, a name or an array of two, the newest first."""
    table.refuse_unknown(_CODE_KEYS)
    carrier = table.string("carrier", _CARRIER)
    if carrier and not is_carrier(carrier):
        table.note(
            f'carrier: {quoted(carrier)} is neither "{SESSION_NAME}" nor a field of the archive such as '
            "request_parameters.clientToken, user_agent or error_message"
        )
    prefix = table.string("prefix", _PREFIX) if table.has("prefix") else DEFAULT_PREFIX
    kinds = [kind for kind in KINDS if table.has(kind)]
    if len(kinds) != 1:
        table.note(f"name one of {', '.join(KINDS)}" + (f", not {len(kinds)} of them" if kinds else ""))
        return None
    names = table.one_or_more(kinds[0], _SECRET_NAME)
    if len(names) > 2:
        table.note(f"{kinds[0]}: two secrets may be valid at once, not {len(names)}")
    if kinds[0] == "secret_file":
        names = tuple(str(folder / name) for name in names)
    return CanaryCode(carrier, prefix, NamedSecrets(kinds[0], names))


def _match(canary: Table, field: str, value: object) -> Match:
    globs = tuple(value) if isinstance(value, list) else (value,)
    if isinstance(value, dict):
        inner = next(iter(value), "…")
        canary.note(f"match: a dotted name must stand in quotes: {quoted(f'{field}.{inner}')} = …")
    elif wrong := [type_name(glob) for glob in globs if not isinstance(glob, str)]:
        canary.note(f"match {quoted(field)} must be a string or an array of strings, not {wrong[0]}")
    elif "" in globs:
        canary.note(f"match {quoted(field)}: an empty pattern matches nothing")
    else:
        match = Match(field, globs)
        for problem in match_problems(match):
            canary.note(f"match: {problem}")
        return match
    return Match(field, ())


def _place(kind: str, at: int, entries: dict[str, Any]) -> str:
    name = entries.get("name")
    return f"{kind} {quoted(name)}" if isinstance(name, str) and name else f"{kind} number {at}"


def _refuse_twice(problems: list[str], kind: str, names: list[str]) -> None:
    for name, times in Counter(filter(None, names)).items():
        if times > 1:
            problems.append(f"{kind} {quoted(name)}: declared {times} times")
