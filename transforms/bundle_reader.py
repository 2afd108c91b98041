"""Reads a bundle's objects into sorted rows, dead letters and, object by object, a tally of what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec
import pyarrow as pa

from schemas.dead_letters import DeadLetter
from schemas.errors import UnreadableContent
from schemas.objects import ObjectRef, ObjectStatus, UnreadObject
from transforms.columns import BATCH_ROWS, NotTimes, flat_batch
from transforms.fetch import Inflated, Unread
from transforms.parse import DeadRecord, Parsed, parse_fast, parse_tolerant
from transforms.sorted_runs import RUN_BYTES, SortedRuns
from transforms.tally import TALLY
from transforms.unicode_text import encodable

LETTERS_KEPT = 1000
"""Dead records of one object with a letter of their own; one letter stands for the rest, all of them are counted."""


class Outcome(msgspec.Struct):
    """How one object of the bundle ended, before copies are dropped."""

    ref: ObjectRef
    status: ObjectStatus
    sha256: str | None = None
    version: str | None = None
    records: int = 0
    dead: int = 0


class BundleReader:
    """Collects objects one after another; rows and letters are complete after `finish`."""

    def __init__(self, run_id: str, max_dead_letter_bytes: int) -> None:
        self._run_id = run_id
        self._max_dead_letter_bytes = max_dead_letter_bytes
        self._parts: list[tuple[int, bytes, Parsed]] = []
        self._part_rows = 0
        self._batches: list[pa.RecordBatch] = []
        self._run_bytes = 0
        self.body_bytes = 0
        self.runs = SortedRuns()
        self.outcomes: dict[int, Outcome] = {}
        self.letters: list[DeadLetter] = []
        self.unread: list[UnreadObject] = []

    def read(self, objects: Iterable[Inflated | Unread]) -> None:
        """Take in fetched objects."""
        for item in objects:
            if isinstance(item, Unread):
                self.outcomes[item.number] = Outcome(item.ref, ObjectStatus.DEAD)
                self.unread.append(UnreadObject(encodable(item.ref.uri), item.ref.etag, item.ref.size, item.reason))
                self._letter(item.ref, None, DeadRecord(-1, item.reason, item.detail, item.data))
            elif item.ref.replaces and item.ref.replaces.body_sha256 == item.sha256:
                self.outcomes[item.number] = Outcome(item.ref, ObjectStatus.UNCHANGED, item.sha256, item.version)
            else:
                self._parse(item)

    def finish(self) -> None:
        """Close the last batch and the last run."""
        self._end_batch()
        self._end_run()

    def _parse(self, item: Inflated) -> None:
        self.outcomes[item.number] = Outcome(item.ref, ObjectStatus.READ, item.sha256, item.version)
        try:
            parsed = parse_fast(item.body) or parse_tolerant(item.body)
        except UnreadableContent as error:
            self._give_up(item.number, item.body, error)
            return
        self._parts.append((item.number, item.body, parsed))
        self._part_rows += parsed.count
        self._run_bytes += len(item.body)
        self.body_bytes += len(item.body)
        if self._part_rows >= BATCH_ROWS:
            self._end_batch()
        if self._run_bytes >= RUN_BYTES:
            self._end_batch()
            self._end_run()

    def _end_batch(self) -> None:
        try:
            batch = flat_batch([(number, parsed) for number, _, parsed in self._parts])
        except NotTimes:
            self._parts = list(self._parsed_again())
            batch = flat_batch([(number, parsed) for number, _, parsed in self._parts])
        for number, _, parsed in self._parts:
            self._count(number, parsed)
        TALLY.add(len(self._parts), sum(parsed.count for _, _, parsed in self._parts))
        self._batches.append(batch)
        self._parts, self._part_rows = [], 0

    def _parsed_again(self) -> Iterator[tuple[int, bytes, Parsed]]:
        for number, body, _ in self._parts:
            try:
                yield number, body, parse_tolerant(body)
            except UnreadableContent as error:  # nested to within a hair of what Python allows
                self._give_up(number, body, error)

    def _give_up(self, number: int, body: bytes, error: UnreadableContent) -> None:
        outcome = self.outcomes[number]
        outcome.status = ObjectStatus.DEAD
        self._letter(outcome.ref, None, DeadRecord(-1, error.reason, error.detail, body))

    def _end_run(self) -> None:
        self.runs.add(self._batches)
        self._batches, self._run_bytes = [], 0

    def _count(self, number: int, parsed: Parsed) -> None:
        outcome = self.outcomes[number]
        outcome.records, outcome.dead = parsed.count, len(parsed.dead)
        for record in parsed.dead[:LETTERS_KEPT]:
            self._letter(outcome.ref, record.index, record)
        if unsaid := parsed.dead[LETTERS_KEPT:]:
            detail = f"and {len(unsaid):,} more dead records of this object: {unsaid[0].detail}"
            self._letter(outcome.ref, unsaid[0].index, msgspec.structs.replace(unsaid[0], detail=detail))

    def _letter(self, ref: ObjectRef, index: int | None, record: DeadRecord) -> None:
        body = record.body[: self._max_dead_letter_bytes]
        digest = hashlib.sha256(record.body).hexdigest()
        identity = (ref.root, ref.path, ref.etag, ref.size, ref.modified_us)
        size = len(record.body)
        self.letters.append(
            DeadLetter(*identity, index, record.reason, record.detail, body, size, digest, self._run_id)
        )
