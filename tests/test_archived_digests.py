"""Digests in the archive step: what they say is kept in the lake, and their logs are read but once."""

from __future__ import annotations

from pathlib import Path

import pytest
from digest_buckets import fill, hours_of, put_digest
from digest_worlds import Stored, run_of

from pipeline.committed import committed_report
from pipeline.compact import Options, compact
from pipeline.lake_files import read_files
from pipeline.local_storage import LocalStorage
from schemas.dead_letters import Reason
from schemas.digest_files import DIGEST_SCHEMA
from schemas.digests import BrokenDigest, DigestFault
from schemas.errors import ObjectForbidden
from schemas.keys import Kind
from schemas.objects import Bundle, ObjectStatus, bundle_name
from schemas.settings import Limits
from schemas.storage import Fetched
from schemas.times import parse_iso_us
from schemas.trails import LogPath
from transforms.archive_job import archive_bundle
from transforms.bundle_writer import ArchiveJob, BundleReport
from transforms.digest_tables import digests_from, log_objects
from transforms.lake_tables import ledger_part, small_table
from transforms.object_refs import ref_of
from transforms.sigma import RuleSet

LATER_US = parse_iso_us("2100-01-01T00:00:00Z")


def archived(top: Path, name: str = "in") -> tuple[BundleReport, Bundle, LocalStorage]:
    """Archive a folder as one bundle."""
    source, lake = LocalStorage(str(top / name)), LocalStorage(str(top / "lake"))
    refs = sorted((ref_of(source.root, stat) for stat in source.list()), key=lambda ref: (ref.delivered_us, ref.uri))
    bundle = Bundle(bundle_name(refs), tuple(refs))
    job = ArchiveJob({source.root: source}, lake, (), RuleSet(()), LogPath(), Limits(), "run-1", 0)
    return archive_bundle(job, bundle), bundle, lake


def test_what_digests_say_is_kept(tmp_path: Path) -> None:
    """Each is a row of the lake with its metadata, and in the ledger no log, with the hash of its body."""
    digests, logs = hours_of(2)
    fill(tmp_path / "in", digests, logs)
    report, bundle, lake = archived(tmp_path)
    assert [digest.uri for digest in report.digests] == [f"{tmp_path}/in/{each.path}" for each in digests]
    assert [digest.signature for digest in report.digests] == [each.metadata["signature"] for each in digests]
    rows = {row.uri: row for row in report.rows if row.kind is Kind.DIGEST}
    assert {row.status for row in rows.values()} == {ObjectStatus.NOT_LOG}
    assert [rows[digest.uri].body_sha256 for digest in report.digests] == [each.body_sha256 for each in report.digests]
    path = f"digests/{bundle.name}.parquet"
    table = small_table(lake, path, lake.read(path).body, DIGEST_SCHEMA)
    assert tuple(digests_from(table)) == report.digests
    assert table["logs"].to_pylist() == [2, 2]


def test_a_bundle_says_the_same_again(tmp_path: Path) -> None:
    """A stream that begins again hears of digests, and of what could not be read, as if it were the first time."""
    digests, logs = hours_of(2)
    fill(tmp_path / "in", digests, logs)
    (tmp_path / "in" / logs[0][0]).write_bytes(b"no gzip")
    report, bundle, lake = archived(tmp_path)
    again = committed_report(lake, bundle)
    assert again is not None
    assert (again.digests, again.unread, again.rows) == (report.digests, report.unread, report.rows)
    assert [each.reason for each in report.unread] == [Reason.NOT_GZIP]
    found = {each.uri.removeprefix(f"{tmp_path}/in/"): each for _, each in log_objects(again.rows, again.unread)}
    assert found.keys() == {key for key, _ in logs}
    assert [found[key].reason for key, _ in logs] == [Reason.NOT_GZIP, None, None, None]


def test_merges_keep_digests(tmp_path: Path) -> None:
    """Digests of parts that become one are in one file, and a stream that begins again still finds them."""
    digests, logs = hours_of(2)
    fill(tmp_path / "in", digests, logs)
    (report, bundle, lake), (other, _, _) = archived(tmp_path), _second(tmp_path)
    compact(lake, Options(keep_us=0, settle_us=0), lambda: LATER_US)
    compact(lake, Options(keep_us=0, settle_us=0), lambda: LATER_US)
    paths = [stat.path for stat in lake.list("digests/")]
    assert [path.rpartition("/")[2][:7] for path in paths] == ["merged-"]
    tables = [small_table(lake, path, body, DIGEST_SCHEMA) for path, body in read_files(lake, paths)]
    kept = {each.uri for table in tables for each in digests_from(table)}
    assert kept == {each.uri for each in (*report.digests, *other.digests)}
    again = committed_report(lake, bundle)
    assert again is not None
    assert again.digests == report.digests
    (ledger,) = (ledger_part(lake, path, body) for path, body in read_files(lake, _live_parts(lake)))
    assert ledger.table.num_rows == len(report.rows) + len(other.rows)


def _second(top: Path) -> tuple[BundleReport, Bundle, LocalStorage]:
    put_digest(top / "more", run_of(3)[2])
    return archived(top, "more")


def _live_parts(lake: LocalStorage) -> list[str]:
    return [stat.path for stat in lake.list("objects/")]


def test_a_digest_that_is_forbidden_is_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be read, or is none, says why; the bundle is archived all the same."""
    digests, logs = hours_of(3)
    fill(tmp_path / "in", digests, logs)
    put_digest(tmp_path / "in", Stored(digests[1].path, b"[]", {}))
    read = LocalStorage.read

    def forbidding(storage: LocalStorage, path: str) -> Fetched:
        if path == digests[0].path:
            raise ObjectForbidden(f"{storage.root}/{path}", "AccessDenied")
        return read(storage, path)

    monkeypatch.setattr(LocalStorage, "read", forbidding)
    report, _, _ = archived(tmp_path)
    broken = [each.fault for each in report.digests if isinstance(each, BrokenDigest)]
    assert broken == [DigestFault.FORBIDDEN, DigestFault.MALFORMED]
    balance = report.totals.balance
    assert (balance.objects_not_logs, balance.objects_read, balance.objects_dead) == (3, 6, 0)
