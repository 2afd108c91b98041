"""Writes a bundle's rows, looks for canaries and modifications in them, and commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import pyarrow as pa

from schemas.archive import ARCHIVE_SCHEMA
from schemas.balance import BalanceSheet
from schemas.canaries import Canary, Pulse, Sighting
from schemas.dead_letters import DeadLetter
from schemas.digest_files import digests_path
from schemas.digests import Digest
from schemas.log_path import PathFact, distinct_facts
from schemas.objects import ObjectRow, UnreadObject
from schemas.settings import Limits
from schemas.storage import Storage
from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.canary_tables import sightings_table
from transforms.columns import nest
from transforms.dead_letter_file import encode_dead_letters
from transforms.deliveries import is_delivery, pulse_of
from transforms.digest_tables import digests_table
from transforms.event_files import EventFiles
from transforms.ledger_part import LedgerPart, encode_ledger_part, ledger_table
from transforms.path_facts import path_facts
from transforms.sightings import find_calls
from transforms.small_parquet import parquet_bytes


class Rules(Protocol):
    """Loaded rules (`transforms.sigma.RuleSet`)."""

    def evaluate(self, table: pa.Table, log_path: LogPath) -> list[Tampering]:
        """What the rules find in rows of the archive."""


class ArchiveJob(msgspec.Struct, frozen=True):
    """What every bundle of a run needs. Picklable."""

    inputs: Mapping[str, Storage]
    lake: Storage
    canaries: tuple[Canary, ...]
    rules: Rules
    log_path: LogPath
    limits: Limits
    run_id: str
    now_us: int


class Totals(msgspec.Struct, frozen=True):
    """Counts that add up over bundles: the balance, ids that came with two contents, dead letters by reason."""

    balance: BalanceSheet = BalanceSheet()
    conflicts: int = 0
    letters: dict[str, int] = {}

    def __add__(self, other: Totals) -> Totals:
        letters = Counter(self.letters) + Counter(other.letters)
        return Totals(self.balance + other.balance, self.conflicts + other.conflicts, dict(letters))


class BundleReport(msgspec.Struct, frozen=True):
    """What a committed bundle says about itself: small things only. Also what earlier runs left for this one."""

    rows: tuple[ObjectRow, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    tamperings: tuple[Tampering, ...] = ()
    pulses: tuple[Pulse, ...] = ()
    totals: Totals = Totals()
    facts: tuple[PathFact, ...] = ()
    digests: tuple[Digest, ...] = ()
    unread: tuple[UnreadObject, ...] = ()


class BundleWriter:
    """One bundle's output. `uris` and `delivered_us` have an entry for each object number."""

    def __init__(self, job: ArchiveJob, bundle: str, uris: Sequence[str], delivered_us: Sequence[int]) -> None:
        self._job = job
        self._bundle = bundle
        self._files = EventFiles(job.lake, bundle)
        self._uris = pa.array(uris, pa.string())
        self._delivered = pa.array(delivered_us, ARCHIVE_SCHEMA.field("delivered_at").type)
        self._sightings: list[Sighting] = []
        self._tamperings: list[Tampering] = []
        self._facts: list[PathFact] = []

    def write(self, flat: pa.Table) -> None:
        """Take in rows (`transforms.columns`, none earlier than those before) that are nobody's copies."""
        rows = self._with_provenance(nest(flat))
        calls = find_calls(rows, self._job.canaries)
        self._sightings += calls.sightings
        self._tamperings += calls.findings
        found = self._job.rules.evaluate(rows, self._job.log_path)
        self._tamperings += found
        self._facts += path_facts(rows, found, self._job.log_path)
        self._files.write(rows)

    def commit(
        self,
        rows: tuple[ObjectRow, ...],
        letters: Sequence[DeadLetter],
        balance: BalanceSheet,
        conflicts: int,
        *,
        digests: tuple[Digest, ...] = (),
        unread: tuple[UnreadObject, ...] = (),
    ) -> BundleReport:
        """Write everything else first and the ledger's part last: it makes the rest valid.

        `balance` lacks `rows_written` only, which is what the files' own footers say.
        """
        self._files.close()
        lake, written = self._job.lake, tuple(self._files.written)
        if letters:
            lake.write(f"dead_letters/{self._bundle}.avro", encode_dead_letters(letters))
        if self._sightings:
            lake.write(f"canaries/sightings-{self._bundle}.parquet", parquet_bytes(sightings_table(self._sightings)))
        if digests:
            lake.write(digests_path(self._bundle), parquet_bytes(digests_table(digests)))
        searched = tuple(sorted(canary.fingerprint for canary in self._job.canaries))
        facts = distinct_facts(tuple(self._facts))
        part = LedgerPart(ledger_table(rows), written, tuple(self._tamperings), searched, facts, unread)
        lake.write(f"objects/{self._bundle}.parquet", encode_ledger_part(part))
        balance += BalanceSheet(rows_written=sum(file.rows for file in written))
        totals = Totals(balance, conflicts, dict(Counter(letter.reason.value for letter in letters)))
        pulses = tuple(pulse_of(row) for row in rows if is_delivery(row))
        found = tuple(self._sightings), tuple(self._tamperings), pulses
        return BundleReport(rows, *found, totals, facts, digests, unread)

    def _with_provenance(self, table: pa.Table) -> pa.Table:
        numbers = table["object_number"].combine_chunks()
        columns = {name: table[name] for name in table.column_names if name != "object_number"}
        columns["object_key"] = self._uris.take(numbers)
        columns["delivered_at"] = self._delivered.take(numbers)
        return pa.Table.from_arrays([columns[name] for name in ARCHIVE_SCHEMA.names], schema=ARCHIVE_SCHEMA)
