"""What a calibration found, on the terminal or as JSON, and the lines of TOML that it proposes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.alert_table import printable
from pipeline.emit_calls import CALLS
from schemas.calibration import Calibration, Measured, Proposal
from schemas.canaries import Canary
from schemas.receipts import Outcome
from schemas.times import format_duration_us

_ACCOUNT = 12
_WHOLE = ("account", "region", "delay")  # whatever else is broken on a narrow terminal
_COLUMNS = ("canary", *_WHOLE[:2], "call", "answer", "in the log", "code", _WHOLE[2])


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
    for row in _rows(calibration):
        table.add_row(*(Text(printable(text)) for text in row))
    Console(file=out, width=width, highlight=False, emoji=False, markup=False).print(table)
    if calibration.candidates:
        out.write("\n* the call that the canary makes\n")
    silent = [canary.name for canary in canaries if canary.emission is None]
    if silent:
        out.write(f"\nNot called, for want of a [canary.emit]: {printable(', '.join(silent))}\n")
    out.writelines(f"{line}\n" for line in _proposed(calibration))


def _rows(calibration: Calibration) -> Iterator[tuple[str, ...]]:
    """By place, the canary's own call first."""
    own = set(calibration.calls)
    for call in sorted((*own, *calibration.candidates), key=lambda call: (call.place, call not in own, call.call)):
        yield _row(call, " *" if call in own and calibration.candidates else "")


def _row(call: Measured, mark: str) -> tuple[str, ...]:
    code = {None: "", True: "present", False: "absent"}[call.carrier_present]
    delay = "" if call.delay_us is None else format_duration_us(call.delay_us)
    place = (call.canary, call.account_id, call.region)
    return *place, call.call + mark, _answer(call), _state(call), code, delay


def _answer(call: Measured) -> str:
    told = None if call.outcome is Outcome.REFUSED else call.error_code
    return ": ".join(filter(None, (call.outcome.value, told)))


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
        heard = f"heard in {proposal.delays} of {proposal.calls} places, after {longest} at most"
        lines += [
            "",
            f"# {printable(proposal.canary)}: {proposal.call} is {heard}",
            f'period = "{proposal.period}"',
            f'grace  = "{proposal.grace}"',
            *([] if proposal.configured else _changed(proposal)),
        ]
    return lines


def _changed(proposal: Proposal) -> list[str]:
    """What else is to be configured, for a call that is not the canary's."""
    call = CALLS[proposal.call]
    codes = ", ".join(f'"{code}"' for code in call.refused_as)
    return [
        "[canary.match]                        # and whose call it is: user_arn",
        f'event_source = "{call.event_source}"',
        f'event_name   = "{call.event_name}"',
        f"error_code   = [{codes}]",
        "[canary.code]",
        f'carrier = "{call.carrier}"',
        "[canary.emit]",
        f'call = "{proposal.call}"',
    ]
