"""`trailcanary run --replay-dead-letters`: what could not be read is tried again, and answered letters are removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compactions import read_compactions
from pipeline.lake import read_ledger
from schemas.dead_letters import DeadLetter
from schemas.objects import ObjectRow, ObjectStatus
from schemas.storage import Storage
from transforms.bundle_writer import ArchiveJob, BundleReport
from transforms.dead_letter_file import decode_dead_letters, encode_dead_letters
from transforms.ledger_part import ledger_rows
from transforms.replay import readable, replay_records
from transforms.unicode_text import encodable

Identity = tuple[str, str, int]
"""An object as the ledger knows it: uri, etag, size."""


def replay_dead_records(job: ArchiveJob) -> tuple[BundleReport, ...]:
    """Archive dead records that can be read now. Dead objects the run takes for new ones (`known_objects`)."""
    by_object: dict[Identity, list[DeadLetter]] = defaultdict(list)
    for letters in _letters(job.lake).values():
        for letter in letters:
            if letter.record_index is not None:
                by_object[_identity(letter)].append(letter)
    rows = {_row_identity(row): row for row in _rows(read_ledger(job.lake), [uri for uri, _, _ in by_object])}
    committed = {*read_compactions(job.lake).superseded, *(stat.path for stat in job.lake.list("objects/"))}
    attempts = (
        replay_records(job, rows[identity], letters, committed)
        for identity, letters in by_object.items()
        if identity in rows
    )
    return tuple(report for report in attempts if report is not None)


def remove_answered(lake: Storage) -> None:
    """Rewrite the dead letter files without what has been answered: objects read since, records that are rows now.

    Removing comes after the run has committed; a run that dies before leaves letters whose answers the next finds.
    """
    files = _letters(lake)
    rows = _rows(read_ledger(lake), [_uri(letter) for letters in files.values() for letter in letters])
    newest = {row.uri: row for row in sorted(rows, key=lambda row: (row.handled_us, row.run_id))}
    for path, letters in files.items():
        kept = [letter for letter in letters if not _answered(letter, newest.get(_uri(letter)))]
        if not kept:
            lake.delete(path)
        elif len(kept) < len(letters):
            lake.write(path, encode_dead_letters(kept))


def _answered(letter: DeadLetter, newest: ObjectRow | None) -> bool:
    """A dead object is answered by a later run that read its key, mended or not, or wrote a new letter about it."""
    if letter.record_index is not None:
        return readable(letter)
    if newest is None or newest.run_id == letter.run_id:
        return False
    return newest.status is not ObjectStatus.DEAD or _row_identity(newest) == _identity(letter)


def _letters(lake: Storage) -> Mapping[str, Sequence[DeadLetter]]:
    paths = sorted(stat.path for stat in lake.list("dead_letters/"))
    return {path: decode_dead_letters(lake.read(path).body) for path in paths}


def _uri(letter: DeadLetter) -> str:
    return encodable(letter.uri)


def _identity(letter: DeadLetter) -> Identity:
    return _uri(letter), letter.etag, letter.size


def _row_identity(row: ObjectRow) -> Identity:
    return row.uri, row.etag, row.size


def _rows(ledger: pa.Table, uris: Sequence[str]) -> tuple[ObjectRow, ...]:
    return ledger_rows(ledger.filter(pc.is_in(ledger["uri"], value_set=pa.array(uris, pa.string()))))
