"""`trailcanary fetch-digests`: digests with their signatures, of a bucket or a folder, by account, region and time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.__main__ import main
from pipeline.local_storage import LocalStorage
from pipeline.log_trees import DIGESTS, LOGS, Scope, list_tree, log_trees, open_logs
from pipeline.s3_storage import S3Storage
from schemas.digests import Tree
from schemas.errors import ObjectForbidden
from schemas.storage import Fetched
from schemas.times import DAY_US, format_us, parse_iso_us

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

NOON_US = parse_iso_us("2026-11-24T12:00:00Z")
SIGNED = {"signature": "00ff", "signature-algorithm": "SHA256withRSA"}


def digest_path(account: str = "111122223333", region: str = "us-east-1", at_us: int = NOON_US, logs: str = "") -> str:
    """Where a digest of a trail lies."""
    day = format_us(at_us)[:10].replace("-", "/")
    stamp = format_us(at_us).replace("-", "").replace(":", "")
    name = f"{account}_CloudTrail-Digest_{region}_trail_us-east-1_{stamp}.json.gz"
    return f"AWSLogs/{logs}{account}/CloudTrail-Digest/{region}/{day}/{name}"


def log_path(account: str = "111122223333", region: str = "us-east-1") -> str:
    """Where a log of that day lies."""
    name = f"{account}_CloudTrail_{region}_20261124T1155Z_abcdefghijklmnop.json.gz"
    return f"AWSLogs/{account}/CloudTrail/{region}/2026/11/24/{name}"


@pytest.fixture
def copy(tmp_path: Path) -> LocalStorage:
    """Where copies go."""
    return LocalStorage(str(tmp_path / "copy"))


@pytest.fixture
def bucket(s3_bucket: str) -> S3Storage:
    """A prefix of a bucket with two accounts, an organisation, two days, logs, and what is none of CloudTrail's."""
    bucket = S3Storage(s3_bucket, "trails")
    paths = [
        digest_path(),
        digest_path(at_us=NOON_US - DAY_US),
        digest_path(region="eu-west-1"),
        digest_path("444455556666"),
        digest_path("777788889999", logs="o-abc123/"),
    ]
    for path in paths:
        bucket.write(path, path.encode(), SIGNED)
    bucket.write(log_path(), b"log")
    bucket.write("AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/11/24/notes.json.gz", b"not a digest")
    bucket.write("trailcanary.toml", b"")
    return bucket


def copied(copy: LocalStorage) -> list[str]:
    """What was copied."""
    return sorted(stat.path for stat in copy.list("AWSLogs"))


def test_a_bucket_is_copied_with_signatures(
    bucket: S3Storage, copy: LocalStorage, s3: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Same names, same bytes, the metadata and the version beside them; nothing else comes along."""
    s3.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    bucket.write(digest_path(), b"versioned", SIGNED)
    assert main(["fetch-digests", "--input", bucket.root, "--output", copy.root]) == 0
    assert "5 digests" in capsys.readouterr().out
    assert copied(copy) == sorted(stat.path for stat in bucket.list("AWSLogs") if "_CloudTrail-Digest_" in stat.path)
    for path in copied(copy):
        assert (copy.read(path).body, copy.read(path).metadata) == (bucket.read(path).body, SIGNED)
    sidecar = json.loads(Path(copy.root, f"{digest_path()}.metadata.json").read_text())
    assert sidecar == {**SIGNED, "version-id": bucket.read(digest_path()).version}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--account", "444455556666"], [digest_path("444455556666")]),
        (["--account", "777788889999"], [digest_path("777788889999", logs="o-abc123/")]),
        (["--region", "eu-west-1"], [digest_path(region="eu-west-1")]),
        (["--end", "2026-11-23T12:00:00Z"], [digest_path(at_us=NOON_US - DAY_US)]),
        (
            ["--start", "2026-11-24T12:00:00Z", "--end", "2026-11-24T12:00:00Z", "--region", "us-east-1"],
            [digest_path(), digest_path("444455556666"), digest_path("777788889999", logs="o-abc123/")],
        ),
        (["--start", "2020-01-01T00:00:00Z", "--end", "2026-11-24T10:59:59Z"], [digest_path(at_us=NOON_US - DAY_US)]),
    ],
)
def test_only_what_was_asked_for_is_copied(
    bucket: S3Storage, copy: LocalStorage, options: list[str], wanted: list[str]
) -> None:
    """Accounts, regions, and the time: what was delivered up to the end may be in the digest of the hour after."""
    assert main(["fetch-digests", "--input", bucket.root, "--output", copy.root, *options]) == 0
    assert copied(copy) == sorted(wanted)


def test_a_second_copy_changes_nothing_and_tells_what_changed(
    bucket: S3Storage, copy: LocalStorage, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first copy is evidence: a digest that was replaced since is told, not copied over it."""
    fetch = ["fetch-digests", "--input", bucket.root, "--output", copy.root]
    assert main(fetch) == 0
    assert main(fetch) == 0
    assert "0 copied, 5 there already\n" in capsys.readouterr().out
    bucket.write(digest_path(), b"replaced", SIGNED)
    bucket.write(digest_path(region="eu-west-1"), digest_path(region="eu-west-1").encode(), {"signature": "11"})
    assert main(fetch) == 1
    err = capsys.readouterr().err
    assert f"{bucket.root}/{digest_path()}: is not what was copied to {copy.root} before" in err
    assert f"{digest_path(region='eu-west-1')}: has another signature than its copy" in err
    assert copy.read(digest_path()).body == digest_path().encode()


def test_a_copy_of_the_bytes_alone_gets_its_signature(bucket: S3Storage, copy: LocalStorage) -> None:
    """Whoever copied with `aws s3 sync` before has only the sidecars to come."""
    copy.write(digest_path(), bucket.read(digest_path()).body)
    assert main(["fetch-digests", "--input", bucket.root, "--output", copy.root]) == 0
    assert copy.read(digest_path()).metadata == SIGNED


def test_a_digest_that_cannot_be_read_does_not_stop_the_others(
    bucket: S3Storage, copy: LocalStorage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """AccessDenied on one, and one without a signature: told, and the exit code says so."""
    read: Callable[[S3Storage, str], Fetched] = S3Storage.read

    def refusing(storage: S3Storage, path: str) -> Fetched:
        if path == digest_path():
            raise ObjectForbidden(f"{storage.root}/{path}", "AccessDenied: no")
        return read(storage, path)

    monkeypatch.setattr(S3Storage, "read", refusing)
    bucket.write(digest_path("444455556666"), b"unsigned")
    assert main(["fetch-digests", "--input", bucket.root, "--output", copy.root]) == 1
    err = capsys.readouterr().err
    assert f"{digest_path()}: AccessDenied" in err
    assert f"{digest_path('444455556666')}: has no signature in its metadata" in err
    assert len(copied(copy)) == 4


def test_no_digest_is_no_success(copy: LocalStorage, tmp_path: Path) -> None:
    """All deleted, or the wrong folder."""
    (tmp_path / "in").mkdir()
    assert main(["fetch-digests", "--input", str(tmp_path / "in"), "--output", copy.root]) == 1


def test_a_folder_is_copied_as_a_bucket_is(tmp_path: Path, copy: LocalStorage) -> None:
    """Sidecars become sidecars."""
    source = LocalStorage(str(tmp_path / "in"))
    source.write(digest_path(), b"digest", {**SIGNED, "version-id": "v1"})
    assert main(["fetch-digests", "--input", source.root, "--output", copy.root]) == 0
    assert copy.read(digest_path()) == source.read(digest_path())


@pytest.mark.parametrize(
    ("inside", "trees"),
    [
        ("", 4),
        ("/AWSLogs", 4),
        ("/AWSLogs/o-abc123", 1),
        ("/AWSLogs/111122223333", 2),
        ("/AWSLogs/111122223333/CloudTrail-Digest", 2),
        ("/AWSLogs/111122223333/CloudTrail/us-east-1", 1),
    ],
)
def test_an_input_inside_of_awslogs_keeps_its_keys(bucket: S3Storage, inside: str, trees: int) -> None:
    """A part of a bucket is looked at from outside: what digests name begins there."""
    source = open_logs(bucket.root + inside)
    assert source.storage.root == bucket.root
    found = log_trees(source, Scope())
    assert len(found) == trees
    assert all(tree.root == bucket.root and tree.logs.startswith("AWSLogs/") for tree in found)


def test_trees_are_those_with_logs_or_digests(tmp_path: Path) -> None:
    """A tree whose digests are all gone is a tree; its objects are listed by kind and day."""
    folder = LocalStorage(str(tmp_path))
    folder.write(log_path(region="eu-west-1"), b"log")
    folder.write(digest_path(), b"digest")
    trees = log_trees(open_logs(folder.root), Scope())
    assert trees == [
        Tree(folder.root, "AWSLogs/", "111122223333", "eu-west-1"),
        Tree(folder.root, "AWSLogs/", "111122223333", "us-east-1"),
    ]
    assert [stat.path for stat in list_tree(folder, trees[0], LOGS, None, None)] == [log_path(region="eu-west-1")]
    for span in ((NOON_US, NOON_US), (NOON_US, None), (None, NOON_US), (0, NOON_US)):
        assert [stat.path for stat in list_tree(folder, trees[1], DIGESTS, *span)] == [digest_path()]
    for outside in ((NOON_US + DAY_US, NOON_US + 2 * DAY_US), (NOON_US + DAY_US, None), (None, NOON_US - DAY_US)):
        assert list(list_tree(folder, trees[1], DIGESTS, *outside)) == []
