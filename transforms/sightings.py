"""Canary calls found in archive rows: what counts as a sighting, and what somebody must be told of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from schemas.alerts import Severity
from schemas.canaries import Canary, Place, Sighting
from schemas.receipts import PERMITTED
from schemas.tampering import Tampering
from schemas.times import format_us
from schemas.trails import Ownership
from transforms.calibration import caveat
from transforms.canary_carriers import carried_code, carrier_texts, is_marked, names_caller
from transforms.canary_codes import Answer, Checked, code_book
from transforms.canary_match import rows_meeting

FORGED, REPLAYED, ALLOWED = "canary.forged", "canary.replayed", "canary.allowed"

_OUTCOMES = ("error_code", "error_message")


class CanaryCalls(msgspec.Struct, frozen=True):
    """Calls of canaries: those that were heard, and what was found in any: forged, replayed or allowed ones."""

    sightings: tuple[Sighting, ...] = ()
    findings: tuple[Tampering, ...] = ()


class _Row(msgspec.Struct, frozen=True):
    """What is read of a row; `refused` says that it meets the canary's conditions on the error, if it has any."""

    place: Place
    event_us: int
    delivered_us: int
    event_id: str | None
    object_key: str
    event_name: str | None
    event_source: str | None
    error_code: str | None
    actor: str | None
    source_ip_address: str | None
    carrier: str | None
    refused: bool


def find_calls(table: pa.Table, canaries: Sequence[Canary]) -> CanaryCalls:
    """Find each canary's calls in rows of `ARCHIVE_SCHEMA`, in places that the canary declares.

    The account is `recipient_account_id`, else the caller's; a row without account or region is no call. A call is
    heard if it meets all conditions, and carries the right code where the canary has one. One that succeeded, or would
    have (`PERMITTED`, such as `Client.DryRunOperation`), meets the rest of them; it is heard and found
    `canary.allowed`, provided that its code is right or that the conditions name the caller. Without that, it may be
    anybody's.

    Raises:
        KeyError: a canary matches on a field that `known_field` refuses (the configuration is checked before).
        SecretUnavailable: the secret of a canary's code cannot be read.
    """
    sightings: list[Sighting] = []
    findings: list[Tampering] = []
    for canary in canaries:
        for row in _rows_of(table, canary):
            _judge(canary, row, sightings, findings)
    return CanaryCalls(tuple(sightings), tuple(findings))


def _judge(canary: Canary, row: _Row, sightings: list[Sighting], findings: list[Tampering]) -> None:
    allowed = _permitted(row.error_code) and not (row.refused and _guards(canary))
    if not (row.refused or allowed):
        return
    named = names_caller(canary)
    checked, given = _checked(canary, row)
    right = canary.code is not None and checked.answer is Answer.RIGHT
    if right or (canary.code is None and (row.refused or named)):
        slot = canary.slot_of(row.event_us)
        sightings.append(Sighting(row.place, slot, row.event_us, row.delivered_us, row.event_id, row.object_key))
    if allowed and (right or named):
        findings.append(_finding(row, ALLOWED, f"is no longer refused{caveat(canary, row.place)}", Severity.HIGH))
    if canary.code is None or right:
        return
    mute = allowed and canary.code.carrier in _OUTCOMES  # a call that succeeds has no error that could repeat a code
    if given or (named and not mute):
        kind = REPLAYED if checked.answer is Answer.REPLAYED else FORGED
        words = _imitation(canary, row, checked, given=given) + caveat(canary, row.place)
        findings.append(_finding(row, kind, words, Severity.CRITICAL))


def _permitted(error_code: str | None) -> bool:
    """Before EC2's codes the log puts whose fault it is."""
    return not error_code or error_code.removeprefix("Client.") in PERMITTED


def _checked(canary: Canary, row: _Row) -> tuple[Checked, bool]:
    """What the row's code proves, right where there need be none; and whether there is anything like a code."""
    if canary.code is None:
        return Checked(Answer.RIGHT), False
    code = carried_code(canary.code, row.carrier)
    if code is None:
        return Checked(Answer.WRONG), is_marked(canary.code, row.carrier)
    book = code_book(canary, canary.code.source.secrets())
    return book.check(code, row.place, canary.slot_of(row.event_us)), True


def _imitation(canary: Canary, row: _Row, checked: Checked, *, given: bool) -> str:
    if checked.place is None or checked.slot is None:
        return "is imitated with a wrong code" if given else "is imitated without a code"
    slot = format_us(canary.slot_start_us(checked.slot))
    if checked.place == row.place:
        return f"is imitated with the code of another slot, {slot}"
    return f"is imitated with the code of {checked.place.account_id} {checked.place.region}, slot {slot}"


def _finding(row: _Row, kind: str, words: str, severity: Severity) -> Tampering:
    return Tampering(
        rule=kind,
        rule_title=f"Canary {row.place.canary} {words}",
        scope="canary",
        severity=severity,
        succeeded=not row.error_code,
        event_id=row.event_id,
        event_name=row.event_name or "",
        event_us=row.event_us,
        delivered_us=row.delivered_us,
        account_id=row.place.account_id,
        region=row.place.region,
        resource=None,
        ownership=Ownership.UNKNOWN,
        actor=row.actor,
        error_code=row.error_code,
        object_key=row.object_key,
        mitre=() if kind == ALLOWED else ("T1562.008",),
        event_source=row.event_source,
        source_ip_address=row.source_ip_address,
        canary=row.place.canary,
    )


def _guards(canary: Canary) -> bool:
    return any(match.field in _OUTCOMES for match in canary.match)


def _rows_of(table: pa.Table, canary: Canary) -> Iterator[_Row]:
    """Rows that meet the conditions; those on the error aside, where it can be told whose a call is without them."""
    telling = canary.code is not None or names_caller(canary)
    guards = [match for match in canary.match if match.field in _OUTCOMES] if telling else []
    numbers = rows_meeting(table, [match for match in canary.match if match not in guards])
    if not len(numbers):
        return
    rows = table.take(numbers)
    refused = set(rows_meeting(rows, guards).to_pylist())
    for row in _read(rows, canary, [number in refused for number in range(rows.num_rows)]):
        if row.place.account_id in canary.accounts and row.place.region in canary.regions:
            yield row


def _read(rows: pa.Table, canary: Canary, refused: Sequence[bool]) -> Iterator[_Row]:
    def column(name: str, *members: str) -> list[Any]:
        array = rows.column(name)
        return list((pc.struct_field(array, list(members)) if members else array).to_pylist())

    accounts = zip(column("recipient_account_id"), column("user_identity", "account_id"), strict=True)
    places = [
        Place(canary.name, recipient or caller or "", region or "")
        for (recipient, caller), region in zip(accounts, column("aws_region"), strict=True)
    ]
    times = (rows.column(name).cast(pa.int64()).to_pylist() for name in ("event_time", "delivered_at"))
    names = ("event_id", "object_key", "event_name", "event_source", "error_code")
    callers = zip(column("user_identity", "arn"), column("user_identity", "principal_id"), strict=True)
    return map(
        _Row,
        places,
        *times,
        *(column(name) for name in names),
        [arn or principal for arn, principal in callers],
        column("source_ip_address"),
        carrier_texts(rows, canary.code) if canary.code else [None] * rows.num_rows,
        refused,
    )
