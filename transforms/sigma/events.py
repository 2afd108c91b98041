"""One record while rules are evaluated on it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from schemas.trails import LogPath
from transforms.rules.derived import derive
from transforms.sigma.predicate import AllOf, AnyOf, FieldTest, Keyword, Node, Not, passes, same, text_passes
from transforms.sigma.values import json_texts, values_at

DERIVED = "derived"


class Event:
    """A rebuilt record, with what is derived from it computed at the first need, and once."""

    def __init__(self, record: Mapping[str, Any], log_path: LogPath) -> None:
        self.record = record
        self._log_path = log_path

    @functools.cached_property
    def derived(self) -> dict[str, Any]:
        """The documented `derived.*` fields."""
        derived: dict[str, Any] = derive(self.record, self._log_path)
        return derived

    @functools.cached_property
    def texts(self) -> tuple[str, str]:
        """The whole record as text, for keywords."""
        return json_texts(self.record)

    def values(self, path: tuple[str, ...]) -> list[Any]:
        """What a field holds."""
        if path[0] == DERIVED:
            return values_at({"": self.derived.get(".".join(path))}, ("",))
        return values_at(self.record, path)


def holds(node: Node, event: Event) -> bool:
    """Whether a condition holds for an event. Never raises on event content."""
    match node:
        case AllOf(parts=parts):
            return all(holds(part, event) for part in parts)
        case AnyOf(parts=parts):
            return any(holds(part, event) for part in parts)
        case Not(part=part):
            return not holds(part, event)
        case FieldTest(path=path, test=test):
            return passes(test, event.values(path))
        case Keyword(test=test):
            return any(text_passes(test, text) for text in event.texts)
        case _:
            return same(node, event.values(node.path), event.values(node.other))
