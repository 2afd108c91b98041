"""How the C library keeps memory, for a job that takes and gives back the same large blocks again and again."""

from __future__ import annotations

import ctypes
import functools

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 1 << 30


@functools.cache
def keep_freed_blocks() -> None:
    """Have glibc keep freed blocks for the next object, not give each back to the system: a tenth of a job's time.

    Elsewhere (musl, macOS, Windows), where there is no such setting, nothing happens. Source: mallopt(3).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
