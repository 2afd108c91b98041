"""Three hours of two accounts: what is delivered when, and until when it must be visible for nobody to miss it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from folders import REGION, event, log_key, packed

from schemas.canaries import Canary, Match, OpenAfter
from schemas.keys import parse_key
from schemas.maintenance import Maintenance
from schemas.settings import Config
from schemas.times import MINUTE_US, format_us, parse_iso_us
from schemas.trails import LogPath, Trail
from transforms.maintenance import with_maintenance

START_US = parse_iso_us("2026-11-01T00:00:00Z")
END_US = START_US + 215 * MINUTE_US
A, B = "111122223333", "444455556666"
_SUNG = (
    Match("event_name", ("RunInstances",)),
    Match("error_code", ("Client.Unauthorized*",)),
    Match("user_arn", ("*:user/alice",)),
)
SONG = Canary("song", (A, B), (REGION,), 30 * MINUTE_US, 20 * MINUTE_US, START_US, _SUNG)
HORN = msgspec.structs.replace(SONG, name="horn", open_after=OpenAfter(2, 3))
DRUM = Canary("drum", (B,), (REGION,), 60 * MINUTE_US, 30 * MINUTE_US, None, (Match("event_name", ("GetKey*",)),))


def at_us(minutes: float) -> int:
    """Minutes after the start."""
    return START_US + int(minutes * MINUTE_US)


WINDOWS = (
    Maintenance("attempts", at_us(50), at_us(60), (B,)),  # of three the first two
    Maintenance("silence", at_us(120), at_us(150), (A,), canaries=("song",)),  # which goes on after it
)
CONFIG = Config(
    with_maintenance((SONG, DRUM, HORN), WINDOWS),
    LogPath((Trail("org-trail", A, REGION, "logs"),)),
    maintenance=WINDOWS,
)


def _call(account: str, name: str, minute: int, **members: Any) -> dict[str, Any]:
    return event(
        f"{account[:4]}-{name}-{minute}",
        format_us(at_us(minute)),
        eventName=name,
        recipientAccountId=account,
        **members,
    )


def _song(account: str, minute: int) -> dict[str, Any]:
    return _call(account, "RunInstances", minute, errorCode="Client.UnauthorizedOperation")


def _drum(minute: int) -> dict[str, Any]:
    return _call(B, "GetKeyPolicy", minute, errorCode="AccessDenied")


def _trail(account: str, name: str, minute: int, **members: Any) -> dict[str, Any]:
    source = {"eventSource": "cloudtrail.amazonaws.com", "requestParameters": {"name": "org-trail"}, "readOnly": False}
    return _call(account, name, minute, **source, **members)


_HEARD = {
    (A, 17): [_song(A, 5)],
    (A, 32): [{key: value for key, value in _call(A, "ListKeys", 20).items() if key != "eventID"}],
    (A, 62): [_song(A, 35)],
    (A, 77): [_song(A, 65)],
    (A, 107): [_song(A, 95), _trail(A, "StopLogging", 100)],
    (B, 24): [_song(B, 10)],
    (B, 39): [_drum(30)],
    (B, 54): [7],
    (B, 69): [_trail(B, "StopLogging", minute, errorCode="AccessDenied") for minute in (55, 57)],
    (B, 84): [_song(B, 70), *(_trail(B, "StopLogging", minute, errorCode="AccessDenied") for minute in (82, 83))],
    (B, 114): [_song(B, 100), _drum(110)],
    (B, 159): [_call(B, "RunInstances", 130), _drum(150)],  # the song's guard rail is gone, for once
    (B, 174): [_song(B, 160)],
}
"""What matters of what is delivered, by account and minute: A is silenced, and one record of B is none."""

_CUT = (B, 114)
_COPIES = {(A, 107): 109, (B, 84): 99, (B, 159): 161}
_HELD = {(B, 85): [_song(B, 40)]}


def _objects() -> Iterator[tuple[str, bytes]]:
    for account, first, last in ((A, 2, 107), (B, 9, 204)):
        for minute in range(first, last + 1, 15):
            records = [_call(account, "DescribeInstances", minute - 5), *_HEARD.get((account, minute), ())]
            body = packed(*records)
            yield _key(account, minute, "a"), body[:-9] if (account, minute) == _CUT else body
            if (account, minute) in _COPIES:
                yield _key(account, _COPIES[account, minute], "copy"), body
    for (account, minute), records in _HELD.items():
        yield _key(account, minute, "held"), packed(*records)
    yield "README.md", b"no log"


def _key(account: str, minute: int, unique: str) -> str:
    stamp = format_us(at_us(minute))[:16].replace("-", "").replace(":", "") + "Z"
    return log_key(unique, stamp, account)


OBJECTS = len(list(_objects()))
COPIED_KEYS = frozenset(
    _key(account, minute, unique)
    for (account, first), second in _COPIES.items()
    for minute, unique in ((first, "a"), (second, "copy"))
)


class Parcel(NamedTuple):
    """An object, when it is delivered, and until when at the latest it is visible if nobody is to notice."""

    path: str
    delivered_us: int
    latest_us: int
    may_straggle: bool


def fill_bucket(folder: Path) -> list[Parcel]:
    """Write all objects; return them by delivery."""
    parcels = []
    for path, body in _objects():
        delivered_us = parse_key(path).delivered_us or at_us(20)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
        os.utime(target, ns=(delivered_us * 1000, delivered_us * 1000))
        parcels.append(Parcel(path, delivered_us, _next_deadline_us(delivered_us), _may_straggle(path)))
    return sorted(parcels, key=lambda parcel: parcel.delivered_us)


def _next_deadline_us(us: int) -> int:
    """Who sees an object by then has judged no slot without it."""
    slots = (range(each.last_slot_due(us), each.last_slot_due(us) + 3) for each in CONFIG.canaries)
    deadlines = zip(CONFIG.canaries, slots, strict=True)
    found = [each.deadline_us(slot) for each, some in deadlines for slot in some if each.deadline_us(slot) >= us]
    return min(END_US, *found)


def _may_straggle(path: str) -> bool:
    """A first delivery begins a canary without a `since`, and what cannot be read casts doubt: for once and all."""
    return path.endswith(".gz") and path not in {_key(A, 2, "a"), _key(*_CUT, "a")}
