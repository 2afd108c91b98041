"""Canaries: an API call made on a schedule that must always be refused, and what is known of each of its slots.

Slot k of a canary is [k·period, (k+1)·period) since the epoch; its deadline is its end plus the grace.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

import msgspec
import pyarrow as pa

from schemas.alerts import content_id
from schemas.maintenance import Maintenance

if TYPE_CHECKING:
    from schemas.receipts import Receipt


class Match(msgspec.Struct, frozen=True):
    """One condition: a column (dotted for members of structs and JSON text) and globs, any of which may hold."""

    field: str
    globs: tuple[str, ...]


class SecretSource(Protocol):
    """Where secrets lie. It holds no secret itself: it may be pickled, compared and shown."""

    def secrets(self) -> tuple[bytes, ...]:
        """The valid secrets, one or two: calls are made with the first. Raises SecretUnavailable."""


class CanaryCode(msgspec.Struct, frozen=True):
    """A canary's one-time code: `carrier` says which part of a record repeats it, after `prefix`.

    The carrier is `session_name`, `user_agent`, `error_message`, or a field as in `Match`.
    """

    carrier: str
    prefix: str
    source: SecretSource


class Emission(msgspec.Struct, frozen=True):
    """How `trailcanary emit` makes a canary's call.

    `call` is a service and an operation, `role` the name (with its path) of the role that is assumed in each account;
    None stands for the emitter's own credentials. `parameters` is JSON text of an object, laid over what is sent.
    """

    call: str
    role: str | None = None
    external_id: str | None = None
    parameters: str = "{}"


class ReceiptSource(Protocol):
    """Where a canary's emitter keeps its receipts."""

    def of(self, place: Place, start_us: int, end_us: int) -> tuple[Receipt, ...]:
        """Receipts of calls made from there, from `start_us` and before `end_us`. Raises StorageError."""


class OpenAfter(msgspec.Struct, frozen=True):
    """An incident opens when `misses` of the last `slots` slots of a place are absent."""

    misses: int = 1
    slots: int = 1

    def __str__(self) -> str:
        return f"{self.misses} of {self.slots}"


class Canary(msgspec.Struct, frozen=True):
    """A declared canary; `since_us` None means: from the first delivery that the lake knows.

    With `receipts`, an alert about a missing call says whether it was ever made. `uncalibrated` holds the places in
    which no test call was found in the log; alerts of these say so. `maintenance` holds the windows that may concern
    any of its places.
    """

    name: str
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    period_us: int
    grace_us: int
    since_us: int | None
    match: tuple[Match, ...]
    code: CanaryCode | None = None
    emission: Emission | None = None
    receipts: ReceiptSource | None = None
    uncalibrated: frozenset[Place] = frozenset()
    open_after: OpenAfter = OpenAfter()
    maintenance: tuple[Maintenance, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Changes with whatever decides which events are sightings: not with the schedule, by which they are judged.

        Nor with the secrets of a code, which change without a word.
        """
        code = () if self.code is None else ("code", self.code.carrier, self.code.prefix)
        return content_id("canary", self.name, *self.accounts, *self.regions, *map(repr, self.match), *code)

    def slot_of(self, event_us: int) -> int:
        """The slot that an event time falls in."""
        return event_us // self.period_us

    def slot_start_us(self, slot: int) -> int:
        """Where a slot begins; it ends where the next begins."""
        return slot * self.period_us

    def deadline_us(self, slot: int) -> int:
        """When a slot's sighting must have been delivered."""
        return (slot + 1) * self.period_us + self.grace_us

    def last_slot_due(self, as_of_us: int) -> int:
        """The last slot whose deadline does not lie after `as_of_us`."""
        return (as_of_us - self.grace_us) // self.period_us - 1


class Place(msgspec.Struct, frozen=True, order=True):
    """Where a canary sings: the key of everything that is judged."""

    canary: str
    account_id: str
    region: str


class Sighting(msgspec.Struct, frozen=True):
    """One call of a canary, found in the log: refused as it must be, or allowed. A forged one is none."""

    place: Place
    slot: int
    event_us: int
    delivered_us: int
    event_id: str | None
    object_key: str


class Expected(msgspec.Struct, frozen=True):
    """Slots `first` to `last` of a place, which must each hold a sighting; `prior` is an earlier run's verdict."""

    place: Place
    first: int
    last: int
    prior: Verdict | None = None


class Pulse(msgspec.Struct, frozen=True):
    """A delivery: proof that the ingest was alive, or (`readable` False) that something of this place was lost.

    An unreadable one names its object.
    """

    account_id: str | None
    region: str | None
    delivered_us: int
    readable: bool
    object_key: str | None = None


class Verdict(enum.Enum):
    """What became of a slot."""

    SEEN = "seen"  # delivered by its deadline
    LATE = "late"  # delivered after its deadline
    MISSING = "missing"  # others deliver, this does not
    UNSURE = "unsure"  # deliveries of this place could not be read, or nothing arrives from anywhere


class SlotVerdict(msgspec.Struct, frozen=True):
    """The verdict of consecutive slots `first` to `last` of one place.

    `delivered_us` is the first sighting's delivery for `late` (one slot each), else None; `prior` is what an earlier
    run had said of the same slots. `evidence` holds the event id of a late sighting, or dead objects behind `unsure`.
    `at_deadline` is what the deadline had shown of a slot that is called late at once, without a prior verdict.
    """

    place: Place
    first: int
    last: int
    verdict: Verdict
    delivered_us: int | None = None
    prior: Verdict | None = None
    evidence: tuple[str, ...] = ()
    at_deadline: SlotVerdict | None = None


def _field(name: str, kind: pa.DataType, doc: str, *, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"doc": doc})


_TIMESTAMP = pa.timestamp("us", tz="UTC")
_PLACE = [
    _field("canary", pa.string(), "the canary's name", nullable=False),
    _field("account_id", pa.string(), "the account it sings in", nullable=False),
    _field("region", pa.string(), "the region it sings in", nullable=False),
]

SIGHTING_SCHEMA = pa.schema(
    [
        *_PLACE,
        _field("slot", pa.int64(), "number of the slot since the epoch", nullable=False),
        _field("event_time", _TIMESTAMP, "when the call was made", nullable=False),
        _field("delivered_at", _TIMESTAMP, "when its object was delivered", nullable=False),
        _field("event_id", pa.string(), "the event"),
        _field("object_key", pa.string(), "the object that held it", nullable=False),
    ]
)
"""Columns of `canaries/sightings-<bundle>.parquet`, committed with the bundle."""

VERDICT_SCHEMA = pa.schema(
    [
        *_PLACE,
        _field("first_slot", pa.int64(), "first of consecutive slots with one verdict", nullable=False),
        _field("last_slot", pa.int64(), "last of them", nullable=False),
        _field("verdict", pa.string(), "seen, late, missing or unsure", nullable=False),
        _field("first_start", _TIMESTAMP, "start of the first slot", nullable=False),
        _field("last_deadline", _TIMESTAMP, "deadline of the last slot", nullable=False),
        _field("period_us", pa.int64(), "length of a slot, microseconds", nullable=False),
        _field("grace_us", pa.int64(), "grace, microseconds", nullable=False),
        _field("delivered_at", _TIMESTAMP, "for late: when the first sighting was delivered"),
        _field("prior", pa.string(), "the verdict that this one corrects"),
        _field("evidence", pa.list_(pa.string()), "event ids or object keys"),
        _field("run_id", pa.string(), "the run that judged; the newest verdict of a slot holds", nullable=False),
        _field("judged_at", _TIMESTAMP, "up to when that run's clock judged (`--as-of`)", nullable=False),
    ]
)
"""Columns of `canaries/verdicts-<run>.parquet`."""
