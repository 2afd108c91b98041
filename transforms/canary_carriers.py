"""Where a canary's call carries its code, and what of a record names its caller."""

from __future__ import annotations

import functools
import re

import pyarrow as pa

from schemas.canaries import Canary, CanaryCode
from transforms.canary_codes import CODE_PATTERN
from transforms.canary_match import field_texts, known_field

SESSION_NAME = "session_name"
_SEARCHED = ("user_agent", "error_message")
_CALLER = (
    "user_arn",
    "user_agent",
    "user_identity.arn",
    "user_identity.principal_id",
    "user_identity.user_name",
    "user_identity.session_context.session_issuer.arn",
    "user_identity.session_context.session_issuer.principal_id",
    "user_identity.session_context.session_issuer.user_name",
)


def is_carrier(name: str) -> bool:
    """True for `session_name`, and for a field that a canary may match on."""
    return name == SESSION_NAME or known_field(name)


def names_caller(canary: Canary) -> bool:
    """Whether the canary's conditions say who calls, so that nobody else's call can meet them by chance."""
    return any(match.field in _CALLER for match in canary.match)


def carrier_texts(table: pa.Table, code: CanaryCode) -> list[str | None]:
    """What the carrier holds in each row of `ARCHIVE_SCHEMA`."""
    if code.carrier != SESSION_NAME:
        return field_texts(table, code.carrier)
    arns = field_texts(table, "user_identity.arn")
    return [arn.rpartition("/")[2] if arn and ":assumed-role/" in arn else None for arn in arns]


def carried_code(code: CanaryCode, text: str | None) -> str | None:
    """The code in what the carrier holds, without its prefix; None where there is none, or more than one.

    User agents and error messages have other words around it; anything else is the prefix and the code, whole.
    """
    found = set(_pattern(code.prefix).findall(text or ""))
    if len(found) != 1:
        return None
    (only,) = found
    return only if code.carrier in _SEARCHED or text == code.prefix + only else None


def is_marked(code: CanaryCode, text: str | None) -> bool:
    """Whether a text that carries no code has the prefix where one should be: somebody tried."""
    if code.carrier in _SEARCHED:
        return re.search(rf"(?<![A-Za-z0-9]){re.escape(code.prefix)}", text or "") is not None
    return (text or "").startswith(code.prefix)


@functools.cache
def _pattern(prefix: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(prefix)}({CODE_PATTERN})(?![A-Za-z0-9])")
