"""What a stream takes in: one numbered entry for each time that it found something new, kept in the lake.

The entry is written before its objects are handled, so that a stream that goes on from an older checkpoint cuts the
same bundles again, and writes the same files.
"""

from __future__ import annotations

import msgspec

from schemas.objects import Bundle, ObjectRef, bundle_name

FOLDER = "intake/"


class Entry(msgspec.Struct, frozen=True):
    """New objects in order of delivery, when they were taken in, and how large a bundle of them may be (stored).

    Everything visible by `complete_us` is in this entry or in earlier ones; 0 where nothing was known of that.
    """

    number: int
    taken_us: int
    bundle_bytes: int
    refs: tuple[ObjectRef, ...]
    complete_us: int = 0

    @property
    def path(self) -> str:
        """Where it lies in the lake; paths sort like numbers."""
        return f"{FOLDER}{self.number:012d}.json"

    def bundles(self) -> list[Bundle]:
        """The entry's objects, cut where a bundle reaches its size."""
        cut: list[list[ObjectRef]] = [[]]
        size = 0
        for ref in self.refs:
            if size >= self.bundle_bytes:
                cut.append([])
                size = 0
            cut[-1].append(ref)
            size += ref.size if ref.kind.holds_records else 0
        return [Bundle(bundle_name(refs), tuple(refs)) for refs in cut if refs]


class Offered(msgspec.Struct, frozen=True):
    """A bundle of a stream, and when it was taken in; `again` where an earlier life of the stream may have done it."""

    bundle: Bundle
    again: bool
    taken_us: int


class Tick(msgspec.Struct, frozen=True):
    """A step of the stream's clock: slots due after `from_us` (None: the first step) up to `to_us` are expected.

    `first_delivery_us` is the first delivery that the lake knows; None while there is none.
    """

    from_us: int | None
    to_us: int
    first_delivery_us: int | None


class Taken(msgspec.Struct, frozen=True):
    """What one look found: an entry (None: nothing new), and the clock.

    Everything delivered and visible by `complete_us` has been taken in, with this entry at the latest; 0 where that is
    not known yet. `again` marks an entry that was found in the lake, not made by this look.
    """

    number: int
    entry: Entry | None
    complete_us: int
    first_delivery_us: int | None
    again: bool = False
