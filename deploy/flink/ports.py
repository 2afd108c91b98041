"""Where the parts of a cluster listen, all on loopback."""

from __future__ import annotations

import os
import socket
from typing import NamedTuple


class Ports(NamedTuple):
    """One port for each part; the defaults hardly clash with anything."""

    rest: int = 28081
    rpc: int = 26123
    jobs: int = 28099
    artifacts: int = 28098
    workers: int = 28050


def ports_from_environment() -> Ports:
    """The defaults, but for what TRAILCANARY_FLINK_… variables say. Raises ValueError for what is no number."""
    named = {name: os.environ.get(f"TRAILCANARY_FLINK_{name.upper()}") for name in Ports._fields}
    return Ports()._replace(**{name: int(value) for name, value in named.items() if value})


def free_ports() -> Ports:
    """Ports that nothing listens on just now."""
    sockets = [socket.socket() for _ in Ports._fields]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = Ports(*(each.getsockname()[1] for each in sockets))
    for each in sockets:
        each.close()
    return ports


def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
