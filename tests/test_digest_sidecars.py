"""Metadata of digests beside their copies: what a folder reads and writes, and what it makes of hostile files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.local_storage import LocalStorage
from schemas.digest_sidecars import decode_sidecar, encode_sidecar, has_sidecar, is_sidecar, sidecar_of

DIGEST = (
    "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/11/24/"
    "111122223333_CloudTrail-Digest_us-east-1_a_trail_us-east-1_20261124T120000Z.json.gz"
)
LOG = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/24/111122223333_CloudTrail_us-east-1_x.json.gz"
SIGNED = {"signature": "00ff", "signature-algorithm": "SHA256withRSA"}


@pytest.fixture
def folder(tmp_path: Path) -> LocalStorage:
    """An empty folder as a storage."""
    return LocalStorage(str(tmp_path))


@given(st.dictionaries(st.text(), st.text()))
def test_a_sidecar_is_read_as_it_was_written(metadata: dict[str, str]) -> None:
    """Whatever the metadata says."""
    assert decode_sidecar(encode_sidecar(metadata)) == metadata


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"signature": 5}', b'{"signature": {"a": 1}}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_sidecar_that_is_none_says_nothing(folder: LocalStorage, body: bytes) -> None:
    """Its digest is read, and has no signature."""
    folder.write(DIGEST, b"digest")
    Path(folder.root, sidecar_of(DIGEST)).write_bytes(body)
    assert (folder.read(DIGEST).body, folder.read(DIGEST).metadata) == (b"digest", {})


def test_a_digest_is_written_and_read_with_its_metadata(folder: LocalStorage) -> None:
    """In a file that a person can read, and whose `version-id` is the object's version."""
    folder.write(DIGEST, b"digest", {**SIGNED, "version-id": "v1"})
    assert json.loads(Path(folder.root, f"{DIGEST}.metadata.json").read_text()) == {**SIGNED, "version-id": "v1"}
    fetched = folder.read(DIGEST)
    assert (fetched.body, fetched.version, fetched.metadata) == (b"digest", "v1", SIGNED)


def test_a_sidecar_is_no_object_of_the_folder(folder: LocalStorage) -> None:
    """It is not listed: the balance of a run counts objects."""
    folder.write(DIGEST, b"digest", SIGNED)
    assert [stat.path for stat in folder.list()] == [DIGEST]
    assert Path(folder.root, sidecar_of(DIGEST)).exists()


def test_a_copy_of_the_bytes_alone_has_no_metadata(folder: LocalStorage) -> None:
    """Nor has one whose sidecar cannot be read."""
    folder.write(DIGEST, b"digest")
    assert folder.read(DIGEST).metadata == {}
    Path(folder.root, sidecar_of(DIGEST)).mkdir()
    assert folder.read(DIGEST).body == b"digest"
    assert folder.read(DIGEST).metadata == {}


def test_only_digests_have_sidecars(folder: LocalStorage) -> None:
    """A log's metadata is not kept, and a file that is named like its sidecar is an object like any other."""
    folder.write(LOG, b"log", SIGNED)
    folder.write(sidecar_of(LOG), encode_sidecar(SIGNED))
    assert sorted(stat.path for stat in folder.list()) == [LOG, sidecar_of(LOG)]
    assert folder.read(LOG).metadata == {}
    assert (has_sidecar(DIGEST), is_sidecar(sidecar_of(DIGEST)), is_sidecar(DIGEST)) == (True, True, False)
