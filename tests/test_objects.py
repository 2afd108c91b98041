"""Which objects are new, and the bundles they travel in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that
from archive_worlds import ACCOUNT, EMPTY_LEDGER, FOLDER, REGION, archive, fill, key, record
from hypothesis import given
from hypothesis import strategies as st

from schemas.keys import Kind
from schemas.objects import Bundle, ObjectRef, Replaced
from schemas.settings import MIB
from schemas.storage import Fetched, Stat
from schemas.times import parse_iso_us
from transforms.known_objects import KnownObjects
from transforms.ledger_part import ledger_table
from transforms.objects import LISTED, BundleObjects, Listing, MatchObjects, bundle_bytes, match_objects
from transforms.objects import _Bundle as Bundler

NOTHING = KnownObjects(EMPTY_LEDGER)


class Listed(msgspec.Struct, frozen=True):
    """A storage that only lists."""

    root: str
    stats: tuple[Stat, ...]

    @property
    def remote(self) -> bool:
        """It has nothing to read."""
        return False

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """What it was given."""
        return (stat for stat in self.stats if stat.path.startswith(prefix))

    def read(self, path: str) -> Fetched:
        """Never called."""
        raise AssertionError(path)

    def write(self, path: str, body: bytes) -> None:
        """Never called."""
        raise AssertionError(path, body)

    def delete(self, path: str) -> None:
        """Never called."""
        raise AssertionError(path)


def stat(path: str, size: int = 10, etag: str = "e", modified_us: int = 5) -> Stat:
    """A listed object."""
    return Stat(path, size, etag, modified_us)


def ref(number: int, size: int, kind: Kind = Kind.LOG) -> ObjectRef:
    """An object that has a name, a size and a kind."""
    return ObjectRef("in", f"{number:04}", size, "e", 0, kind, None, None, number)


def test_objects_come_in_order_of_delivery() -> None:
    """By the minute in the key, or the last modification where it has none; then by name."""
    late_us = parse_iso_us("2026-11-01T00:07:00Z")
    source = Listed("in", (stat(key(9)), stat("b.json.gz", modified_us=late_us), stat(key(2)), stat("a.json.gz")))
    listing, refs = match_objects([source], NOTHING)
    assert [each.path for each in refs] == ["a.json.gz", key(2), "b.json.gz", key(9)]
    assert [each.delivered_us for each in refs][:1] == [5]
    assert (refs[1].account_id, refs[1].region, refs[1].kind) == (ACCOUNT, REGION, Kind.LOG)
    assert (listing.first_delivery_us, listing.newest_delivery_us) == (5, parse_iso_us("2026-11-01T00:09:00Z"))


def test_known_objects_are_left_out_and_changed_ones_are_not(tmp_path: Path) -> None:
    """The same identity is known; another time or size is new, and says what it replaces."""
    report = archive(tmp_path, {key(0): [record(1)], key(1): [record(2)], key(2): [record(3)]})
    source = fill(tmp_path / "in", {key(1): [record(2), record(4)], key(3): [record(5)]})
    os.utime(tmp_path / "in" / key(2), (1, 1))
    listing, refs = match_objects([source], KnownObjects(ledger_table(report.rows)))
    was = {row.uri: Replaced(row.size, row.body_sha256) for row in report.rows}
    assert [(each.path, each.replaces) for each in refs] == [
        (key(1), was[f"{source.root}/{key(1)}"]),
        (key(2), was[f"{source.root}/{key(2)}"]),
        (key(3), None),
    ]
    assert (listing.objects, listing.known) == (4, 1)


def test_the_newest_row_says_what_was_replaced(tmp_path: Path) -> None:
    """A key that changed twice is compared with its last body."""
    [row] = archive(tmp_path, {key(0): [record(1)]}).rows
    rows = [
        msgspec.structs.replace(row, etag="b", size=2, handled_us=2),
        msgspec.structs.replace(row, etag="a", size=1, handled_us=1),
    ]
    assert KnownObjects(ledger_table(rows)).replaced([row.uri]) == {row.uri: Replaced(2, row.body_sha256)}


def test_overlapping_inputs_name_an_object_once() -> None:
    """One root inside another lists the same object under the same name."""
    inside = FOLDER.rpartition("/")[0]
    outer = Listed("s3://b", (stat(key(0)), stat("x.txt")))
    inner = Listed(f"s3://b/{inside}", (stat(key(0).removeprefix(f"{inside}/")),))
    listing, refs = match_objects([outer, inner], NOTHING)
    assert sorted(each.uri for each in refs) == [f"s3://b/{key(0)}", "s3://b/x.txt"]
    assert listing.objects == 2


def test_foreign_objects_are_named_and_prove_nothing() -> None:
    """Other services' objects are counted, some are named, and none counts as a delivery."""
    source = Listed("in", tuple(stat(f"config/{number:02}.txt") for number in range(30)))
    listing, refs = match_objects([source], NOTHING)
    assert {each.kind for each in refs} == {Kind.OTHER}
    names = tuple(f"config/{number:02}.txt" for number in range(20))
    assert listing == Listing(30, 0, 0, 30, names, None, None)


def test_match_objects_in_a_pipeline() -> None:
    """The transform gives the listing beside the new objects."""
    source = Listed("in", (stat(key(1)), stat(key(0)), stat("x.txt")))
    listing, refs = match_objects([source], NOTHING)
    with test_pipeline.TestPipeline("FnApiRunner") as root:
        objects = root | MatchObjects((source,), lambda: NOTHING)
        assert_that(objects.new, lambda found: _same(found, refs), label="new")
        assert_that(objects[LISTED], lambda found: _same(found, [listing]), label="listed")


def test_bundles_in_a_pipeline() -> None:
    """Every object is in one bundle, in order; each but the last holds at least the bytes asked for."""
    refs = [ref(number, 10) for number in range(25)]

    def check(bundles: list[Bundle]) -> None:
        ordered = sorted(bundles, key=lambda bundle: bundle.refs[0].path)
        _same([each for bundle in ordered for each in bundle.refs], refs)
        _same([len(bundle.refs) for bundle in ordered], [4, 4, 4, 4, 4, 4, 1])

    with test_pipeline.TestPipeline("FnApiRunner") as root:
        single = root | beam.Impulse() | beam.FlatMap(lambda _: refs)
        assert_that(single | BundleObjects(40), check)


def _same(found: list[Any], expected: list[Any]) -> None:
    assert list(found) == list(expected)


def bundled(refs: Sequence[ObjectRef], most_bytes: int) -> list[Bundle]:
    """The bundles that refs are cut into."""
    bundler = Bundler()
    bundler.start_bundle()
    found = [bundle for each in refs for bundle in bundler.process(each, most_bytes)]
    return found + [windowed.value for windowed in bundler.finish_bundle()]


kinds = st.sampled_from([Kind.LOG, Kind.LOG, Kind.DIGEST, Kind.OTHER])
sizes = st.lists(st.tuples(st.integers(0, 100), kinds), max_size=40)


@given(sizes, st.integers(1, 200), st.data())
def test_a_retry_cuts_what_is_left_alike(sized: list[tuple[int, Kind]], limit: int, data: st.DataObject) -> None:
    """Whichever whole bundles were committed before the kill, the others keep their names and their objects."""
    bundles = bundled([ref(number, size, kind) for number, (size, kind) in enumerate(sized)], limit)
    left = [bundle for bundle in bundles if data.draw(st.booleans())]
    assert bundled([each for bundle in left for each in bundle.refs], limit) == left


@given(sizes, st.integers(1, 200))
def test_bundles_are_as_large_as_asked(sized: list[tuple[int, Kind]], limit: int) -> None:
    """Only bytes that will be read count, all objects are bundled, and names are distinct."""
    refs = [ref(number, size, kind) for number, (size, kind) in enumerate(sized)]
    bundles = bundled(refs, limit)
    assert [each for bundle in bundles for each in bundle.refs] == refs
    assert len({bundle.name for bundle in bundles}) == len(bundles)
    read = [sum(each.size for each in bundle.refs if each.kind.holds_records) for bundle in bundles]
    assert all(total >= limit for total in read[:-1])


@pytest.mark.parametrize(
    ("log_mib", "bundle_mib"), [(0, 8), (10, 8), (64, 8), (80, 10), (400, 50), (512, 64), (100_000, 64)]
)
def test_bundles_suit_the_listing(log_mib: int, bundle_mib: int) -> None:
    """An eighth of what is listed, within bounds: known objects count, so that a retry cuts alike."""
    listing = Listing(0, log_mib * MIB, 0, 0, (), None, None)
    assert bundle_bytes(listing, 64 * MIB) == bundle_mib * MIB
