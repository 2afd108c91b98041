"""What a calibration found, on the terminal or as JSON, and the lines of TOML that it proposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.alert_table import printable
from schemas.calibration import Calibration, Measured
from schemas.canaries import Canary
from schemas.receipts import Outcome
from schemas.times import format_duration_us

_ACCOUNT = 12
_WHOLE = ("account", "region", "delay")  # whatever else is broken on a narrow terminal
_COLUMNS = ("canary", *_WHOLE[:2], "call", "in the log", "code", _WHOLE[2])


def print_calibration(
    calibration: Calibration, canaries: Sequence[Canary], out: TextIO, *, as_json: bool, width: int | None = None
) -> None:
    """Print calls and proposals; `width` None asks the terminal."""
    if as_json:
        out.write(msgspec.json.format(msgspec.json.encode(calibration)).decode() + "\n")
        return
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(
            name, overflow="fold", no_wrap=name in _WHOLE, min_width=_ACCOUNT if name == "account" else None
        )
    for call in calibration.calls:
        table.add_row(*(Text(printable(text)) for text in _row(call)))
    Console(file=out, width=width, highlight=False, emoji=False, markup=False).print(table)
    silent = [canary.name for canary in canaries if canary.emission is None]
    if silent:
        out.write(f"\nNot called, for want of a [canary.emit]: {printable(', '.join(silent))}\n")
    out.writelines(f"{line}\n" for line in _proposed(calibration))


def _row(call: Measured) -> tuple[str, ...]:
    code = {None: "", True: "present", False: "absent"}[call.carrier_present]
    delay = "" if call.delay_us is None else format_duration_us(call.delay_us)
    return call.canary, call.account_id, call.region, _answer(call), _state(call), code, delay


def _answer(call: Measured) -> str:
    return call.outcome.value if call.outcome is Outcome.REFUSED else f"{call.outcome.value}: {call.error_code}"


def _state(call: Measured) -> str:
    if not call.logged:
        return "no"
    where = f"in {call.log_region or 'a file of no region'}"
    if call.heard:
        return where
    return f"{where}, not heard: {', '.join(call.unmet) or 'code'}"


def _proposed(calibration: Calibration) -> list[str]:
    lines = []
    for proposal in calibration.proposals:
        longest = format_duration_us(proposal.longest_delay_us)
        lines += [
            "",
            f"# {printable(proposal.canary)}: calls heard: {proposal.delays}, after {longest} at most",
            f'period = "{proposal.period}"',
            f'grace  = "{proposal.grace}"',
        ]
    return lines
