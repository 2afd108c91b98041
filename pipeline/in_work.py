"""Bundles that a stream gave out and that are not known to be committed."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.committed import is_committed
from schemas.intake import Entry
from schemas.objects import Bundle
from schemas.storage import Storage
from schemas.times import MINUTE_US

MERGED_AFTER_US = 10 * MINUTE_US
"""Who asks as often as a stream has seen a bundle's part before `compact` can have merged it and removed it."""


class InWork:
    """By the URIs of their objects. What is in no entry, or was found to be committed, is not in work."""

    def __init__(self, lake: Storage) -> None:
        self._lake = lake
        self._bundles: dict[str, tuple[Bundle, int]] = {}

    def __contains__(self, uri: str) -> bool:
        return uri in self._bundles

    def add(self, entry: Entry) -> None:
        """Its bundles are given out."""
        given = [(bundle, entry.taken_us) for bundle in entry.bundles()]
        self._bundles.update((ref.uri, each) for each in given for ref in each[0].refs)

    def is_done(self, now_us: int) -> Callable[[str], bool]:
        """Whether a URI is not in work any more: asks the lake of each bundle once. Errors: `is_committed`."""
        unfinished: set[str] = set()

        def done(uri: str) -> bool:
            bundle, taken_us = self._bundles.get(uri, (None, 0))
            if bundle is not None and bundle.name not in unfinished:
                merged = now_us >= taken_us + MERGED_AFTER_US
                if not self._finish(bundle, merged=merged):
                    unfinished.add(bundle.name)
            return uri not in self._bundles

        return done

    def finish(self, entry: Entry) -> bool:
        """Whether all of an entry is committed. Errors: `is_committed`."""
        return all(self._finish(bundle, merged=True) for bundle in entry.bundles())

    def _finish(self, bundle: Bundle, *, merged: bool) -> bool:
        if not is_committed(self._lake, bundle, merged=merged):
            return False
        for uri in [ref.uri for ref in bundle.refs]:
            if uri in self._bundles and self._bundles[uri][0].name == bundle.name:
                del self._bundles[uri]
        return True
