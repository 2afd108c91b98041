"""How each command is carried out."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from pipeline.arguments import duration_us, length_us, optional_length_us, refuse_rest, time_us
from pipeline.clock import now_us
from pipeline.digest_commands import DIGEST_COMMANDS
from pipeline.storages import open_storage
from schemas.errors import UsageError
from schemas.settings import MIB, Clock, Config, Limits, Settings

Command = Callable[[argparse.Namespace, Sequence[str]], int]
_LAMENT = "ignore:resource_tracker:UserWarning"  # what Python's helper says as it cleans up after a run that is stopped


def _run(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    logging.basicConfig(level=logging.CRITICAL)  # runners log the failures that we report, with their tracebacks
    if _LAMENT not in sys.warnoptions:
        sys.warnoptions.append(_LAMENT)
    from pipeline.beam_arguments import beam_arguments  # noqa: PLC0415 - Beam takes a second to load
    from pipeline.run import new_run_id, run  # noqa: PLC0415
    from pipeline.summary import print_summary  # noqa: PLC0415

    started_us = now_us()
    beam, one_process = beam_arguments(rest)
    settings = msgspec.structs.replace(
        _settings(arguments, new_run_id(started_us), Clock(started_us, _as_of_us(arguments.as_of, started_us))),
        workers=arguments.workers if one_process else 1,
        replay=arguments.replay_dead_letters,
    )
    outcome = run(settings, beam)
    return print_summary(outcome, settings, sys.stdout, as_json=arguments.json)


def _watch(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    refuse_rest(rest)
    logging.basicConfig(level=logging.CRITICAL)
    if _LAMENT not in sys.warnoptions:
        sys.warnoptions.append(_LAMENT)
    from pipeline.watch_signals import Wakeup, stop_on_signals  # noqa: PLC0415

    wakeup = Wakeup()
    stop_on_signals(wakeup)  # before Beam, which takes a second to load
    from pipeline.run import new_run_id  # noqa: PLC0415
    from pipeline.watch import Watch, watch  # noqa: PLC0415

    started_us = now_us()
    settings = msgspec.structs.replace(
        _settings(arguments, new_run_id(started_us), Clock(started_us, started_us)), workers=arguments.workers
    )
    options = Watch(
        every_us=optional_length_us("--every", arguments.every),
        stalled_after_us=optional_length_us("--stalled-after", arguments.stalled_after),
        metrics_port=arguments.metrics_port,
        metrics_address=arguments.metrics_address,
        ping_url=arguments.ping,
        notices_url=arguments.notices,
    )
    watch(settings, options, wakeup)
    return 0


def _stream(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    logging.basicConfig(level=logging.CRITICAL)
    from pipeline.beam_arguments import cluster_arguments  # noqa: PLC0415 - Beam takes a second to load
    from pipeline.run import new_run_id  # noqa: PLC0415
    from pipeline.stream import Pace, stream  # noqa: PLC0415

    started_us = now_us()
    beam = cluster_arguments(rest)
    every_us, flush_us = length_us("--every", arguments.every), length_us("--flush-every", arguments.flush_every)
    pace = Pace(every_us, flush_us, arguments.notices)
    settings = _settings(arguments, new_run_id(started_us), Clock(started_us, None))
    submitted = stream(settings, pace, beam)
    outcome = "would be submitted; this was a dry run"
    if submitted.job_id is not None:
        outcome = f"runs on the cluster as {submitted.job_id}"
    elif submitted.jar is not None:
        outcome = f"does not run yet: {submitted.jar} was written, which runs it"
    sys.stdout.write(f"The stream {settings.run_id} {outcome}.\n")
    return 0


def _settings(arguments: argparse.Namespace, run_id: str, clock: Clock) -> Settings:
    """What every way of running the job is told alike."""
    from pipeline.known_canaries import with_known  # noqa: PLC0415 - boto3 takes its time

    return Settings(
        run_id=run_id,
        inputs=tuple(arguments.input),
        output=arguments.output,
        clock=clock,
        config=with_known(_config(arguments.config), arguments.receipts, arguments.output),
        limits=Limits(max_object_bytes=arguments.max_object_mb * MIB),
        rule_folders=tuple(arguments.rules),
    )


def _as_of_us(text: str, started_us: int) -> int | None:
    if text in ("now", "data"):
        return started_us if text == "now" else None
    return time_us("--as-of", text)


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

    refuse_rest(rest)
    scenario = Scenario(
        seed=arguments.seed,
        start_us=time_us("--start", arguments.start),
        hours=arguments.hours,
        accounts=arguments.accounts,
        regions=tuple(region for region in arguments.regions.split(",") if region),
        rate=arguments.rate,
        attacks=tuple(arguments.attack),
        administration=arguments.administration,
    )
    return write_simulation(open_storage(arguments.output), scenario, sys.stdout)


def _query(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.query import run_query  # noqa: PLC0415 - DuckDB is needed here only

    refuse_rest(rest)
    run_query(open_storage(arguments.output), arguments.sql, arguments.format, sys.stdout)
    return 0


def _rules(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.rule_files import load_rules  # noqa: PLC0415 - pySigma takes its time
    from pipeline.rule_table import print_rules  # noqa: PLC0415

    refuse_rest(rest)
    print_rules(load_rules(arguments.rules).rules, sys.stdout, as_json=arguments.json)
    return 0


def _compact(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.compact import Options, compact, dry_run  # noqa: PLC0415 - Arrow is needed by some commands only
    from pipeline.compact_summary import print_plan, print_report  # noqa: PLC0415

    refuse_rest(rest)
    lake = open_storage(arguments.output)
    options = Options(duration_us("--keep", arguments.keep), duration_us("--settle", arguments.settle))
    if arguments.dry_run:
        plan, before = dry_run(lake, options, now_us())
        print_plan(plan, options, before, sys.stdout, as_json=arguments.json)
    else:
        print_report(compact(lake, options, now_us), options, sys.stdout, as_json=arguments.json)
    return 0


def _export(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.export import export_records  # noqa: PLC0415 - DuckDB is needed here only

    refuse_rest(rest)
    export_records(open_storage(arguments.output), arguments.where, sys.stdout.buffer)
    return 0


def _emit(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    from pipeline.emit_command import Emit, emit  # noqa: PLC0415 - boto3 is needed by some commands only

    refuse_rest(rest)
    options = Emit(
        once=arguments.once,
        every_us=None if arguments.every in (None, "") else length_us("--every", arguments.every),
        spread_us=duration_us("--spread", arguments.spread),
        receipts=arguments.receipts,
    )
    return emit(_config(arguments.config), options, sys.stderr)


def _calibrate(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    logging.basicConfig(level=logging.CRITICAL)  # what libraries say as they load
    from pipeline.calibrate_command import Calibrate, calibrate  # noqa: PLC0415 - boto3 is needed by some commands only

    refuse_rest(rest)
    options = Calibrate(
        inputs=tuple(arguments.input),
        lookup=arguments.lookup,
        lookup_role=arguments.lookup_role,
        candidates=_named(arguments.candidates),
        wait_us=duration_us("--wait", arguments.wait),
        receipts=arguments.receipts,
        output=arguments.output,
        as_json=arguments.json,
    )
    return calibrate(_config(arguments.config), options, sys.stdout, sys.stderr)


def _named(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return () if text == "none" else tuple(dict.fromkeys(filter(None, text.split(","))))


COMMANDS: Mapping[str, Command] = {
    "run": _run,
    "watch": _watch,
    "stream": _stream,
    "emit": _emit,
    "calibrate": _calibrate,
    "simulate": _simulate,
    "query": _query,
    "rules": _rules,
    "compact": _compact,
    "export": _export,
    **DIGEST_COMMANDS,
}
