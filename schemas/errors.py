"""The exceptions that callers tell apart.

TrailcanaryError
├── UsageError            bad arguments, configuration or rules; every problem listed (exit 2)
├── StorageError          a folder or bucket could not be listed, read or written (exit 1)
│   ├── ObjectVanished    listed, but gone when read
│   └── ObjectForbidden   the store refused the read
├── LakeLocked            another run holds the lake (exit 1)
├── LakeDamaged           the lake contradicts its own ledger (exit 1)
├── JobRefused            a cluster did not take the job (exit 1)
├── SecretUnavailable     a canary's secret could not be read, or is none (exit 1; 2 at the start)
├── PublicKeyError        CloudTrail gave no public keys, or one that contradicts a pinned one (exit 1)
├── NoticeError           a queue's message that is no notice; it becomes a dead letter
├── QueueError            a queue refused or did not answer (exit 1)
├── UnbalancedRun         the balance sheet does not close (exit 1)
└── UnreadableContent     an object or record that becomes a dead letter; never leaves `transforms`
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.dead_letters import Reason


class TrailcanaryError(Exception):
    """Root of every error that this project raises on purpose."""


class UsageError(TrailcanaryError):
    """What the user asked for cannot be done; carries every problem found, not just the first."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[UsageError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class StorageError(TrailcanaryError):
    """A store refused or failed; `uri` names the object, prefix or folder."""

    def __init__(self, uri: str, detail: str) -> None:
        super().__init__(f"{uri}: {detail}")
        self.uri = uri
        self.detail = detail

    def __reduce__(self) -> tuple[type[StorageError], tuple[str, str]]:
        return type(self), (self.uri, self.detail)


class ObjectVanished(StorageError):
    """The object was listed and is gone."""


class ObjectForbidden(StorageError):
    """The store denied access to the object."""


class LakeLocked(TrailcanaryError):
    """Another run is writing to this lake; the message says who holds it."""


class LakeDamaged(TrailcanaryError):
    """Files that the ledger names are missing from the lake, or are not what was written."""


class JobRefused(TrailcanaryError):
    """A cluster did not take the job, or the job ended before it ran."""


class SecretUnavailable(TrailcanaryError):
    """A canary's secret could not be read, or is too short; the message names where it should be, never what it is."""


class PublicKeyError(TrailcanaryError):
    """CloudTrail gave no public keys, or one that contradicts the one that is pinned; the message names the region."""


class NoticeError(TrailcanaryError):
    """A queue's message that is no notice of objects; the message says why, and not what it held."""


class QueueError(TrailcanaryError):
    """A queue refused or did not answer."""


class UnbalancedRun(TrailcanaryError):
    """Objects or records went in and did not come out as rows, duplicates or dead letters."""


class UnreadableContent(TrailcanaryError):
    """Bytes that cannot become archive rows; `reason` is one of a closed list."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
