"""Dead letters as an Avro file, the same bytes for the same letters."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import fastavro
import msgspec

from schemas.dead_letters import DEAD_LETTER_AVRO, DeadLetter, Reason

_SCHEMA = fastavro.parse_schema(DEAD_LETTER_AVRO)


def encode_dead_letters(letters: Sequence[DeadLetter]) -> bytes:
    """An Avro object container; its sync marker follows from the content, so that a retry writes the same file."""
    rows = [msgspec.structs.asdict(letter) | {"reason": letter.reason.value} for letter in letters]
    marker = hashlib.md5("".join(f"{row['path']}{row['body_sha256']}" for row in rows).encode("utf-8", "replace"))  # noqa: S324
    sink = io.BytesIO()
    fastavro.writer(sink, _SCHEMA, rows, codec="deflate", sync_marker=marker.digest())
    return sink.getvalue()


def decode_dead_letters(body: bytes) -> list[DeadLetter]:
    """The letters of one file."""
    rows: list[dict[str, Any]] = list(fastavro.reader(io.BytesIO(body)))  # type: ignore[arg-type]
    return [DeadLetter(**row | {"reason": Reason(row["reason"])}) for row in rows]
