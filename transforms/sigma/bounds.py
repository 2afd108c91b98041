"""Which events a condition may and must hold for, while only part of them is known.

A condition is bounded from both sides: `possible` covers every row where it may hold, `certain` only rows where it
must. So a `not` can be pushed down as well.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pyarrow.compute as pc

from transforms.sigma.predicate import AllOf, AnyOf, FieldTest, Node, Not, passes


class Bounds(NamedTuple):
    """Boolean masks; None stands for all rows in `possible` and for none in `certain`."""

    possible: Any = None
    certain: Any = None


def verdict(node: Node, known: Mapping[tuple[str, ...], list[Any]]) -> bool | None:
    """What a condition comes to when only some fields are known; None where that depends on the others."""
    match node:
        case AllOf(parts=parts):
            return _all(verdict(part, known) for part in parts)
        case AnyOf(parts=parts):
            return _negated(_all(_negated(verdict(part, known)) for part in parts))
        case Not(part=part):
            return _negated(verdict(part, known))
        case FieldTest(path=path, test=test) if path in known:
            return passes(test, known[path])
        case _:
            return None


def _negated(value: bool | None) -> bool | None:  # noqa: FBT001 - a truth value, not an option
    return None if value is None else not value


def _all(values: Iterable[bool | None]) -> bool | None:
    all_known = True
    for value in values:
        if value is False:
            return False
        all_known = all_known and value is not None
    return True if all_known else None


def bounds(node: Node, leaf: Callable[[FieldTest], Bounds]) -> Bounds:
    """Bound a condition by the bounds of its field tests; other leaves say nothing."""
    match node:
        case AllOf(parts=parts):
            inner = [bounds(part, leaf) for part in parts]
            return Bounds(_narrow([part.possible for part in inner]), _strict(pc.and_, [b.certain for b in inner]))
        case AnyOf(parts=parts):
            inner = [bounds(part, leaf) for part in parts]
            return Bounds(_strict(pc.or_, [b.possible for b in inner]), _widen([part.certain for part in inner]))
        case Not(part=part):
            possible, certain = bounds(part, leaf)
            return Bounds(
                None if certain is None else pc.invert(certain), None if possible is None else pc.invert(possible)
            )
        case FieldTest():
            return leaf(node)
        case _:
            return Bounds()


def _strict(combine: Callable[[Any, Any], Any], masks: list[Any]) -> Any:
    """One mask out of all, None as soon as one is unknown."""
    return None if any(mask is None for mask in masks) else functools.reduce(combine, masks)


def _narrow(masks: list[Any]) -> Any:
    known = [mask for mask in masks if mask is not None]
    return functools.reduce(pc.and_, known) if known else None


def _widen(masks: list[Any]) -> Any:
    known = [mask for mask in masks if mask is not None]
    return functools.reduce(pc.or_, known) if known else None
