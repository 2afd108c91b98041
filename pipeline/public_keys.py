"""CloudTrail's public keys in the lake: pinned by the hash of their bytes, so that digests verify years later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.lake_files import paths_below, read_files
from schemas.digests import PublicKey
from schemas.errors import LakeDamaged, PublicKeyError
from schemas.keys import is_region
from schemas.public_keys import FOLDER, decode_key, encode_key, is_key_path, key_path
from schemas.storage import Storage


def lake_keys(lake: Storage) -> tuple[PublicKey, ...]:
    """The keys of a lake, by region and start of validity.

    Raises:
        LakeDamaged: a file is not the key that its name says, or two keys of a region have one fingerprint.
        StorageError: the lake could not be read.
    """
    return _read(lake, FOLDER, paths_below(lake, FOLDER))


def handed_keys(storage: Storage) -> tuple[PublicKey, ...]:
    """The same of a lake, or of a folder that holds what a lake's `keys/` does."""
    inside = [path for name in storage.folders() if is_region(name) for path in paths_below(storage, f"{name}/")]
    return _read(storage, "", inside) or lake_keys(storage)


def add_keys(lake: Storage, known: Iterable[PublicKey], keys: Sequence[PublicKey]) -> int:
    """Write those of the keys that are not known; how many they were. What is known is never replaced.

    Raises:
        PublicKeyError: a key contradicts one that is pinned, or another one of them; none is written.
        StorageError: the lake could not be written.
    """
    pinned = {(key.region, key.fingerprint): key for key in known}
    new = []
    for key in keys:
        there = pinned.setdefault((key.region, key.fingerprint), key)
        if there.sha256 != key.sha256:
            raise PublicKeyError(
                f"{key.region}: fingerprint {key.fingerprint} is that of a pinned key with SHA-256 {there.sha256}, and "
                f"now of another one with {key.sha256}: refused, somebody may be passing off a key of their own"
            )
        if there is key:
            new.append(key)
    for key in new:
        lake.write(FOLDER + key_path(key), encode_key(key))
    return len(new)


def _read(storage: Storage, folder: str, paths: Iterable[str]) -> tuple[PublicKey, ...]:
    keys: dict[tuple[str, str], PublicKey] = {}
    named = [path for path in paths if is_key_path(path.removeprefix(folder))]
    for path, body in read_files(storage, named):
        try:
            key = decode_key(path.removeprefix(folder), body)
        except ValueError as error:
            raise LakeDamaged(f"{storage.root}/{path}: {error}") from error
        if keys.setdefault((key.region, key.fingerprint), key) != key:
            raise LakeDamaged(f"{storage.root}/{path}: another key of {key.region} has its fingerprint too")
    return tuple(sorted(keys.values(), key=lambda key: (key.region, key.valid_from_us, key.sha256)))
