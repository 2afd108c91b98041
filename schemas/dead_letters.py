"""What could not be read, kept so that nothing is lost and everything can be tried again."""

from __future__ import annotations

import enum
from typing import Any

import msgspec


class Reason(enum.Enum):
    """Why an object or a record is a dead letter: a closed list."""

    NOT_GZIP = "not_gzip"
    TRUNCATED_GZIP = "truncated_gzip"
    CORRUPT_GZIP = "corrupt_gzip"
    WRONG_TRAILER = "wrong_gzip_trailer"
    SECOND_MEMBER = "second_gzip_member"
    TRAILING_BYTES = "trailing_bytes"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    NO_RECORDS = "no_records"
    RECORD_NOT_OBJECT = "record_not_object"
    NO_EVENT_TIME = "no_event_time"
    VANISHED = "vanished"
    FORBIDDEN = "forbidden"
    READ_FAILED = "read_failed"
    NO_NOTICE = "no_notice"  # a queue's message: of no known kind, or never done with


class DeadLetter(msgspec.Struct, frozen=True):
    """One object (`record_index` None) or one record that became no archive row.

    `body` is what could not be read: the object as stored, its JSON where it inflates, or the record's JSON; cut to
    the run's bound. `body_size` and `body_sha256` are those of the whole, so a cut one is told from a whole one.
    """

    root: str
    path: str
    etag: str
    size: int
    modified_us: int
    record_index: int | None
    reason: Reason
    detail: str
    body: bytes
    body_size: int
    body_sha256: str
    run_id: str

    @property
    def uri(self) -> str:
        """The object's full name."""
        return f"{self.root}/{self.path}"


DEAD_LETTER_AVRO: dict[str, Any] = {
    "type": "record",
    "name": "DeadLetter",
    "namespace": "trailcanary",
    "doc": DeadLetter.__doc__,
    "fields": [
        {"name": "root", "type": "string", "doc": "the input it came from"},
        {"name": "path", "type": "string", "doc": "its path below the input"},
        {"name": "etag", "type": "string", "doc": "the object's entity tag when it was listed"},
        {"name": "size", "type": "long", "doc": "the object's size in bytes"},
        {"name": "modified_us", "type": "long", "doc": "last modification, microseconds since the epoch"},
        {"name": "record_index", "type": ["null", "long"], "doc": "position in Records; null: the whole object"},
        {"name": "reason", "type": {"type": "enum", "name": "Reason", "symbols": [r.value for r in Reason]}},
        {"name": "detail", "type": "string", "doc": "what the decoder said"},
        {"name": "body", "type": "bytes", "doc": "the bytes that could not be read, bounded"},
        {"name": "body_size", "type": "long", "doc": "size of the whole body"},
        {"name": "body_sha256", "type": "string", "doc": "hex SHA-256 of the whole body"},
        {"name": "run_id", "type": "string", "doc": "the run that wrote it"},
    ],
}
