"""Where a stream looks for new objects: the inputs' listings, against the ledger and what it has already taken in."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import islice

import msgspec
import pyarrow.compute as pc

from pipeline.clock import now_us
from pipeline.entries import read_entries
from pipeline.in_work import InWork
from pipeline.lake import read_ledger
from pipeline.lock import Hold, hold_lake
from pipeline.noticed import Noticed
from pipeline.queue_silence import QueueSilence
from pipeline.sqs_queue import HIDDEN_S, SqsQueue
from schemas.errors import LakeLocked, QueueError, StorageError
from schemas.intake import Entry, Taken
from schemas.keys import Kind
from schemas.objects import ObjectRef
from schemas.storage import Storage
from schemas.times import HOUR_US, SECOND_US
from transforms.object_index import ObjectIndex
from transforms.recent_listing import RecentListing

KEPT_US = 6 * HOUR_US
"""How long entries stay: a stream can go on from any checkpoint that is not older."""

NOTICE_LAG_US = SECOND_US
"""How long a notice may be under way before its object counts as read late."""

QUEUE_AWAY_US = 10 * SECOND_US
"""How long a queue that failed is not asked: to ask it takes seconds, while nothing else is looked for."""

IDLE_S = 30.0
"""How long a process that nobody asks to look keeps the lake: the runner may have given the source to another one."""

LISTING_US = SECOND_US // 2
"""How long a look lists before it asks the queue, and gives out what there is: looks come about once a second, and with
a large bucket's listing in one piece all that happens meanwhile would be told minutes late."""

LISTING_ALONE_US = 5 * SECOND_US
"""The same without a queue: only what the listing itself has found waits, and the clock stands still until its end."""

_PRUNED_AT_ONCE = 2  # a look writes one entry at most
_LOG = logging.getLogger(__name__)


class LakeIntake(msgspec.Struct, frozen=True):
    """What a stream is told about looking. Picklable; the lake is held by the process that looks.

    `every_us` is the time from one listing's start to the next one's, or longer where it takes longer; new objects wait
    up to `flush_us` for others to share their bundle. With a queue of `notices`, the listing only finds what no notice
    named.
    """

    inputs: tuple[Storage, ...]
    lake: Storage
    stream_id: str
    bundle_bytes: int
    every_us: int = SECOND_US
    flush_us: int = SECOND_US
    notices: SqsQueue | None = None
    clock: Callable[[], int] = now_us

    def look(self, number: int) -> Taken:
        """What is new (`transforms.intake.Intake`).

        Raises:
            LakeLocked: another run holds the lake.
            LakeDamaged, StorageError: the lake or an input could not be read.
        """
        key = (self.lake.root, self.stream_id)
        with _LOOKING:
            if key not in _LOOKERS:
                _LOOKERS[key] = _Looker(self)
                threading.Thread(target=_let_go, args=(key, _LOOKERS[key]), name="let go", daemon=True).start()
            try:
                return _LOOKERS[key].look(number)
            finally:
                _LOOKERS[key].asked.set()


class _Looker:
    """One process's look at the inputs; whatever it knows, it can learn again from the lake."""

    def __init__(self, intake: LakeIntake) -> None:
        self._intake = intake
        self.asked = threading.Event()
        self._held = ExitStack()  # a process that is gone closes nothing: the kernel or the lease's end frees the lake
        self._hold: Hold = self._held.enter_context(hold_lake(intake.lake, intake.stream_id, intake.clock))
        ledger = read_ledger(intake.lake)
        index = ObjectIndex(os.urandom(16))
        index.add_ledger(ledger)
        ours = ledger.filter(pc.not_equal(ledger["kind"], Kind.OTHER.value))
        first = pc.min(ours["delivered_at"].cast("int64")).as_py()
        self._first_delivery_us: int | None = first
        self._taken = {entry.number: entry for entry in read_entries(intake.lake)}
        refs = [ref for entry in self._taken.values() for ref in entry.refs]
        self._note_deliveries(refs)  # of which nothing may have been committed
        index.add_refs(refs)
        self._index, self._listing = index, RecentListing(intake.inputs, index)
        self._in_work = InWork(intake.lake)
        for entry in self._taken.values():
            self._in_work.add(entry)
        self._noticed = None if intake.notices is None else Noticed(intake.notices, intake.inputs)
        self._pieces: Iterator[list[ObjectRef]] | None = None
        self._listing_since_us = self._next_listing_us = self._next_keeping_us = self._next_asking_us = 0
        self._seen_us = self._complete_us = 0
        known = any(entry.complete_us for entry in self._taken.values())
        self._silence = QueueSilence(intake.clock(), listed=known)
        self._waiting: list[ObjectRef] = []
        self._waiting_since_us = 0

    def close(self) -> None:
        """Free the lake."""
        self._pieces = None
        with suppress(LakeLocked, StorageError):  # somebody else has it already, or the lease ends by itself
            self._held.close()

    def look(self, number: int) -> Taken:
        earlier = min((known for known in self._taken if known >= number), default=None)
        if earlier is not None:
            return self._told(earlier, self._taken[earlier], again=True)
        if self._pieces is not None or self._intake.clock() >= self._next_listing_us:
            self._list()
        now = self._intake.clock()
        self._prune(now)
        if self._noticed is not None and now >= self._next_asking_us:
            self._ask(self._noticed, now)
        if not self._waiting:
            return self._told(number, None)
        full = sum(ref.size for ref in self._waiting) >= self._intake.bundle_bytes
        if not full and now < self._waiting_since_us + self._intake.flush_us:
            return self._told(number, None)
        return self._told(number, self._enter(number, now))

    def _list(self) -> None:
        """Go on with a listing, or begin one. It tells nothing before its end, and then of the time when it began."""
        now = self._intake.clock()
        until_us = now + (LISTING_ALONE_US if self._noticed is None else LISTING_US)
        if self._pieces is None:
            self._pieces, self._listing_since_us = self._listing.pieces(now), now
        pieces, self._pieces = self._pieces, None  # after a failure there is none
        for new in pieces:
            now = self._intake.clock()
            self._take(new, now)
            if now >= until_us:
                self._pieces = pieces
                return
        self._next_listing_us = self._listing_since_us + self._intake.every_us
        self._silence.list(self._listing_since_us)
        self._seen(self._listing_since_us)

    def _ask(self, noticed: Noticed, now: int) -> None:
        """Take in what the queue told. A queue that is away is no reason to stop: the listing finds all, only later."""
        try:
            self._take(self._listing.sift(self._received(noticed))[1], now)
            self._settle(noticed, now)
        except QueueError as error:
            _LOG.warning("no notices for now: %s", error)
            self._next_asking_us = now + QUEUE_AWAY_US

    def _received(self, noticed: Noticed) -> list[ObjectRef]:
        """What the queue names; its silence says nothing while what was lost on the way is hidden."""
        try:
            return noticed.receive(self._is_done)
        finally:
            if noticed.lost:
                self._silence.lose(self._intake.clock())

    def _is_done(self, uri: str) -> bool:
        """Whether the lake has an object, in any version, that no entry waits for."""
        return uri not in self._in_work and uri in self._index.replaced([uri])

    def _take(self, new: list[ObjectRef], now: int) -> None:
        """Let new objects wait for others."""
        if new and not self._waiting:
            self._waiting_since_us = now
        self._waiting += new
        self._index.add_refs(new)
        self._note_deliveries(new)

    def _note_deliveries(self, refs: list[ObjectRef]) -> None:
        """Canaries without a beginning of their own begin with the first delivery."""
        delivered = [ref.delivered_us for ref in refs if ref.kind is not Kind.OTHER]
        known = [] if self._first_delivery_us is None else [self._first_delivery_us]
        self._first_delivery_us = min([*known, *delivered], default=None)

    def _seen(self, until_us: int) -> None:
        """All that was visible by then has been taken in, or waits."""
        self._seen_us = max(self._seen_us, until_us)
        if not self._waiting:
            self._complete_us = self._seen_us

    def _settle(self, noticed: Noticed, now: int) -> None:
        """Acknowledge what is committed; without a queue's backlog, time goes on."""
        if noticed.drained and self._silence.counts(now):
            self._seen(now - NOTICE_LAG_US)
        if now >= self._next_keeping_us:
            noticed.keep()
            self._next_keeping_us = now + HIDDEN_S * SECOND_US // 3
        waiting = {ref.uri for ref in self._waiting}
        done = self._in_work.is_done(now)
        noticed.settle(lambda uri: uri not in waiting and done(uri))

    def _enter(self, number: int, now: int) -> Entry:
        """Write down what waits, before anybody handles it."""
        ordered = sorted(self._waiting, key=lambda ref: (ref.delivered_us, ref.uri))
        entry = Entry(number, now, self._intake.bundle_bytes, tuple(ordered), self._seen_us)
        self._hold.check()
        self._intake.lake.write(entry.path, msgspec.json.encode(entry))
        self._taken[number] = entry
        self._in_work.add(entry)
        self._waiting = []
        self._complete_us = self._seen_us
        return entry

    def _told(self, number: int, entry: Entry | None, *, again: bool = False) -> Taken:
        complete_us = self._complete_us if entry is None else entry.complete_us  # told again: the clock as it was
        return Taken(number, entry, complete_us, self._first_delivery_us, again)

    def _prune(self, now: int) -> None:
        for entry in list(islice(self._taken.values(), _PRUNED_AT_ONCE)):
            if entry.taken_us >= now - KEPT_US:
                return
            if self._in_work.finish(entry):
                self._intake.lake.delete(entry.path)
                del self._taken[entry.number]


_LOOKERS: dict[tuple[str, str], _Looker] = {}
_LOOKING = threading.Lock()


def _let_go(key: tuple[str, str], looker: _Looker) -> None:
    """Free the lake once nobody has asked for so long. Whoever looks next learns all again from the lake."""
    while True:
        while looker.asked.wait(IDLE_S):
            looker.asked.clear()
        with _LOOKING:
            if looker.asked.is_set():  # a look took longer than that
                continue
            if _LOOKERS.get(key) is looker:
                del _LOOKERS[key]
                looker.close()
            return
