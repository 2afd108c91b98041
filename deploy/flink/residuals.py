"""A repair of Beam's runner up to 2.75, in which a source that defers its remainder fills Flink's checkpoints.

It names the state of each remainder "sdf_checkpoint:N:INDEX", N being a new number each time, and Flink keeps every
name for ever (https://github.com/apache/beam/issues/27648, fixed in 2.76): 5 KB for each look at the inputs. Repaired,
N is always "null", so that a remainder overwrites the one before it. Flink keeps such states apart by the source's
element, so this holds for a source with one remainder for each element, which is all of ours; the runner never splits.
"""

from __future__ import annotations

CLASS = (
    "org/apache/beam/runners/fnexecution/control/BundleCheckpointHandlers$StateAndTimerBundleCheckpointHandler.class"
)

_ALOAD_0, _ACONST_NULL = b"\x2a", b"\x01"
_BEFORE = b"\x12\x0d\xb6\x00\x0e"  # ldc "sdf_checkpoint:", invokevirtual StringBuilder.append
_AFTER = b"\xb6\x00\x0e\x12\x0f"  # invokevirtual StringBuilder.append, ldc ":"


class NotAsExpected(Exception):
    """The class is not the one that the repair is for."""


def bounded(compiled: bytes) -> bytes:
    """`CLASS` of Beam 2.62, with one instruction of `constructSdfCheckpointId` replaced.

    Raises:
        NotAsExpected: that instruction is not there exactly once.
    """
    old, new = _BEFORE + _ALOAD_0 + _AFTER, _BEFORE + _ACONST_NULL + _AFTER
    if compiled.count(old) != 1:
        raise NotAsExpected(f"{CLASS} is not Beam 2.62's")
    return compiled.replace(old, new)
