"""JSON as it is written: its parts as text, so that no number or text is changed by a detour through Python's.

Nothing here recurses, and nothing validates: what lies in a part is for a decoder to judge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

# A text that never ends is one token too: tried again from each of its quotes, it would cost the square of its length.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+["\\]?|[][{},]', re.DOTALL)
_NAME = re.compile(rb'\s*("(?:[^"\\]++|\\.)*+")\s*:\s*', re.DOTALL)
_OPEN, _CLOSE, _COMMA = frozenset(b"[{"), frozenset(b"]}"), ord(",")


def spans(text: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """Where each part of the array or object that opens at `start` begins, and the comma or bracket where it stops.

    An empty one has a single, empty part.

    Raises:
        ValueError: it never closes.
    """
    depth, begin = 0, start
    for token in _TOKEN.finditer(text, start):
        position = token.start()
        mark = text[position]
        if mark in _OPEN:
            depth += 1
            begin = position + 1 if depth == 1 else begin
        elif mark in _CLOSE:
            depth -= 1
            if depth == 0:
                yield begin, position
                return
        elif mark == _COMMA and depth == 1:
            yield begin, position
            begin = position + 1
    raise ValueError("an array or object never ends")


def elements(array: bytes) -> list[bytes]:
    """The elements of a valid JSON array."""
    parts = [array[begin:stop].strip() for begin, stop in spans(array)]
    return [] if parts == [b""] else parts


def members(document: bytes) -> dict[str, bytes]:
    """The members of a valid JSON object; of a name written twice the last holds."""
    found: dict[str, bytes] = {}
    for begin, stop in spans(document):
        part = document[begin:stop]
        if name := _NAME.match(part):
            found[json.loads(name[1])] = part[name.end() :].rstrip()
    return found
