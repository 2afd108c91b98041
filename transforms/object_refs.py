"""From what a listing says of an object to a reference to it."""

from __future__ import annotations

from schemas.keys import KeyFacts, parse_key
from schemas.objects import ObjectRef, Replaced
from schemas.storage import Stat


def ref_of(root: str, stat: Stat, replaces: Replaced | None = None, facts: KeyFacts | None = None) -> ObjectRef:
    """The reference of one object; `facts` are those of its key, for who has them.

    A key without a time of its own counts as delivered when it was last modified.
    """
    said = facts or parse_key(stat.path)
    delivered_us = stat.modified_us if said.delivered_us is None else said.delivered_us
    whose = said.kind, said.account_id, said.region
    return ObjectRef(root, stat.path, stat.size, stat.etag, stat.modified_us, *whose, delivered_us, replaces)
