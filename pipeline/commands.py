"""What each command takes, and how it is carried out."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeline.clock import now_us
from pipeline.storages import open_storage
from schemas.errors import UsageError
from schemas.settings import MIB, Clock, Config, Limits, Settings
from schemas.times import parse_duration_us, parse_iso_us

Command = Callable[[argparse.Namespace, Sequence[str]], int]
_DEFAULTS = Limits()
_LAMENT = "ignore:resource_tracker:UserWarning"  # what Python's helper says as it cleans up after a run that is stopped


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser("trailcanary", description="Tells whether an AWS audit log has gone blind.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="archive what is new, judge canaries, raise alerts", allow_abbrev=False))
    _add_simulate(commands.add_parser("simulate", help="write a CloudTrail bucket, with attacks", allow_abbrev=False))
    _add_query(commands.add_parser("query", help="ask the lake in SQL; without SQL, an overview", allow_abbrev=False))
    _add_compact(commands.add_parser("compact", help="merge a lake's small files", allow_abbrev=False))
    _add_export(commands.add_parser("export", help="the records again, one JSON object a line", allow_abbrev=False))
    return top


def _add_run(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--input", action="append", required=True, metavar="URI", help="a folder or s3://bucket/prefix; repeatable")
    add("--output", required=True, metavar="URI", help="the lake: a folder or s3://bucket/prefix")
    add("--config", metavar="FILE", help="canaries and the log path, in TOML")
    add("--as-of", default="now", metavar="now|data|TIME", help="judge slots whose deadline has passed by then (now)")
    add("--rules", action="append", default=[], metavar="DIR", help="Sigma rules of your own; repeatable")
    add("--workers", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes that read (all cores)")
    add("--max-object-mb", type=_positive, default=_DEFAULTS.max_object_bytes // MIB, metavar="MB",
        help="objects that inflate to more become dead letters (%(default)s)")  # fmt: skip
    add("--replay-dead-letters", action="store_true", help="try again what could not be read")
    add("--json", action="store_true", help="print the summary as JSON")
    command.epilog = "Any other option goes to Beam, --runner for one; one that Beam does not know is refused."


def _add_simulate(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--output", required=True, metavar="DIR", help="the bucket to write: a folder or s3://bucket/prefix")
    add("--seed", type=int, default=1, metavar="N", help="equal seeds give equal bytes (%(default)s)")
    add("--start", default="2026-11-01T00:00:00Z", metavar="T", help="start of the simulated time (%(default)s)")
    add("--hours", type=float, default=24.0, metavar="H", help="how long (%(default)s)")
    add("--accounts", type=_positive, default=3, metavar="N", help="member accounts, besides security's (%(default)s)")
    add("--regions", default="us-east-1,eu-west-1", metavar="a,b", help="regions of each account (%(default)s)")
    add("--rate", type=_positive, default=4000, metavar="EVENTS_PER_HOUR", help="events in all (%(default)s)")
    add(
        "--attack",
        action="append",
        default=[],
        metavar="NAME",
        help="what goes wrong; repeatable (a wrong name lists all)",
    )


def _add_query(command: argparse.ArgumentParser) -> None:
    command.add_argument("--output", required=True, metavar="URI", help="the lake")
    command.add_argument("--format", choices=["table", "csv", "json"], default="table", help="(%(default)s)")
    command.add_argument("sql", nargs="?", metavar="SQL", help="a query over the lake's views")


def _add_compact(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--output", required=True, metavar="URI", help="the lake; a run may be at work on it")
    add("--keep", default="1h", metavar="TIME", help="keep superseded files for readers that have begun (%(default)s)")
    add("--settle", default="1h", metavar="TIME", help="leave younger files alone (%(default)s)")
    add("--dry-run", action="store_true", help="say what would be merged, and write nothing")
    add("--json", action="store_true", help="print the summary as JSON")
    command.epilog = (
        "Call it every hour or so. A query that lasts longer than --keep can find a file gone, and then says so."
    )


def _add_export(command: argparse.ArgumentParser) -> None:
    command.add_argument("--output", required=True, metavar="URI", help="the lake")
    command.add_argument("--where", metavar="SQL", help="a condition on the view `events`")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def _refuse_rest(rest: Sequence[str]) -> None:
    if rest:
        raise UsageError([f"unknown argument {argument}" for argument in rest])


def _run(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    logging.basicConfig(level=logging.CRITICAL)  # runners log the failures that we report, with their tracebacks
    if _LAMENT not in sys.warnoptions:
        sys.warnoptions.append(_LAMENT)
    from pipeline.beam_arguments import beam_arguments  # noqa: PLC0415 - Beam takes a second to load
    from pipeline.run import new_run_id, run  # noqa: PLC0415
    from pipeline.summary import print_summary  # noqa: PLC0415

    started_us = now_us()
    beam, one_process = beam_arguments(rest)
    settings = Settings(
        run_id=new_run_id(started_us),
        inputs=tuple(arguments.input),
        output=arguments.output,
        clock=Clock(started_us, _as_of_us(arguments.as_of, started_us)),
        config=_config(arguments.config),
        limits=Limits(max_object_bytes=arguments.max_object_mb * MIB),
        rule_folders=tuple(arguments.rules),
        workers=arguments.workers if one_process else 1,
        replay=arguments.replay_dead_letters,
    )
    outcome = run(settings, beam)
    return print_summary(outcome, settings, sys.stdout, as_json=arguments.json)


def _as_of_us(text: str, started_us: int) -> int | None:
    if text in ("now", "data"):
        return started_us if text == "now" else None
    return _time_us("--as-of", text)


def _time_us(option: str, text: str) -> int:
    try:
        return parse_iso_us(text)
    except ValueError:
        raise UsageError([f"{option} {text}: not a time such as 2026-11-01T12:00:00Z"]) from None


def _config(path: str | None) -> Config:
    from pipeline.config import load_config  # noqa: PLC0415 - the names that it checks come from Arrow

    if path is None:
        return Config()
    try:
        return load_config(Path(path).read_text("utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError([f"--config {path}: {error}"]) from None


def _simulate(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.simulate import write_simulation  # noqa: PLC0415 - numpy takes its time
    from transforms.simulation import Scenario  # noqa: PLC0415

    _refuse_rest(rest)
    scenario = Scenario(
        seed=arguments.seed,
        start_us=_time_us("--start", arguments.start),
        hours=arguments.hours,
        accounts=arguments.accounts,
        regions=tuple(region for region in arguments.regions.split(",") if region),
        rate=arguments.rate,
        attacks=tuple(arguments.attack),
    )
    return write_simulation(open_storage(arguments.output), scenario, sys.stdout)


def _query(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.query import run_query  # noqa: PLC0415 - DuckDB is needed here only

    _refuse_rest(rest)
    run_query(open_storage(arguments.output), arguments.sql, arguments.format, sys.stdout)
    return 0


def _compact(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.compact import Options, compact, dry_run  # noqa: PLC0415 - Arrow is needed by some commands only
    from pipeline.compact_summary import print_plan, print_report  # noqa: PLC0415

    _refuse_rest(rest)
    lake = open_storage(arguments.output)
    options = Options(_duration_us("--keep", arguments.keep), _duration_us("--settle", arguments.settle))
    if arguments.dry_run:
        plan, before = dry_run(lake, options, now_us())
        print_plan(plan, options, before, sys.stdout, as_json=arguments.json)
    else:
        print_report(compact(lake, options, now_us), options, sys.stdout, as_json=arguments.json)
    return 0


def _duration_us(option: str, text: str) -> int:
    try:
        return 0 if text == "0s" else parse_duration_us(text)
    except ValueError:
        raise UsageError([f"{option} {text}: not a length of time such as 30m or 1h"]) from None


def _export(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.export import export_records  # noqa: PLC0415 - DuckDB is needed here only

    _refuse_rest(rest)
    export_records(open_storage(arguments.output), arguments.where, sys.stdout.buffer)
    return 0


COMMANDS: Mapping[str, Command] = {
    "run": _run,
    "simulate": _simulate,
    "query": _query,
    "compact": _compact,
    "export": _export,
}
