"""What `trailcanary calibrate` does with a configuration."""

from __future__ import annotations

import random
import signal
from collections.abc import Sequence
from typing import TextIO

import msgspec

from pipeline.calibrate import Calibrator, Finder, NotedCalls
from pipeline.calibration_file import add_calibration, calibration_place
from pipeline.calibration_table import print_calibration
from pipeline.canary_secrets import refuse_unreadable
from pipeline.candidates import Candidates, Trial, candidates_of, own_trials, unsafe_calls
from pipeline.clock import now_us
from pipeline.delivered_logs import DeliveredLogs
from pipeline.emit import Emitter
from pipeline.emit_calls import CALLS
from pipeline.emit_log import EmitLog
from pipeline.emit_receipts import Receipts
from pipeline.emit_sender import Sender
from pipeline.event_history import EventHistory
from pipeline.storages import open_storage
from pipeline.toml_table import quoted
from pipeline.watch_signals import Wakeup
from schemas.calibration import Calibration
from schemas.canaries import Canary
from schemas.errors import UsageError
from schemas.receipts import Outcome
from schemas.settings import Config


class Calibrate(msgspec.Struct, frozen=True):
    """The options; `output` is a lake or a file (`….json`), None for neither.

    `candidates` are calls to be tried beside the canaries' own; None stands for all that are safe.
    """

    inputs: tuple[str, ...] = ()
    lookup: bool = False
    lookup_role: str | None = None
    candidates: tuple[str, ...] | None = None
    wait_us: int = 0
    receipts: str | None = None
    output: str | None = None
    as_json: bool = False


def calibrate(config: Config, options: Calibrate, out: TextIO, log: TextIO) -> int:
    """Call and look; SIGTERM and SIGINT end the waiting, and what was found is told.

    0 if all own calls of canaries were heard, and every call was refused, else 1.

    Raises:
        UsageError: the options contradict each other, no canary can be called, a call is not safe, or a secret cannot
            be read.
        StorageError: inputs, receipts or the output cannot be read or written.
    """
    _refuse(options)
    candidates = _candidates(config.canaries, options)
    pause = Wakeup()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: pause.stop())
    own = own_trials(config.canaries)
    refuse_unreadable(trial.canary for trial in own)

    def tell(text: str) -> None:
        log.write(f"trailcanary: {text}\n")
        log.flush()

    for text in (*candidates.unsafe, *candidates.heeded):
        tell(text)
    finder: Finder
    if options.lookup:
        finder = EventHistory(options.lookup_role, now_us, pause, tell)
    else:
        finder = DeliveredLogs([open_storage(uri) for uri in options.inputs], now_us, tell)
    trials = (*own, *candidates.trials)
    emitter, calls = _emitter(trials, options, EmitLog(log, now_us))
    calibrator = Calibrator(trials, emitter, calls, finder, clock=now_us, tell=tell)
    calibration = calibrator.calibrate(pause, options.wait_us)
    print_calibration(calibration, config.canaries, out, as_json=options.as_json)
    if options.output is not None:
        tell(f"written to {add_calibration(options.output, calibration)}")
    return 0 if _is_well(calibration, own) else 1


def _emitter(trials: Sequence[Trial], options: Calibrate, log: EmitLog) -> tuple[Emitter, NotedCalls]:
    canaries = [trial.canary for trial in trials]
    receipts = Receipts(None if options.receipts is None else open_storage(options.receipts), canaries)
    calls = NotedCalls(Sender(now_us))
    return Emitter(canaries, calls, receipts, log=log, clock=now_us, chance=random.SystemRandom()), calls


def _is_well(calibration: Calibration, own: Sequence[Trial]) -> bool:
    """Whether every own call was made and heard, and every call refused."""
    called = {call.canary for call in calibration.calls}
    heard = all(call.heard for call in calibration.calls) and called >= {trial.of for trial in own}
    return heard and all(call.outcome is not Outcome.ALLOWED for call in (*calibration.calls, *calibration.candidates))


def _candidates(canaries: Sequence[Canary], options: Calibrate) -> Candidates:
    """Raises UsageError for a call that somebody named and that is not safe; of those that nobody named, it is told."""
    candidates = candidates_of(canaries, tuple(CALLS) if options.candidates is None else options.candidates)
    problems = unsafe_calls(canaries)
    if options.candidates is not None:
        problems += candidates.unsafe
    if problems:
        raise UsageError(problems)
    return candidates


def _refuse(options: Calibrate) -> None:
    problems = []
    if options.lookup == bool(options.inputs):
        problems.append("name one of --input and --lookup: where to look for the calls")
    if options.lookup_role is not None and not options.lookup:
        problems.append("--lookup-role needs --lookup")
    problems += [
        f"--candidates {quoted(name)}: none of {', '.join(CALLS)}"
        for name in options.candidates or ()
        if name not in CALLS
    ]
    if problems:
        raise UsageError(problems)
    if options.output is not None:
        calibration_place(options.output)  # or it is refused
