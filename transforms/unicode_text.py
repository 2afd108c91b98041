"""Text that JSON may hold and UTF-8 may not: halves of surrogate pairs."""

from __future__ import annotations


def encodable(text: str) -> str:
    """The text with lone surrogates replaced, as Arrow, files and terminals need it."""
    return text.encode("utf-8", "replace").decode()
