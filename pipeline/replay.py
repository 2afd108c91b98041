"""`trailcanary run --replay-dead-letters`: what could not be read is tried again, and answered letters are removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.lake import read_ledger
from schemas.dead_letters import DeadLetter
from schemas.objects import ObjectRow, ObjectStatus
from schemas.storage import Storage
from transforms.bundle_writer import ArchiveJob, BundleReport
from transforms.dead_letter_file import decode_dead_letters, encode_dead_letters
from transforms.ledger_part import ledger_rows
from transforms.replay import readable, replay_records

Identity = tuple[str, str, int]
"""An object as the ledger knows it: uri, etag, size."""


class Replay(msgspec.Struct, frozen=True):
    """What was tried: reports of objects whose dead records are rows now, and the ledger without its dead objects."""

    reports: tuple[BundleReport, ...]
    ledger: pa.Table


def replay_dead_letters(job: ArchiveJob, ledger: pa.Table) -> Replay:
    """Archive dead records that can be read now, and forget dead objects, so that the run takes them for new ones."""
    by_object: dict[Identity, list[DeadLetter]] = defaultdict(list)
    for letters in _letters(job.lake).values():
        for letter in letters:
            if letter.record_index is not None:
                by_object[_identity(letter)].append(letter)
    rows = _rows(ledger, list(by_object))
    attempts = (
        replay_records(job, rows[identity], letters) for identity, letters in by_object.items() if identity in rows
    )
    reports = tuple(report for report in attempts if report is not None)
    return Replay(reports, ledger.filter(pc.not_equal(ledger["status"], ObjectStatus.DEAD.value)))


def remove_answered(lake: Storage) -> None:
    """Rewrite the dead letter files without what has been answered: objects read since, records that are rows now.

    Removing comes after the run has committed; a run that dies before leaves letters that are answered again, by
    files of the same names.
    """
    files = _letters(lake)
    rows = _rows(read_ledger(lake), [_identity(letter) for letters in files.values() for letter in letters])
    for path, letters in files.items():
        kept = [letter for letter in letters if not _answered(letter, rows.get(_identity(letter)))]
        if not kept:
            lake.delete(path)
        elif len(kept) < len(letters):
            lake.write(path, encode_dead_letters(kept))


def _answered(letter: DeadLetter, row: ObjectRow | None) -> bool:
    if letter.record_index is not None:
        return readable(letter)
    return row is not None and row.run_id != letter.run_id


def _letters(lake: Storage) -> Mapping[str, Sequence[DeadLetter]]:
    paths = sorted(stat.path for stat in lake.list("dead_letters/"))
    return {path: decode_dead_letters(lake.read(path).body) for path in paths}


def _identity(letter: DeadLetter) -> Identity:
    return letter.uri.encode("utf-8", "replace").decode(), letter.etag, letter.size


def _rows(ledger: pa.Table, wanted: Sequence[Identity]) -> dict[Identity, ObjectRow]:
    uris = pa.array([uri for uri, _, _ in wanted], pa.string())
    rows = ledger_rows(ledger.filter(pc.is_in(ledger["uri"], value_set=uris)))
    return {(row.uri, row.etag, row.size): row for row in rows}
