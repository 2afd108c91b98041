"""How the commands about digests are carried out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.arguments import refuse_rest, time_us
from pipeline.clock import now_us
from pipeline.storages import open_storage
from schemas.errors import UsageError
from schemas.keys import is_account, is_region
from schemas.times import DAY_US

if TYPE_CHECKING:
    from pipeline.log_trees import Scope

_YEAR_US = 366 * DAY_US


def _keys_fetch(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.keys_command import fetch_keys  # noqa: PLC0415 - boto3 is needed by some commands only

    refuse_rest(rest)
    until_us = now_us() if arguments.end is None else time_us("--end", arguments.end)
    from_us = until_us - _YEAR_US if arguments.start is None else time_us("--start", arguments.start)
    _refuse_scope((), arguments.region, (from_us, until_us))
    return fetch_keys(open_storage(arguments.output), arguments.region, (from_us, until_us), sys.stdout, sys.stderr)


def _keys_list(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.keys_command import print_keys  # noqa: PLC0415
    from pipeline.public_keys import lake_keys  # noqa: PLC0415

    refuse_rest(rest)
    print_keys(lake_keys(open_storage(arguments.output)), sys.stdout, as_json=arguments.json)
    return 0


def _fetch_digests(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.fetch_digests import fetch_digests  # noqa: PLC0415

    refuse_rest(rest)
    output = open_storage(arguments.output)
    return fetch_digests(arguments.input, output, _scope(arguments), sys.stdout, sys.stderr)


def _verify(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.verify_command import Verify, verify  # noqa: PLC0415 - Arrow is needed by some commands only

    refuse_rest(rest)
    options = Verify(
        inputs=tuple(arguments.input),
        now_us=now_us() if arguments.as_of == "now" else time_us("--as-of", arguments.as_of),
        keys=arguments.keys,
        output=arguments.output,
        original=arguments.original_location,
        scope=_scope(arguments),
        trails=tuple(arguments.trail),
        as_json=arguments.json,
        verbose=arguments.verbose,
        digests_only=arguments.digests_only,
    )
    return verify(options, sys.stdout, sys.stderr)


def _scope(arguments: argparse.Namespace) -> Scope:
    from pipeline.log_trees import Scope  # noqa: PLC0415

    from_us = None if arguments.start is None else time_us("--start", arguments.start)
    until_us = None if arguments.end is None else time_us("--end", arguments.end)
    _refuse_scope(arguments.account, arguments.region, (from_us, until_us))
    return Scope(tuple(arguments.account), tuple(arguments.region), from_us, until_us)


def _refuse_scope(accounts: Sequence[str], regions: Sequence[str], span_us: tuple[int | None, int | None]) -> None:
    problems = [f"--account {name}: not the 12 digits of an account" for name in accounts if not is_account(name)]
    problems += [f"--region {name}: not the name of a region" for name in regions if not is_region(name)]
    from_us, until_us = span_us
    if from_us is not None and until_us is not None and from_us > until_us:
        problems.append("--start comes after --end")
    if problems:
        raise UsageError(problems)


DIGEST_COMMANDS: Mapping[str, Callable[[argparse.Namespace, Sequence[str]], int]] = {
    "verify": _verify,
    "keys fetch": _keys_fetch,
    "keys list": _keys_list,
    "fetch-digests": _fetch_digests,
}
