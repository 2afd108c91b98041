"""The compact index of the ledger says what the whole ledger says."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.keys import Kind
from schemas.objects import ObjectRow, ObjectStatus
from transforms import object_index
from transforms.known_objects import KnownObjects
from transforms.ledger_part import ledger_table
from transforms.object_index import HashSet, ObjectIndex

KEY = b"a secret of the test"


def row(name: str, etag: str, size: int, handled_us: int, *, read: bool = True) -> ObjectRow:
    """A ledger row of a log object."""
    digest = hashlib.sha256(f"{name}{etag}".encode()).hexdigest() if read else None
    return ObjectRow(
        name, etag, size, None, Kind.LOG, ObjectStatus.READ, None, None, 0, 0, digest, 0, 0, 0, 0, None, None,
        changed=False, run_id="r", handled_us=handled_us,
    )  # fmt: skip


ROWS = st.lists(
    st.tuples(st.sampled_from("abcdé"), st.sampled_from(["x", "y", "\x00"]), st.integers(0, 2), st.booleans()),
    max_size=30,
).map(lambda each: [row(*identity, at, read=read) for at, (*identity, read) in enumerate(each)])


@pytest.fixture(autouse=True)
def sorts_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sort recent entries in after a few of them."""
    monkeypatch.setattr(object_index, "_RECENT", 3)


@given(before=ROWS, added=ROWS)
def test_index_says_what_the_ledger_says(before: list[ObjectRow], added: list[ObjectRow]) -> None:
    """For every identity and URI, whether rows were there at the beginning or came one after the other."""
    index = ObjectIndex(KEY)
    index.add_ledger(ledger_table(before))
    later = [
        ObjectRow(**{**{n: getattr(each, n) for n in each.__struct_fields__}, "handled_us": 100 + at})
        for at, each in enumerate(added)
    ]
    for each in later:
        index.add_rows([each])
    known = KnownObjects(ledger_table([*before, *later]))
    asked = [(uri, etag, size) for uri in "abcdf" for etag in ("x", "y", "\x00") for size in range(3)]
    listed = pa.table(dict(zip(("uri", "etag", "size"), map(list, zip(*asked, strict=True)), strict=True)))
    assert index.known(asked) == known.mark(listed).to_pylist()
    assert index.replaced(list("abcdf")) == known.replaced(list("abcdf"))
    assert len(index) == len({(each.uri, each.etag, each.size) for each in [*before, *later]})


@given(st.lists(st.text(max_size=3), max_size=50))
def test_set_has_what_was_added(texts: list[str]) -> None:
    """Each text once, and no other."""
    there = HashSet(KEY)
    for text in texts:
        there.add([text])
    assert there.has([*texts, "not there"]) == [True] * len(texts) + [False]
    assert len(there) == len(set(texts))


def test_memory_of_a_large_ledger() -> None:
    """An object takes less than a hundred bytes once it is sorted in."""
    index = ObjectIndex(KEY)
    index.add_rows(row(f"s3://bucket/a/long/name/{number}", "etag", 1, 0) for number in range(20_000))
    arrays = (index._uris, index._sizes, index._hashes, index._identities._sorted)
    assert len(index._recent) + len(index._identities._recent) < 20_000
    assert sum(array.nbytes for array in arrays) < 100 * len(index)
