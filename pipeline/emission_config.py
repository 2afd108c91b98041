"""`[canary.emit]`: how `trailcanary emit` makes a canary's call."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from pipeline.emit_calls import CALLS, DEFAULT_CALL, RESERVED
from pipeline.toml_table import Form, Table, quoted
from schemas.canaries import CanaryCode, Emission
from transforms.canary_carriers import SESSION_NAME

_KEYS = ("call", "role", "external_id", "parameters")
_CALL = Form("a call such as ec2:RunInstances", re.compile(r"[A-Za-z0-9-]{1,64}:[A-Za-z0-9]{1,64}"))
_ROLE = Form("the name of a role (not its ARN), with its path", re.compile(r"[\w+=,.@/-]{1,576}", re.ASCII))
_EXTERNAL_ID = Form("an external id of 2 to 1224 characters", re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII))


def read_emission(table: Table, accounts: Sequence[str], code: CanaryCode | None) -> Emission:
    """Read the table of a canary that has those accounts and that code; what is wrong is noted in it."""
    table.refuse_unknown(_KEYS)
    call = table.string("call", _CALL) if table.has("call") else DEFAULT_CALL
    role = table.string("role", _ROLE).strip("/") if table.has("role") else None
    if call and call not in CALLS:
        table.note(f"call: {quoted(call)} is none of {', '.join(CALLS)}")
    elif call and code is not None and code.carrier not in CALLS[call].carriers:
        carriers = ", ".join(CALLS[call].carriers)
        table.note(f"{call} cannot carry a code in {quoted(code.carrier)}, only in one of {carriers}")
    if role is None and len(accounts) > 1:
        table.note("role is missing: calls in several accounts need a role in each")
    if role is None and code is not None and code.carrier == SESSION_NAME:
        table.note("role is missing: a session that carries a code is one of a role")
    return Emission(
        call=call,
        role=role,
        external_id=table.string("external_id", _EXTERNAL_ID) if table.has("external_id") else None,
        parameters=_parameters(table) if table.has("parameters") else "{}",
    )


def _parameters(table: Table) -> str:
    parameters = table.table("parameters")
    for name in parameters:
        if name in RESERVED:
            table.note(f"parameters: {name} is the canary's own")
    try:
        return msgspec.json.encode(parameters).decode()
    except (TypeError, UnicodeEncodeError):
        table.note("parameters must be what JSON can say")
        return "{}"
