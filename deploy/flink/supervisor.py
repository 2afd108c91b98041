"""Keeps one command running, as a container's restart policy does: `python -m deploy.flink.supervisor COMMAND …`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

_DELAY_S = 1


def keep_running(command: Sequence[str]) -> None:
    """Start the command again, a second after each end of it, until this process is killed with its group."""
    while True:
        ended = subprocess.run(command, check=False)
        sys.stderr.write(f"{command[0]} ended with {ended.returncode}: started again\n")
        time.sleep(_DELAY_S)


if __name__ == "__main__":
    keep_running(sys.argv[1:])
