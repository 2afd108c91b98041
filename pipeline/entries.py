"""What a stream took in, read back from the lake."""

from __future__ import annotations

import msgspec

from pipeline.lake_files import paths_below, read_files
from schemas.errors import LakeDamaged
from schemas.intake import FOLDER, Entry
from schemas.storage import Storage


def read_entries(lake: Storage) -> list[Entry]:
    """All entries that are kept, by number. Raises LakeDamaged where one is not what was written, or StorageError."""
    entries = []
    for path, body in read_files(lake, paths_below(lake, FOLDER)):
        try:
            entries.append(msgspec.json.decode(body, type=Entry))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LakeDamaged(f"{lake.root}/{path}: {error}") from error
    return entries
