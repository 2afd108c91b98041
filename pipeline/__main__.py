"""The command line: `trailcanary` and `python -m pipeline`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from pipeline.commands import COMMANDS
from pipeline.parser import parser
from schemas.errors import TrailcanaryError, UsageError

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Exit codes: 0 it did what it says, a run's balance sheet included · 1 it failed · 2 bad usage or configuration,
    every problem listed · 130 interrupted; the next run completes the lake.
    """
    signal.signal(signal.SIGINT, _interrupted)
    arguments, rest = parser().parse_known_args(argv)
    try:
        return COMMANDS[arguments.command](arguments, rest)
    except UsageError as error:
        for problem in error.problems or error.args:
            sys.stderr.write(f"trailcanary: {problem}\n")
        return _USAGE
    except TrailcanaryError as error:
        sys.stderr.write(f"trailcanary: {error}\n")
        return _FAILED
    except BrokenPipeError:  # the reader of our output has gone, `| head` for one
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED


def _interrupted(*_: object) -> None:
    """Stop at once: whatever is half done is no part of the lake, and worker processes end with this one."""
    erase = "\r\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{erase}trailcanary: interrupted; the next run completes the lake\n")
    sys.stderr.flush()
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
