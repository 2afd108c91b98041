"""Which events a condition may and must hold for, while only part of them is known.

A condition is bounded from both sides: `possible` covers every row where it may hold, `certain` only rows where it
must. So a `not` can be pushed down as well.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from transforms.sigma.predicate import AllOf, AnyOf, FieldTest, Node, Not, Text, passes

Mask: TypeAlias = npt.NDArray[np.bool_]
"""One truth value a row. NumPy's, since most are short, and a kernel of Arrow costs more to call than to run."""


Tests: TypeAlias = tuple[FieldTest, ...]
"""Tests of one field, of which any may hold."""


class Bounds(NamedTuple):
    """Where a condition may hold, and where it must; None stands for all rows in `possible` and none in `certain`."""

    possible: Mask | None = None
    certain: Mask | None = None


def residue(node: Node, known: Mapping[tuple[str, ...], list[Any]]) -> Node | bool:
    """What is left of a condition once some fields are known: a truth value where nothing is."""
    match node:
        case AllOf(parts=parts):
            return _joined(parts, known, AllOf, neutral=True)
        case AnyOf(parts=parts):
            return _joined(parts, known, AnyOf, neutral=False)
        case Not(part=part):
            left = residue(part, known)
            return not left if isinstance(left, bool) else Not(left)
        case FieldTest(path=path, test=test) if path in known:
            return passes(test, known[path])
        case _:
            return node


def _joined(
    parts: Iterable[Node],
    known: Mapping[tuple[str, ...], list[Any]],
    join: type[AllOf | AnyOf],
    *,
    neutral: bool,
) -> Node | bool:
    """What is left of parts of which one that is not `neutral` decides."""
    left: list[Node] = []
    for part in parts:
        rest = residue(part, known)
        if not isinstance(rest, bool):
            left.append(rest)
        elif rest is not neutral:
            return rest
    if not left:
        return neutral
    return left[0] if len(left) == 1 else join(tuple(left))


def required_texts(node: Node, path: tuple[str, ...]) -> frozenset[Text] | None:
    """Texts of which a field must have one for the condition to hold; None where that cannot be said."""
    match node:
        case AllOf(parts=parts):
            return min(filter(None, (required_texts(part, path) for part in parts)), key=len, default=None)
        case AnyOf(parts=parts):
            every = [required_texts(part, path) for part in parts]
            return None if None in every else frozenset().union(*filter(None, every))
        case FieldTest(path=tested, test=Text() as text) if tested == path:
            return frozenset({text})
        case _:
            return None


def bounds(node: Node, leaf: Callable[[Tests], Bounds]) -> Bounds:
    """Bound a condition by the bounds of its field tests, some of them at once; other leaves say nothing."""
    match node:
        case AllOf(parts=parts):
            inner = [bounds(part, leaf) for part in parts]
            return Bounds(_known(operator.and_, [b.possible for b in inner]), _all_known(operator.and_, inner, 1))
        case AnyOf(parts=parts):
            inner = [leaf(tests) for tests in _by_path(parts)]
            inner += [bounds(part, leaf) for part in parts if not isinstance(part, FieldTest)]
            return Bounds(_all_known(operator.or_, inner, 0), _known(operator.or_, [b.certain for b in inner]))
        case Not(part=part):
            possible, certain = bounds(part, leaf)
            return Bounds(None if certain is None else ~certain, None if possible is None else ~possible)
        case FieldTest():
            return leaf((node,))
        case _:
            return Bounds()


def _by_path(parts: Iterable[Node]) -> list[Tests]:
    """The field tests among some parts, those of one field together."""
    found: dict[tuple[str, ...], Tests] = {}
    for part in parts:
        if isinstance(part, FieldTest):
            found[part.path] = (*found.get(part.path, ()), part)
    return list(found.values())


def _all_known(combine: Callable[[Mask, Mask], Mask], inner: list[Bounds], side: int) -> Mask | None:
    """One mask out of all on one side, None as soon as one is unknown."""
    masks = [bound[side] for bound in inner]
    return None if any(mask is None for mask in masks) else _known(combine, masks)


def _known(combine: Callable[[Mask, Mask], Mask], masks: list[Mask | None]) -> Mask | None:
    """One mask out of those that are known, None if none is."""
    known = [mask for mask in masks if mask is not None]
    return functools.reduce(combine, known) if known else None
