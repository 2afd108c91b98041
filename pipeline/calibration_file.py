"""`calibration.json` of a lake: written by `trailcanary calibrate`, read by the job."""

from __future__ import annotations

import msgspec

from pipeline.local_storage import TEMPORARY_PREFIX, LocalStorage
from pipeline.storages import open_storage
from schemas.calibration import CALIBRATION_PATH, Calibration
from schemas.errors import ObjectVanished
from schemas.storage import Storage
from transforms.calibration import merged


def read_calibration(storage: Storage, path: str = CALIBRATION_PATH) -> Calibration:
    """What calibrations have found; nothing where none was made, or the file is none. Raises StorageError."""
    try:
        return msgspec.json.decode(storage.read(path).body, type=Calibration)
    except (ObjectVanished, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Calibration()


def calibration_version(storage: Storage) -> str | None:
    """Changes when the lake is calibrated again; None where it never was. Raises StorageError."""
    try:
        return storage.stat(CALIBRATION_PATH).etag
    except ObjectVanished:
        return None


def add_calibration(uri: str, calibration: Calibration) -> str:
    """Add to a file (`….json`) or to a lake's; return its name. Places that were not called keep what they had.

    Raises:
        UsageError: neither a folder, a file in one, nor a place in a bucket.
        StorageError: it cannot be read or written.
    """
    storage, path = calibration_place(uri)
    text = msgspec.json.encode(merged(read_calibration(storage, path), calibration))
    storage.write(path, msgspec.json.format(text) + b"\n")
    return f"{storage.root}/{path}"


def calibration_place(uri: str) -> tuple[Storage, str]:
    """The storage and the path that an `--output` names. Raises UsageError."""
    folder, slash, name = uri.rpartition("/")
    if not uri.endswith(".json"):
        folder, name = uri, CALIBRATION_PATH
    elif not folder:
        folder = slash or "."
    storage = open_storage(folder)
    if isinstance(storage, LocalStorage):  # a run that starts removes temporary files that look like its own
        storage = msgspec.structs.replace(storage, temporary_prefix=f"{TEMPORARY_PREFIX}calibrate-")
    return storage, name
