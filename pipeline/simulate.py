"""`trailcanary simulate`: write a simulated bucket, and the configuration that goes with it."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TextIO

from schemas.errors import UsageError
from schemas.public_keys import FOLDER as KEYS
from schemas.public_keys import encode_key, key_path
from schemas.storage import Storage
from transforms.simulation import SECRET_NAME, Scenario, canary_config, canary_secret, simulate
from transforms.simulation.signing import published_keys

CONFIG_NAME = "trailcanary.toml"
_PARALLEL_WRITES = 16


def write_simulation(storage: Storage, scenario: Scenario, out: TextIO) -> int:
    """Write a scenario's objects, and `trailcanary.toml` beside them, which declares its canaries and its trail.

    The secret of its canary's codes lies beside it too, and in `keys/` the public keys of its digests.

    Raises:
        UsageError: the scenario makes no sense, or there is something at the output already.
        StorageError: the output cannot be written.
    """
    objects = iter(simulate(scenario))
    if next(iter(storage.list("AWSLogs/")), None) is not None:
        raise UsageError([f"--output {storage.root}: there is an AWSLogs in it already"])
    count = size = 0
    with ThreadPoolExecutor(_PARALLEL_WRITES) as threads:  # each write waits for a disk or a network
        while batch := list(itertools.islice(objects, 4 * _PARALLEL_WRITES)):
            for _ in threads.map(lambda item: storage.write(item.path, item.body, item.metadata), batch):
                count += 1
            size += sum(len(item.body) for item in batch)
    storage.write(SECRET_NAME, canary_secret(scenario) + b"\n")
    for key in published_keys(scenario):
        storage.write(KEYS + key_path(key), encode_key(key))
    storage.write(CONFIG_NAME, canary_config(scenario).encode())
    out.write(f"{count:,} objects, {size / 1e6:.1f} MB, in {storage.root}; its canaries are in {CONFIG_NAME} there\n")
    return 0
