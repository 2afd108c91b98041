"""The whole command line: what each command takes."""

from __future__ import annotations

import argparse
import os

from pipeline.digest_parsers import add_digest_commands
from schemas.settings import MIB, Limits

_DEFAULTS = Limits()


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser("trailcanary", description="Tells whether an AWS audit log has gone blind.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="archive what is new, judge canaries, raise alerts", allow_abbrev=False))
    _add_watch(commands.add_parser("watch", help="follow inputs, on this machine, until stopped", allow_abbrev=False))
    _add_stream(commands.add_parser("stream", help="the same without an end, on a cluster", allow_abbrev=False))
    _add_emit(commands.add_parser("emit", help="make the calls of canaries", allow_abbrev=False))
    _add_calibrate(
        commands.add_parser("calibrate", help="prove that the calls of canaries are logged", allow_abbrev=False)
    )
    _add_simulate(commands.add_parser("simulate", help="write a CloudTrail bucket, with attacks", allow_abbrev=False))
    _add_query(commands.add_parser("query", help="ask the lake in SQL; without SQL, an overview", allow_abbrev=False))
    _add_rules(commands.add_parser("rules", help="list the detection rules, and what they cover", allow_abbrev=False))
    _add_compact(commands.add_parser("compact", help="merge a lake's small files", allow_abbrev=False))
    _add_export(commands.add_parser("export", help="the records again, one JSON object a line", allow_abbrev=False))
    add_digest_commands(commands)
    return top


def _add_job(command: argparse.ArgumentParser) -> None:
    """What every way of running the job takes."""
    add = command.add_argument
    add("--input", action="append", required=True, metavar="URI", help="a folder or s3://bucket/prefix; repeatable")
    add("--output", required=True, metavar="URI", help="the lake: a folder or s3://bucket/prefix")
    add("--config", metavar="FILE", help="canaries and the log path, in TOML")
    add("--receipts", metavar="URI", help="where `emit` keeps its receipts: a silent canary's alert says if it called")
    add("--rules", action="append", default=[], metavar="DIR", help="Sigma rules of your own; repeatable")
    add("--max-object-mb", type=_positive, default=_DEFAULTS.max_object_bytes // MIB, metavar="MB",
        help="objects that inflate to more become dead letters (%(default)s)")  # fmt: skip


def _add_run(command: argparse.ArgumentParser) -> None:
    _add_job(command)
    add = command.add_argument
    add("--as-of", default="now", metavar="now|data|TIME", help="judge slots whose deadline has passed by then (now)")
    add("--workers", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes that read (all cores)")
    add("--replay-dead-letters", action="store_true", help="try again what could not be read")
    add("--json", action="store_true", help="print the summary as JSON")
    command.epilog = "Any other option goes to Beam, --runner for one; one that Beam does not know is refused."


def _add_watch(command: argparse.ArgumentParser) -> None:
    _add_job(command)
    add = command.add_argument
    add("--every", metavar="TIME", help="look for new objects so often (1s for folders, 30s with a bucket)")
    add("--notices", metavar="QUEUE",
        help="an SQS queue (URL or ARN) that tells of new objects: they are handled at once")  # fmt: skip
    add("--workers", type=_positive, default=os.cpu_count() or 1, metavar="N",
        help="processes that read while there is much to catch up with (all cores)")  # fmt: skip
    add("--stalled-after", metavar="TIME",
        help="raise ingest.stalled when no cycle is completed for so long (10 × --every, at least 1m)")  # fmt: skip
    add("--ping", metavar="URL", help="get this URL after a cycle, at most every 15 s: for a dead man's switch")
    add("--metrics-port", type=_port, metavar="N", help="serve metrics to Prometheus at /metrics; 0 chooses a port")
    add("--metrics-address", default="127.0.0.1", metavar="HOST", help="where to serve them (%(default)s)")
    command.epilog = "Stops cleanly on SIGTERM or SIGINT, with exit code 0. On a cluster: stream."


def _add_stream(command: argparse.ArgumentParser) -> None:
    _add_job(command)
    add = command.add_argument
    add("--every", default="1s", metavar="TIME", help="list the inputs so often (%(default)s)")
    add("--notices", metavar="QUEUE", help="an SQS queue (URL or ARN) that names new objects; see docs/notices.md")
    add("--flush-every", default="1s", metavar="TIME",
        help="how long a new object waits for others to share its files (%(default)s)")  # fmt: skip
    command.epilog = (
        "Any other option goes to Beam: --runner and what it needs. On one machine without a cluster: watch."
    )


def _add_emit(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--config", required=True, metavar="FILE", help="the job's configuration: canaries with a [canary.emit]")
    when = command.add_mutually_exclusive_group(required=True)
    when.add_argument("--once", action="store_true", help="one call of each account and region, then end")
    when.add_argument("--every", nargs="?", const="", metavar="TIME",
        help="until stopped, one call in each slot; or, with a TIME, in each span of so long")  # fmt: skip
    add("--spread", default="0s", metavar="TIME", help="with --once: spread the calls over so long (%(default)s)")
    add("--receipts", metavar="URI", help="keep a receipt of each call in a folder or s3://bucket/prefix")
    command.epilog = (
        "A call that is not refused stops its canary. Exit codes: 0 all calls were refused, 1 one was not, or "
        "(--once) could not be made."
    )


def _add_calibrate(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--config", required=True, metavar="FILE", help="the job's configuration: canaries with a [canary.emit]")
    add("--input", action="append", default=[], metavar="URI",
        help="look in delivered logs: a folder or s3://bucket/prefix; repeatable")  # fmt: skip
    add("--lookup", action="store_true", help="look in CloudTrail's event history (LookupEvents) instead")
    add("--lookup-role", metavar="NAME", help="with --lookup: assume this role in each account to ask")
    add("--candidates", metavar="A,B",
        help="calls to try beside the canaries' own (all that are safe): ec2:RunInstances, s3:CreateBucket, "
        "sts:AssumeRole; none: none")  # fmt: skip
    add("--wait", default="30m", metavar="TIME", help="wait so long for the calls to be logged (%(default)s)")
    add("--receipts", metavar="URI", help="keep a receipt of each call, and heed the marks of stopped canaries, there")
    add("--output", metavar="URI",
        help="add what was found to the lake: alerts of other canaries say so; or to a file, ….json")  # fmt: skip
    add("--json", action="store_true", help="print calls and proposals as JSON")
    command.epilog = (
        "Exit codes: 0 all calls of canaries were logged as the job expects them, 1 one was not, or a call was not "
        "refused."
    )


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
    add("--administration", action="store_true", help="with what administrators do every day, and late deliveries")


def _add_query(command: argparse.ArgumentParser) -> None:
    command.add_argument("--output", required=True, metavar="URI", help="the lake")
    command.add_argument("--format", choices=["table", "csv", "json"], default="table", help="(%(default)s)")
    command.add_argument("sql", nargs="?", metavar="SQL", help="a query over the lake's views")


def _add_rules(command: argparse.ArgumentParser) -> None:
    command.add_argument("--rules", action="append", default=[], metavar="DIR", help="your own too; repeatable")
    command.add_argument("--json", action="store_true", help="print rules, services and techniques as JSON")


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


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 1 << 16:
        raise argparse.ArgumentTypeError(f"{number} is not the number of a port")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number
