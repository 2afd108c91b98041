"""The compactions of a lake, read."""

from __future__ import annotations

import msgspec

from pipeline.lake_files import paths_below, read_files_left
from schemas.compactions import FOLDER, Compaction
from schemas.errors import LakeDamaged
from schemas.storage import Storage
from transforms.compactions import Compactions


def read_compactions(lake: Storage) -> Compactions:
    """What was merged until now: to be read before the files that it is about are listed.

    One that is removed meanwhile was superseded long ago, by one that is there and says all that it said.
    Raises LakeDamaged where a file is not what it should be, or StorageError.
    """
    return Compactions(
        _decoded(lake, path, body) for path, body in read_files_left(lake, paths_below(lake, f"{FOLDER}/"))
    )


def encode_compaction(record: Compaction) -> bytes:
    """The file that commits a merge."""
    return msgspec.json.encode(record)


def _decoded(lake: Storage, path: str, body: bytes) -> Compaction:
    try:
        return msgspec.json.decode(body, type=Compaction)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LakeDamaged(f"{lake.root}/{path}: {error}") from error
