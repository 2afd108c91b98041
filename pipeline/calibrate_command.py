"""What `trailcanary calibrate` does with a configuration."""

from __future__ import annotations

import random
import signal
from typing import TextIO

import msgspec

from pipeline.calibrate import Calibrator, Finder, NotedCalls
from pipeline.calibration_file import add_calibration, calibration_place
from pipeline.calibration_table import print_calibration
from pipeline.canary_secrets import refuse_unreadable
from pipeline.clock import now_us
from pipeline.delivered_logs import DeliveredLogs
from pipeline.emit import Emitter
from pipeline.emit_log import EmitLog
from pipeline.emit_receipts import Receipts
from pipeline.emit_sender import Sender
from pipeline.event_history import EventHistory
from pipeline.storages import open_storage
from pipeline.watch_signals import Wakeup
from schemas.errors import UsageError
from schemas.settings import Config


class Calibrate(msgspec.Struct, frozen=True):
    """The options; `output` is a lake or a file (`….json`), None for neither."""

    inputs: tuple[str, ...] = ()
    lookup: bool = False
    lookup_role: str | None = None
    wait_us: int = 0
    receipts: str | None = None
    output: str | None = None
    as_json: bool = False


def calibrate(config: Config, options: Calibrate, out: TextIO, log: TextIO) -> int:
    """Call and look; SIGTERM and SIGINT end the waiting, and what was found is told. 0 if all was heard, else 1.

    Raises:
        UsageError: the options contradict each other, no canary can be called, or a secret cannot be read.
        StorageError: inputs, receipts or the output cannot be read or written.
    """
    _refuse(options)
    pause = Wakeup()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: pause.stop())
    canaries = [canary for canary in config.canaries if canary.emission is not None]
    refuse_unreadable(canaries)
    storage = None if options.receipts is None else open_storage(options.receipts)
    calls = NotedCalls(Sender(now_us))
    emitter = Emitter(
        canaries,
        calls,
        Receipts(storage, canaries),
        log=EmitLog(log, now_us),
        clock=now_us,
        chance=random.SystemRandom(),
    )

    def tell(text: str) -> None:
        log.write(f"trailcanary: {text}\n")
        log.flush()

    finder: Finder
    if options.lookup:
        finder = EventHistory(options.lookup_role, now_us, pause, tell)
    else:
        finder = DeliveredLogs([open_storage(uri) for uri in options.inputs], now_us, tell)
    calibrator = Calibrator(canaries, emitter, calls, finder, clock=now_us, tell=tell)
    calibration = calibrator.calibrate(pause, options.wait_us)
    print_calibration(calibration, config.canaries, out, as_json=options.as_json)
    if options.output is not None:
        tell(f"written to {add_calibration(options.output, calibration)}")
    called = {call.canary for call in calibration.calls}
    heard = all(call.heard for call in calibration.calls) and called >= {canary.name for canary in canaries}
    return 0 if heard else 1


def _refuse(options: Calibrate) -> None:
    problems = []
    if options.lookup == bool(options.inputs):
        problems.append("name one of --input and --lookup: where to look for the calls")
    if options.lookup_role is not None and not options.lookup:
        problems.append("--lookup-role needs --lookup")
    if problems:
        raise UsageError(problems)
    if options.output is not None:
        calibration_place(options.output)  # or it is refused
