"""What `trailcanary emit` and the Lambda function do with a configuration."""

from __future__ import annotations

import random
import signal
from typing import TextIO

import msgspec

from pipeline.canary_secrets import refuse_unreadable
from pipeline.clock import now_us
from pipeline.emit import Emitter
from pipeline.emit_log import EmitLog
from pipeline.emit_receipts import Receipts
from pipeline.emit_sender import Sender
from pipeline.storages import open_storage
from pipeline.watch_signals import Wakeup
from schemas.settings import Config


class Emit(msgspec.Struct, frozen=True):
    """The options: `every_us` None stands for each canary's own period, `receipts` None for none."""

    once: bool = True
    every_us: int | None = None
    spread_us: int = 0
    receipts: str | None = None


def emit(config: Config, options: Emit, out: TextIO) -> int:
    """Make calls; SIGTERM and SIGINT end it after those that are under way. 0 if all were refused, else 1.

    Raises:
        UsageError: no canary is to be emitted, or a secret cannot be read.
        StorageError: the receipts cannot be read or written.
    """
    pause = Wakeup()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: pause.stop())
    return emit_until(config, options, out, pause)


def emit_until(config: Config, options: Emit, out: TextIO, pause: Wakeup) -> int:
    """The same for who stops it otherwise."""
    canaries = [canary for canary in config.canaries if canary.emission is not None]
    refuse_unreadable(canaries)
    storage = None if options.receipts is None else open_storage(options.receipts)
    emitter = Emitter(
        canaries,
        Sender(now_us),
        Receipts(storage, canaries),
        log=EmitLog(out, now_us),
        clock=now_us,
        chance=random.SystemRandom(),
    )
    if options.once:
        return emitter.once(pause, options.spread_us)
    return emitter.every(pause, options.every_us)
