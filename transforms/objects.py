"""Which objects are new: the inputs' listing, set against the ledger, in order of delivery."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import apache_beam as beam
import msgspec
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from schemas.keys import KeyFacts, Kind, parse_key
from schemas.objects import Bundle, ObjectRef, bundle_name
from schemas.settings import MIB
from schemas.storage import Stat, Storage
from transforms.known_objects import KnownObjects
from transforms.object_refs import ref_of
from transforms.tally import TALLY
from transforms.unicode_text import encodable

LISTED = "listed"
_NAMES_KEPT = 20
_FEWEST_BYTES = 8 * MIB
_SHARES = 8


class Listing(msgspec.Struct, frozen=True):
    """What was listed: all objects, those the ledger knows, those that are none of CloudTrail's (the names of some).

    The span is that of CloudTrail's deliveries, `log_bytes` the stored size of all that holds records.
    """

    objects: int
    log_bytes: int
    known: int
    foreign: int
    foreign_names: tuple[str, ...]
    first_delivery_us: int | None
    newest_delivery_us: int | None


def match_objects(inputs: Iterable[Storage], known: KnownObjects) -> tuple[Listing, list[ObjectRef]]:
    """List every input; return the new objects by delivery time, then name.

    A key without a time of its own counts as delivered when it was last modified. An object under two inputs is one.
    Errors: StorageError when an input cannot be listed: a run that saw half of a bucket must not judge it.
    """
    found = {f"{storage.root}/{stat.path}": (storage.root, stat) for storage in inputs for stat in storage.list()}
    facts = {uri: parse_key(stat.path) for uri, (_, stat) in found.items()}
    listed = pa.table(
        {
            "uri": pa.array([encodable(uri) for uri in found], pa.string()),
            "etag": pa.array([stat.etag for _, stat in found.values()], pa.string()),
            "size": pa.array([stat.size for _, stat in found.values()], pa.int64()),
        }
    )
    marks = known.mark(listed).to_pylist()
    new = [uri for uri, mark in zip(found, marks, strict=True) if not mark]
    replaced = known.replaced([encodable(uri) for uri in new])
    refs = [ref_of(*found[uri], replaced.get(encodable(uri)), facts[uri]) for uri in new]
    refs.sort(key=lambda ref: (ref.delivered_us, ref.uri))
    return _listing(found, facts, len(found) - len(new)), refs


def _listing(found: Mapping[str, tuple[str, Stat]], facts: Mapping[str, KeyFacts], known: int) -> Listing:
    delivered = [
        found[uri][1].modified_us if fact.delivered_us is None else fact.delivered_us
        for uri, fact in facts.items()
        if fact.kind is not Kind.OTHER
    ]
    foreign = sorted(encodable(found[uri][1].path) for uri, fact in facts.items() if fact.kind is Kind.OTHER)
    span = min(delivered, default=None), max(delivered, default=None)
    log_bytes = sum(found[uri][1].size for uri, fact in facts.items() if fact.kind.holds_records)
    return Listing(len(found), log_bytes, known, len(foreign), tuple(foreign[:_NAMES_KEPT]), *span)


class MatchObjects(beam.PTransform):
    """Impulse → ObjectRef, new ones in order of delivery; tagged `LISTED`: one Listing.

    `known` reads the ledger where the listing is made: a long one does not travel with the graph.
    """

    def __init__(self, inputs: tuple[Storage, ...], known: Callable[[], KnownObjects]) -> None:
        super().__init__()
        self._inputs = inputs
        self._known = known

    def expand(self, root: beam.pvalue.PBegin) -> beam.pvalue.DoOutputsTuple:
        return root | beam.Impulse() | beam.ParDo(_Match(self._inputs, self._known)).with_outputs(LISTED, main="new")


class _Match(beam.DoFn):
    def __init__(self, inputs: tuple[Storage, ...], known: Callable[[], KnownObjects]) -> None:
        self._inputs = inputs
        self._known = known

    def process(self, _: bytes) -> Iterator[ObjectRef | beam.pvalue.TaggedOutput]:
        listing, refs = match_objects(self._inputs, self._known())
        TALLY.expect(sum(ref.kind.holds_records for ref in refs))
        yield beam.pvalue.TaggedOutput(LISTED, listing)
        yield from refs


class BundleObjects(beam.PTransform):
    """ObjectRef → Bundle of at least `bundle_bytes` (stored size; a number or a side input) but for the last.

    A bundle's end depends on its own objects only, so that a run that was killed and done again cuts the rest alike.
    """

    def __init__(self, bundle_bytes: int | beam.pvalue.AsSingleton) -> None:
        super().__init__()
        self._bundle_bytes = bundle_bytes

    def expand(self, refs: beam.PCollection[ObjectRef]) -> beam.PCollection[Bundle]:
        return refs | beam.ParDo(_Bundle(), self._bundle_bytes) | beam.Reshuffle()


def bundle_bytes(listing: Listing, most_bytes: int) -> int:
    """Few bundles for a small input, so that every core gets some; never more than `most_bytes` each.

    By all that is listed, known or not: a run that completes another one must cut like it.
    """
    return min(most_bytes, max(_FEWEST_BYTES, listing.log_bytes // _SHARES))


def cut_bundles(refs: Iterable[ObjectRef], bundle_bytes: int) -> Iterator[Bundle]:
    """What `BundleObjects` makes of objects in order of delivery, without Beam."""
    cutter = _Bundle()
    cutter.start_bundle()
    for ref in refs:
        yield from cutter.process(ref, bundle_bytes)
    for last in cutter.finish_bundle():
        yield last.value


class _Bundle(beam.DoFn):
    def start_bundle(self) -> None:
        self._refs: list[ObjectRef] = []
        self._bytes = 0

    def process(self, ref: ObjectRef, bundle_bytes: int) -> Iterator[Bundle]:
        self._refs.append(ref)
        self._bytes += ref.size if ref.kind.holds_records else 0
        if self._bytes >= bundle_bytes:
            yield self._take()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._refs:
            window = GlobalWindow()
            yield WindowedValue(self._take(), window.max_timestamp(), (window,))

    def _take(self) -> Bundle:
        refs = tuple(self._refs)
        self._refs, self._bytes = [], 0
        return Bundle(bundle_name(refs), refs)
