"""`trailcanary emit --once` as an AWS Lambda function, called on a schedule.

Environment: TRAILCANARY_CONFIG, the configuration's path (`trailcanary.toml` in the function's folder), and perhaps
TRAILCANARY_RECEIPTS, a folder of S3 for receipts and the marks of stopped canaries, and TRAILCANARY_SPREAD, over how
long the calls are spread at random (`30s`; at once where there is none).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from pipeline.config import load_config
from pipeline.emit_command import Emit, emit_until
from pipeline.watch_signals import Wakeup
from schemas.errors import UsageError
from schemas.times import parse_duration_us


class NotRefused(Exception):
    """Some call was not refused, or could not be made; the log says which. Raised so that the invocation fails."""


def handler(_event: Any, _context: Any) -> dict[str, str]:
    """Make a call of each canary, account and region.

    Raises:
        NotRefused: a call was not refused, or could not be made; Lambda counts an error, and an alarm can ring.
        UsageError: the configuration, a secret or the environment cannot be read.
        StorageError: the receipts cannot be read or written.
    """
    folder = Path(os.environ.get("LAMBDA_TASK_ROOT", "."))
    path = os.environ.get("TRAILCANARY_CONFIG") or str(folder / "trailcanary.toml")
    try:
        config = load_config(Path(path).read_text("utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError([f"{path}: {error}"]) from None
    options = Emit(spread_us=_spread_us(), receipts=os.environ.get("TRAILCANARY_RECEIPTS") or None)
    if emit_until(config, options, sys.stderr, Wakeup()) != 0:
        raise NotRefused("a call was not refused, or could not be made: see the lines above")
    return {"result": "every call was refused"}


def _spread_us() -> int:
    text = os.environ.get("TRAILCANARY_SPREAD")
    try:
        return parse_duration_us(text) if text else 0
    except ValueError:
        raise UsageError([f"TRAILCANARY_SPREAD {text}: not a length of time such as 30s"]) from None
