"""What merges left behind: files that a killed compaction never committed, and those that were superseded long ago."""

from __future__ import annotations

import msgspec

from pipeline.compactions import encode_compaction
from pipeline.lake_files import delete_files
from schemas.compactions import FOLDER, is_merged
from schemas.storage import Storage
from transforms.compactions import Compactions, remembered

_FOLDERS = ("events", "canaries", "digests", "objects")


def purge(lake: Storage, compactions: Compactions, now_us: int, keep_us: int) -> int:
    """Remove both, and forget names that need not be known any more; return how many files were removed.

    Only the one compaction that holds the lake may do so. What was superseded less than `keep_us` ago stays: somebody
    may be reading it. Raises StorageError.
    """
    due = {path for path, at_us in compactions.superseded.items() if at_us <= now_us - keep_us}
    there = [stat.path for folder in _FOLDERS for stat in lake.list(f"{folder}/")]
    removed = [path for path in there if path in due or _is_litter(path, compactions)]
    removed += [record.path for record in compactions.all if record.path in due]  # last: they say what these files are
    delete_files(lake, removed)
    _forget(lake, compactions, now_us, keep_us)
    return len(removed)


def _is_litter(path: str, compactions: Compactions) -> bool:
    return is_merged(path) and path not in compactions.superseded and path not in compactions.named


def _forget(lake: Storage, compactions: Compactions, now_us: int, keep_us: int) -> None:
    for record in compactions.live:
        kept = (*(each for each in record.files if each.live), *remembered(record, now_us, keep_us))
        if len(kept) < len(record.files):
            lake.write(f"{FOLDER}/{record.name}.json", encode_compaction(msgspec.structs.replace(record, files=kept)))
