"""An inflated body, cut into its records' own text, so that one bad record never sinks its object."""

from __future__ import annotations

import re

import msgspec

from schemas.dead_letters import Reason
from schemas.errors import UnreadableContent
from schemas.records import ABSENT
from transforms.json_text import spans

MAX_RECORDS = 250_000
"""Records in one object: AWS's 50 MB hold about 100,000 of the smallest that it writes."""


class _Document(msgspec.Struct):
    Records: msgspec.Raw = ABSENT


_DECODE_DOCUMENT = msgspec.json.Decoder(_Document).decode
_DECODE_LIST = msgspec.json.Decoder(list[msgspec.Raw]).decode
_HEAD = re.compile(rb'\s*(?:\{\s*"Records"\s*:\s*)?\[')  # CloudTrail writes nothing before Records


def raw_records(body: bytes) -> list[bytes]:
    """The records of a document or, as old and aggregated files have it, of a bare array; each may still be no JSON.

    Raises:
        UnreadableContent: not_json, no_records or too_large, for the object as a whole.
    """
    if body.count(b",") >= MAX_RECORDS:  # perhaps too many to hold
        return _split_text(body, "")
    try:
        bare = body.lstrip()[:1] == b"["
        found = body if bare else bytes(_DECODE_DOCUMENT(body).Records)
        if found[:1] != b"[" and not bare:
            raise UnreadableContent(Reason.NO_RECORDS, "the document has no list called Records")
        return [bytes(raw) for raw in _DECODE_LIST(found)]
    except msgspec.ValidationError:
        raise UnreadableContent(Reason.NO_RECORDS, "the document is no object with Records, and no array") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _split_text(body, str(error))


def _split_text(body: bytes, problem: str) -> list[bytes]:
    """Split by brackets alone: one record may be no JSON, too deep or hold half a surrogate pair, others not."""
    head = _HEAD.match(body)
    if head is None:
        raise UnreadableContent(Reason.NOT_JSON if problem else Reason.NO_RECORDS, problem or "starts with no Records")
    records: list[bytes] = []
    stop = head.end()
    try:
        for begin, stop in spans(body, head.end() - 1):
            if len(records) == MAX_RECORDS:
                raise UnreadableContent(Reason.TOO_LARGE, f"more than {MAX_RECORDS:,} records")
            records.append(body[begin:stop].strip())
        msgspec.json.decode(body[: head.end()] + body[stop:])  # what is around them
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnreadableContent(Reason.NOT_JSON, problem or str(error)) from None
    return [] if records == [b""] else records
