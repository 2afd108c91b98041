"""Keys that are listed again under another identity: which of them count as changed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pipeline.local_storage import LocalStorage
from schemas.keys import Kind
from schemas.objects import Bundle, ObjectRef, Replaced
from schemas.settings import Limits
from schemas.trails import LogPath
from transforms.archive_job import archive_bundle
from transforms.bundle_writer import ArchiveJob
from transforms.sigma import RuleSet

REF = ObjectRef("in", "x", 10, "mtime:2", 0, Kind.DIGEST, None, None, 0, Replaced(10, None))


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        pytest.param({}, False, id="a digest that was touched"),
        pytest.param({"size": 11}, True, id="a digest of another size"),
        pytest.param({"etag": "e2"}, True, id="a digest with another entity tag in a bucket"),
        pytest.param({"etag": "e2", "kind": Kind.OTHER}, False, id="another service's object"),
        pytest.param({"size": 11, "replaces": None}, False, id="a new key"),
    ],
)
def test_what_is_never_read_is_changed_by_its_identity(
    tmp_path: Path, fields: dict[str, object], *, changed: bool
) -> None:
    """A digest of another size or tag is a finding, even unread; a touched file and foreign objects are none."""
    ref = msgspec.structs.replace(REF, **fields)
    inputs = {"in": LocalStorage(str(tmp_path / "in"))}
    job = ArchiveJob(inputs, LocalStorage(str(tmp_path)), (), RuleSet(()), LogPath(), Limits(), "run-1", 0)
    (row,) = archive_bundle(job, Bundle("0" * 24, (ref,))).rows
    assert row.changed is changed
