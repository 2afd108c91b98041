"""Flink's own configuration for a cluster on this machine: small, on loopback, forgiving of what dies."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

_JAVA_OPTIONS = ("env", "java", "opts", "all")


def write_configuration(home: Path, run: Path, rest: int, rpc: int) -> Path:
    """Write the folder that FLINK_CONF_DIR names; checkpoints and savepoints go beside it, below `run`."""
    folder = run / "conf"
    shutil.copytree(home / "conf", folder, dirs_exist_ok=True)
    settings = {**_SETTINGS, "jobmanager.rpc.port": rpc, "rest.port": rest}
    for kind in ("checkpoints", "savepoints"):
        settings[f"state.{kind}.dir"] = (run / kind).as_uri()
    # TaskManagers have names of our own, and keep what they work with in a folder of that name: not in the shared /tmp.
    temporary = run / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    settings["io.tmp.dirs"] = str(temporary)
    settings["env.java.opts.all"] = _java_options(home)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder


def _java_options(home: Path) -> str:
    """What Java 17 must be told to open; Flink ships it in its own configuration, which ours replaces."""
    found: Any = yaml.safe_load((home / "conf" / "config.yaml").read_text())
    for name in _JAVA_OPTIONS:
        found = found.get(name, {})
    return str(found or "")


_SETTINGS: dict[str, str | int] = {
    "jobmanager.rpc.address": "localhost",
    "jobmanager.bind-host": "localhost",
    "jobmanager.memory.process.size": "1200m",
    "taskmanager.host": "localhost",
    "taskmanager.bind-host": "localhost",
    "taskmanager.memory.process.size": "1200m",
    "taskmanager.memory.managed.size": "64m",  # for RocksDB only, which we do not use
    "taskmanager.numberOfTaskSlots": 2,
    "rest.address": "localhost",
    "rest.bind-address": "localhost",
    "state.backend.type": "hashmap",
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 1_000_000,  # for ever: a canary must not give up
    "restart-strategy.fixed-delay.delay": "1 s",
    "heartbeat.interval": 1000,
    "heartbeat.timeout": 5000,
    "web.refresh-interval": 1000,
}
