"""What the commands about digests take."""

from __future__ import annotations

import argparse
from typing import Any


def add_digest_commands(commands: Any) -> None:
    """Add them to the commands of a parser (what `add_subparsers` gives)."""
    _add_verify(commands.add_parser("verify", help="what digests prove of the logs", allow_abbrev=False))
    keys = commands.add_parser("keys", help="CloudTrail's public keys: get them, list them", allow_abbrev=False)
    verbs = keys.add_subparsers(dest="command", required=True, metavar="VERB")
    _add_keys_fetch(verbs.add_parser("fetch", help="get them from CloudTrail, into the lake", allow_abbrev=False))
    _add_keys_list(verbs.add_parser("list", help="those that the lake has", allow_abbrev=False))
    _add_fetch_digests(
        commands.add_parser("fetch-digests", help="copy digests with their signatures", allow_abbrev=False)
    )


def _add_verify(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--input", action="append", required=True, metavar="URI", help="a folder or s3://bucket/prefix; repeatable")
    add("--keys", metavar="URI", help="public keys to trust: a lake, or a folder like its keys/ (those of --output)")
    add("--output", metavar="URI", help="a lake: its keys, and hashes of logs that it has read need not be taken again")
    _add_scope(command)
    add("--trail", action="append", default=[], metavar="NAME", help="tell of this trail only; repeatable")
    add("--as-of", default="now", metavar="now|TIME", help="what is due by then and not there is missing (now)")
    add("--original-location", metavar="URI", help="where the input was copied from: s3://bucket/prefix")
    add("--digests-only", action="store_true", help="leave logs aside: a copy of the digests is enough")
    add("--verbose", action="store_true", help="name valid files too")
    add("--json", action="store_true", help="print one JSON document")
    command.epilog = "Exit codes: 0 all is valid, 1 something is not, or there is no digest. See docs/digests.md."


def _add_keys_fetch(command: argparse.ArgumentParser) -> None:
    command.set_defaults(command="keys fetch")
    add = command.add_argument
    add("--output", required=True, metavar="URI", help="the lake: a folder or s3://bucket/prefix")
    add("--region", action="append", required=True, metavar="REGION", help="ask this region; repeatable")
    add("--start", metavar="T", help="keys that were valid since then (a year before --end)")
    add("--end", metavar="T", help="and until then (now)")
    command.epilog = (
        "Needs cloudtrail:ListPublicKeys. Keys are kept for good, and verification then needs no network. "
        "Exit codes: 0 all regions gave keys, 1 one did not, or gave another key under a pinned fingerprint."
    )


def _add_keys_list(command: argparse.ArgumentParser) -> None:
    command.set_defaults(command="keys list")
    command.add_argument("--output", required=True, metavar="URI", help="the lake")
    command.add_argument("--json", action="store_true", help="print them as JSON")


def _add_fetch_digests(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--input", required=True, metavar="URI", help="the bucket: s3://bucket/prefix, or a folder")
    add("--output", required=True, metavar="URI", help="where to copy to, below the same names")
    _add_scope(command)
    command.epilog = (
        "Copies the metadata, which holds the signature, into a file beside each digest. "
        "Exit codes: 0 all were copied, 1 there was none, or one could not be read or differs from its copy."
    )


def _add_scope(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--account", action="append", default=[], metavar="ID", help="only this account's; repeatable")
    add("--region", action="append", default=[], metavar="REGION", help="only this region's; repeatable")
    add("--start", metavar="T", help="only what was delivered then or later")
    add("--end", metavar="T", help="only what was delivered then or earlier")
