"""Bundles that a stream gave out and that are not known to be committed."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.committed import committed_report
from schemas.intake import Entry
from schemas.objects import Bundle
from schemas.storage import Storage


class InWork:
    """By the URIs of their objects. What is in no entry, or was found to be committed, is not in work."""

    def __init__(self, lake: Storage) -> None:
        self._lake = lake
        self._bundles: dict[str, Bundle] = {}

    def __contains__(self, uri: str) -> bool:
        return uri in self._bundles

    def add(self, entry: Entry) -> None:
        """Its bundles are given out."""
        self._bundles.update((ref.uri, bundle) for bundle in entry.bundles() for ref in bundle.refs)

    def is_done(self) -> Callable[[str], bool]:
        """Whether a URI is not in work any more: asks the lake of each bundle once. It raises StorageError."""
        unfinished: set[str] = set()

        def done(uri: str) -> bool:
            bundle = self._bundles.get(uri)
            if bundle is not None and bundle.name not in unfinished and not self._finish(bundle):
                unfinished.add(bundle.name)
            return uri not in self._bundles

        return done

    def finish(self, entry: Entry) -> bool:
        """Whether all of an entry is committed. Raises StorageError."""
        return all(self._finish(bundle) for bundle in entry.bundles())

    def _finish(self, bundle: Bundle) -> bool:
        if committed_report(self._lake, bundle) is None:
            return False
        for uri in [ref.uri for ref in bundle.refs]:
            if uri in self._bundles and self._bundles[uri].name == bundle.name:
                del self._bundles[uri]
        return True
