"""Maintenance: times in which what concerns some places is expected, and pages nobody."""

from __future__ import annotations

import msgspec

MAINTENANCE = "maintenance:"
"""Before a window's name in `suppressed_by`."""


class Maintenance(msgspec.Struct, frozen=True):
    """A window from `start_us`, up to and without `end_us`; globs of accounts, regions and canaries, () for any.

    One that names canaries is about these alone, and not about what rules find.
    """

    name: str
    start_us: int
    end_us: int
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    canaries: tuple[str, ...] = ()

    @property
    def suppressed_by(self) -> str:
        """What an alert says that it suppresses."""
        return f"{MAINTENANCE}{self.name}"
