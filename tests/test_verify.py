"""`trailcanary verify`: what validate-logs says, and what it does not see; of folders, buckets and copies."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from digest_worlds import ACCOUNT, BUCKET, CHAIN, HOME, REGION, Stored, hour_us, log_at, public_key, run_of, stored
from small_lakes import ledger_row, write_ledger

from pipeline.__main__ import main
from pipeline.local_storage import LocalStorage
from pipeline.public_keys import add_keys
from pipeline.s3_storage import S3Storage
from schemas.errors import ObjectForbidden
from schemas.storage import Fetched, Stat, Storage
from schemas.times import format_us

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

LOGS = [log_at(0.25), log_at(1.5), log_at(1.75, "y" * 16), log_at(3.2)]
HOURS = 10
AS_OF = format_us(hour_us(HOURS + 0.5))
OTHER_REGION = msgspec.structs.replace(CHAIN, region="eu-central-1")
ARN = f"arn:aws:cloudtrail:{HOME}:{ACCOUNT}:trail/audit"


class World:
    """A storage with five hours of digests and logs, the lake with their keys, and the command."""

    def __init__(self, storage: Storage, lake: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
        self.storage = storage
        self.lake = lake
        self._capsys = capsys
        self.digests = run_of(HOURS, LOGS)
        for digest in self.digests:
            self.put(digest)
        for key, body in LOGS:
            storage.write(key, gzip.compress(body))
        add_keys(lake, (), [public_key()])

    def put(self, digest: Stored, data: bytes | None = None) -> None:
        """Write a digest, as it should be or with other bytes."""
        self.storage.write(digest.path, gzip.compress(digest.body) if data is None else data, digest.metadata)

    def uri(self, path: str) -> str:
        """The full name of an object."""
        return f"{self.storage.root}/{path}"

    def verify(self, *options: str, root: str | None = None) -> tuple[int, str, str]:
        """Exit code and what was said."""
        given = ["verify", "--input", root or self.storage.root, "--keys", self.lake.root, "--as-of", AS_OF]
        code = main([*given, *options])
        return code, *self._capsys.readouterr()

    def document(self, *options: str, root: str | None = None) -> dict[str, Any]:
        """The JSON document."""
        code, out, err = self.verify("--json", *options, root=root)
        document: dict[str, Any] = json.loads(out)
        assert (code == 0, err) == (document["valid"], "")
        return document


@pytest.fixture
def lake(tmp_path: Path) -> LocalStorage:
    """Where keys are kept."""
    return LocalStorage(str(tmp_path / "lake"))


@pytest.fixture
def world(tmp_path: Path, lake: LocalStorage, capsys: pytest.CaptureFixture[str]) -> World:
    """Five hours in a folder."""
    return World(LocalStorage(str(tmp_path / "logs")), lake, capsys)


@pytest.fixture
def bucket(s3: S3Client) -> Iterator[S3Storage]:
    """The bucket that the digests of these tests were signed for."""
    s3.create_bucket(Bucket=BUCKET)
    storage = S3Storage(BUCKET)
    yield storage
    for stat in storage.list():
        storage.delete(stat.path)


def refuse(monkeypatch: pytest.MonkeyPatch, kind: type[Any], refused: Callable[[str], bool]) -> None:
    """AccessDenied on some objects."""
    read: Callable[[Any, str], Fetched] = kind.read

    def refusing(storage: Any, path: str) -> Fetched:
        if refused(path):
            raise ObjectForbidden(f"{storage.root}/{path}", "AccessDenied: no")
        return read(storage, path)

    monkeypatch.setattr(kind, "read", refusing)


def test_a_clean_chain_is_told_as_validate_logs_tells_it(world: World) -> None:
    """Word for word up to the ratios; then what is proved of which time. Exit code 0, and nothing on stderr."""
    code, out, err = world.verify("--start", "2026-11-01T01:00:00Z", "--end", "2026-11-01T10:00:00Z", "--verbose")
    assert (code, err) == (0, "")
    digests = "".join(f"Digest file\t{world.uri(each.path)}\tvalid\n" for each in world.digests)
    logs = "".join(f"Log file\t{world.uri(key)}\tvalid\n" for key, _ in LOGS)
    assert out == (
        f"Validating log files for trail {ARN} between 2026-11-01T01:00:00Z and 2026-11-01T10:00:00Z\n"
        f"Account {ACCOUNT}, region {REGION}, in {world.storage.root}/AWSLogs/\n\n"
        f"{digests}{logs}\n"
        "Results requested for 2026-11-01T01:00:00Z to 2026-11-01T10:00:00Z\n"
        "Results found for 2026-11-01T01:00:00Z to 2026-11-01T10:00:00Z:\n\n"
        "10/10 digest files valid\n4/4 log files valid\n\n"
        "What was delivered, as far as it is known:\n"
        "proved    2026-11-01T00:04:04Z to 2026-11-01T10:04:04Z\n\n"
        "1 trails of 1 accounts in 1 regions: all valid\n"
    )


def edit_log(world: World) -> None:
    """Another body under the same name."""
    world.storage.write(LOGS[1][0], gzip.compress(b"edited"))


def second_member_in_log(world: World) -> None:
    """What was signed, and forged records behind it."""
    key, body = LOGS[1]
    world.storage.write(key, gzip.compress(body) + gzip.compress(b"forged"))


def plant_log(world: World) -> None:
    """A log that CloudTrail did not deliver."""
    key, body = log_at(1.5, "planted" + "z" * 9)
    world.storage.write(key, gzip.compress(body))


def without_logs(world: World) -> Stored:
    """A digest that lists nothing, not even an empty list."""
    said = json.loads(world.digests[2].body)
    del said["logFiles"]
    return Stored(world.digests[2].path, json.dumps(said).encode(), world.digests[2].metadata).signed()


def restart(world: World) -> None:
    """The fourth digest names none before it."""
    anew = stored(4, None, [LOGS[3]])
    world.put(anew)
    world.put(stored(5, anew))


ATTACKS: Sequence[tuple[Callable[[World], None], str, int, str]] = [
    (edit_log, "Log", 1, "hash value doesn't match"),
    (lambda world: world.storage.delete(LOGS[1][0]), "Log", 1, "not found"),
    (second_member_in_log, "Log", 1, "unexpected data after end of compressed stream\n"),
    (lambda world: world.storage.write(LOGS[1][0], b"no gzip"), "Log", 1, "invalid format"),
    (plant_log, "Log", -1, "in no digest, though its time is covered"),
    (lambda world: world.put(world.digests[2], b"no gzip"), "Digest", 2, "invalid format"),
    (lambda world: world.put(without_logs(world)), "Digest", 2, "invalid format"),
    (
        lambda world: world.put(world.digests[2], gzip.compress(world.digests[2].body) + gzip.compress(b"{}")),
        "Digest",
        2,
        "unexpected data after end of compressed stream",
    ),
    (
        lambda world: world.put(world.digests[2].edited(newestEventTime="x")),
        "Digest",
        2,
        "signature verification failed",
    ),
    (
        lambda world: world.put(world.digests[2].edited({"signature": "zz", "signature-algorithm": "SHA256withRSA"})),
        "Digest",
        2,
        "signature verification failed",
    ),
    (
        lambda world: world.put(world.digests[2].edited({"signature": "00", "signature-algorithm": "SHA1withRSA"})),
        "Digest",
        2,
        "not signed and hashed by RSASSA-PKCS1-v1_5 and SHA-256: signed by SHA256withRSA, in the metadata SHA1withRSA",
    ),
    (
        lambda world: world.put(Stored(world.digests[2].path, world.digests[1].body, world.digests[1].metadata)),
        "Digest",
        2,
        "has been moved from its original location",
    ),
    (lambda world: world.storage.delete(world.digests[2].path), "Digest", 2, "not found"),
    (restart, "Digest", 3, "starts a new chain, though there is one\n"),
    (
        lambda world: world.put(stored(4, world.digests[2], [LOGS[3]], start=3.5)),
        "Digest",
        3,
        "begins after the digest before it ends: no digest covers 2026-11-01T03:04:04Z to 2026-11-01T03:34:04Z\n",
    ),
]


@pytest.mark.parametrize(("attack", "kind", "number", "text"), ATTACKS)
def test_an_attack_is_told_of_the_file_that_it_is_on(
    world: World, attack: Callable[[World], None], kind: str, number: int, text: str
) -> None:
    """In the words of validate-logs, where it has any, on stderr; the exit code is 1."""
    path = LOGS[number][0] if kind == "Log" else world.digests[number].path
    if number < 0:
        path = log_at(1.5, "planted" + "z" * 9)[0]
    attack(world)
    code, out, err = world.verify()
    assert code == 1
    assert f"{kind} file\t{world.uri(path)}\tINVALID: {text}" in err
    assert "1 of 1 accounts and regions are not proved" in out


def test_missing_digests_are_counted_each(world: World) -> None:
    """Two adjacent ones, and the newest: as many as there are hours without one, not one gap."""
    for digest in world.digests[1:3]:
        world.storage.delete(digest.path)
    code, out, err = world.verify()
    assert code == 1
    assert (
        f"Digest file\t{world.uri(world.digests[2].path)}\tINVALID: not found (2 hours up to 2026-11-01T03:04:04Z)\n"
        in err
    )
    assert "\n8/10 digest files valid, 2/10 digest files INVALID\n" in out
    assert "lost      2026-11-01T01:04:04Z to 2026-11-01T03:04:04Z  removed\n" in out
    for digest in world.digests[3:]:
        world.storage.delete(digest.path)
    code, out, err = world.verify("--as-of", format_us(hour_us(14.5)))
    assert code == 1
    assert "\n1/10 digest files valid, 9/10 digest files INVALID" in out
    assert "unproved  2026-11-01T01:04:04Z to 2026-11-01T10:04:04Z  missing\n" in out


def test_without_any_digest_nothing_is_valid(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """All digests deleted: the logs are there, and nobody vouches for them. Neither does an empty folder."""
    tmp_path = tmp_path_factory.mktemp("empty")
    for digest in world.digests:
        world.storage.delete(digest.path)
    code, out, _ = world.verify()
    assert code == 1
    assert f"No digests found for account {ACCOUNT} in region {REGION}" in out
    assert world.verify(root=str(tmp_path))[:2] == (1, "No digests found\n")
    assert world.document(root=str(tmp_path))["trees"] == []


def test_an_object_that_is_refused_is_a_verdict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """AccessDenied on one digest and one log: both are told, the rest is verified, nothing aborts."""
    refuse(monkeypatch, LocalStorage, lambda path: path in (world.digests[2].path, LOGS[0][0]))
    code, out, err = world.verify()
    assert code == 1
    assert (
        f"Digest file\t{world.uri(world.digests[2].path)}\tINVALID: access denied: forbidden: AccessDenied: no" in err
    )
    assert f"Log file\t{world.uri(LOGS[0][0])}\tINVALID: could not be read: " in err
    assert "\n9/10 digest files valid, 1/10 digest files INVALID\n3/4 log files valid, 1/4 log files INVALID\n" in out
    assert "unproved  2026-11-01T02:04:04Z to 2026-11-01T03:04:04Z  forbidden\n" in out


def test_a_key_that_is_not_pinned_proves_nothing(world: World, tmp_path: Path) -> None:
    """The region and the fingerprint are told, so that the key can be fetched; nothing counts as lost."""
    (tmp_path / "empty").mkdir()
    code, out, err = world.verify("--keys", str(tmp_path / "empty"))
    fingerprint = public_key().fingerprint
    assert code == 1
    assert f"INVALID: public key not found in region {REGION} for fingerprint {fingerprint}\n" in err
    assert "No valid digests found in range\n\n0/10 digest files valid, 10/10 digest files INVALID\n\n" in out
    assert "lost" not in out


def test_only_what_was_asked_for_is_told(world: World) -> None:
    """A time without the attack is valid; so is another region, another account, another trail."""
    for digest in run_of(HOURS, chain=OTHER_REGION):
        world.put(digest)
    edit_log(world)
    whole = world.document()
    assert [(tree["region"], tree["valid"]) for tree in whole["trees"]] == [("eu-central-1", False), (REGION, False)]
    late = world.document("--region", REGION, "--start", "2026-11-01T02:30:00Z")
    assert late["valid"]
    assert late["trees"][0]["trails"][0]["digests"] == {"valid": 8, "invalid": 0}
    early = world.document("--account", ACCOUNT, "--region", REGION, "--end", "2026-11-01T01:00:00Z")
    assert early["valid"]
    assert early["trees"][0]["trails"][0]["digests"] == {"valid": 1, "invalid": 0}
    assert [len(tree["trails"]) for tree in world.document("--trail", "other")["trees"]] == [0, 0]
    assert world.document("--account", "444455556666")["trees"] == []


def test_the_document_says_what_the_text_says(world: World) -> None:
    """Counts, findings with what they mean for sight, and spans."""
    edit_log(world)
    document = world.document("--start", "2026-11-01T00:00:00Z", "--end", "2026-11-01T10:00:00Z")
    (tree,) = document.pop("trees")
    assert document == {
        "start": "2026-11-01T00:00:00Z",
        "end": "2026-11-01T10:00:00Z",
        "as_of": AS_OF,
        "valid": False,
    }
    (trail,) = tree.pop("trails")
    assert tree == {
        "root": world.storage.root,
        "logs": "AWSLogs/",
        "account_id": ACCOUNT,
        "region": REGION,
        "valid": False,
        "problem": None,
        "findings": [],
    }
    assert (trail["trail"], trail["home_region"]) == ("audit", HOME)
    assert (trail["digests"], trail["backfill_digests"]) == ({"valid": 10, "invalid": 0}, {"valid": 0, "invalid": 0})
    assert trail["logs"] == {"valid": 3, "invalid": 1}
    (finding,) = trail["findings"]
    assert finding["fault"] == "log_altered"
    assert finding["text"] == "INVALID: hash value doesn't match"
    assert (finding["sight"], finding["uri"], finding["certain"]) == ("lost", world.uri(LOGS[1][0]), True)
    assert [(span["sight"], span["cause"]) for span in trail["spans"]] == [
        ("proved", None),
        ("lost", "log_altered"),
        ("proved", None),
    ]


def test_a_backfill_digest_is_counted_apart(world: World) -> None:
    """It lists what the digest of its hour did not; what it lists of another day is looked for there."""
    late = log_at(-30)
    world.storage.write(late[0], gzip.compress(late[1]))
    backfill = stored(2, None, [late], chain=msgspec.structs.replace(CHAIN, backfill=True))
    world.put(backfill)
    code, out, _ = world.verify("--start", "2026-11-01T01:00:00Z")
    assert code == 0
    assert "\n10/10 digest files valid\n1/1 backfill digest files valid\n5/5 log files valid\n" in out
    world.storage.delete(late[0])
    code, _, err = world.verify("--start", "2026-11-01T01:00:00Z")
    assert code == 1
    assert f"Log file\t{world.uri(late[0])}\tINVALID: not found" in err


def write_lake(world: World) -> None:
    """A ledger that has all logs, as they are stored now, with the hashes that digests list."""
    there = {stat.path: stat for stat in world.storage.list()}
    listed = [log for digest in world.digests for log in json.loads(digest.body)["logFiles"]]
    stats = [(there[log["s3Object"]], log["hashValue"]) for log in listed]
    rows = [
        ledger_row(uri=world.uri(stat.path), etag=stat.etag, size=stat.size, body_sha256=sha256)
        for stat, sha256 in stats
    ]
    write_ledger(world.lake, *rows)


def test_hashes_of_a_lake_are_not_taken_again(
    bucket: S3Storage, lake: LocalStorage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Logs of a bucket that the ledger knows are not read; one that was overwritten since is."""
    world = World(bucket, lake, capsys)
    write_lake(world)
    edit_log(world)
    read: list[str] = []
    refuse(monkeypatch, S3Storage, lambda path: bool(read.append(path)))
    findings = world.document("--output", lake.root)["trees"][0]["trails"][0]["findings"]
    assert [path for path in read if "CloudTrail-Digest" not in path] == [LOGS[1][0]]
    assert [finding["fault"] for finding in findings] == ["log_altered"]


def test_logs_of_a_folder_are_read_all_the_same(world: World, lake: LocalStorage) -> None:
    """An edited file that has its old size and time."""
    key, body = LOGS[1]
    world.storage.write(key, body)  # stored plainly, so that its size is known
    write_lake(world)
    path = Path(world.storage.root, key)
    status = path.stat()
    path.write_bytes(bytes(len(body)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    findings = world.document("--output", lake.root)["trees"][0]["trails"][0]["findings"]
    assert [finding["fault"] for finding in findings] == ["log_unreadable"]


def test_a_tree_that_cannot_be_listed_keeps_nobody_from_the_rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One account's region is refused: told, not valid, and the other is verified."""
    for digest in run_of(HOURS, chain=OTHER_REGION):
        world.put(digest)
    listed: Callable[..., Iterator[Stat]] = LocalStorage.list

    def refusing(storage: LocalStorage, prefix: str = "", after: str = "") -> Iterator[Stat]:
        if OTHER_REGION.region in prefix:
            raise ObjectForbidden(f"{storage.root}/{prefix}", "AccessDenied: no")
        return listed(storage, prefix, after)

    monkeypatch.setattr(LocalStorage, "list", refusing)
    code, out, err = world.verify()
    assert code == 1
    assert err.startswith(f"Account {ACCOUNT}, region {OTHER_REGION.region}: {world.storage.root}/AWSLogs/")
    assert "\n10/10 digest files valid\n" in out
    problems = [tree["problem"] for tree in world.document()["trees"]]
    assert ["AccessDenied: no" in str(problem) for problem in problems] == [True, False]


def test_what_was_fetched_for_a_time_verifies_for_it(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The copy has the digests that tell of that time, the one in which it ends too."""
    span = ["--start", "2026-11-01T02:00:00Z", "--end", "2026-11-01T05:00:00Z"]
    copy = str(tmp_path / "copy")
    assert main(["fetch-digests", "--input", world.storage.root, "--output", copy, *span]) == 0
    assert "4 digests" in capsys.readouterr().out
    code, out, err = world.verify(*span, "--digests-only", root=copy)
    assert (code, err) == (0, "")
    assert "\n4/4 digest files valid\n" in out


def test_the_keys_of_the_lake_are_trusted(world: World) -> None:
    """`--output` alone names both; without either the command is refused."""
    assert main(["verify", "--input", world.storage.root, "--output", world.lake.root, "--as-of", AS_OF]) == 0
    assert main(["verify", "--input", world.storage.root]) == 2


def test_a_bucket_is_verified_by_its_own_metadata(
    bucket: S3Storage, lake: LocalStorage, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exactly the place that was signed; a part of it too."""
    world = World(bucket, lake, capsys)
    assert world.verify()[0] == 0
    assert world.verify(root=f"{bucket.root}/AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}")[0] == 0
    edit_log(world)
    code, _, err = world.verify()
    assert (code, err) == (1, f"Log file\ts3://{BUCKET}/{LOGS[1][0]}\tINVALID: hash value doesn't match\n\n")


@pytest.mark.parametrize("inside", ["", "/AWSLogs", f"/AWSLogs/{ACCOUNT}"])
def test_a_copy_verifies_as_what_it_is_a_copy_of(
    s3_bucket: str, lake: LocalStorage, capsys: pytest.CaptureFixture[str], inside: str
) -> None:
    """In another bucket digests count as moved, unless it is said where they come from; which must be true."""
    world = World(S3Storage(s3_bucket, "copies/of"), lake, capsys)
    root = world.storage.root + inside
    code, _, err = world.verify(root=root)
    assert code == 1
    assert err.count("INVALID: has been moved from its original location\n") == HOURS
    assert world.verify("--original-location", f"s3://{BUCKET}{inside}", root=root)[0] == 0
    assert world.verify("--original-location", f"s3://other{inside}", root=root)[0] == 1


def test_a_folder_can_be_held_to_its_origin(world: World) -> None:
    """Without it the bucket is unknown and any will do; with it only the one that was signed."""
    assert world.verify()[0] == 0
    assert world.verify("--original-location", f"s3://{BUCKET}")[0] == 0
    assert world.verify("--original-location", "s3://other")[0] == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--original-location", "folder"], "--original-location folder: not s3://bucket/prefix"),
        (["--input", "more", "--original-location", f"s3://{BUCKET}"], "is that of one --input"),
        (["--start", "2026-11-02T00:00:00Z", "--end", "2026-11-01T00:00:00Z"], "--start comes after --end"),
        (["--as-of", "data"], "--as-of data: not a time"),
    ],
)
def test_options_that_contradict_are_refused(world: World, options: list[str], problem: str) -> None:
    """With exit code 2."""
    code, _, err = world.verify(*options)
    assert (code, problem in err) == (2, True)


def digests_alone(world: World, folder: Path) -> LocalStorage:
    """A copy of the digests, without logs."""
    copy = LocalStorage(str(folder))
    for digest in world.digests:
        copy.write(digest.path, gzip.compress(digest.body), digest.metadata)
    return copy


def test_digests_alone_prove_what_was_delivered(world: World, tmp_path: Path) -> None:
    """A copy without logs lacks them, unless only digests are asked for; those are verified as ever."""
    copy = digests_alone(world, tmp_path / "copy")
    assert [each["fault"] for each in world.document(root=copy.root)["trees"][0]["trails"][0]["findings"]] == [
        "log_missing"
    ] * len(LOGS)
    code, out, err = world.verify("--digests-only", root=copy.root)
    assert (code, err) == (0, "")
    assert "\n10/10 digest files valid\n\nWhat digests list, as far as it is known:\nproved " in out
    assert world.document("--digests-only", root=copy.root)["trees"][0]["trails"][0]["logs"] is None
    copy.delete(world.digests[2].path)
    assert world.verify("--digests-only", root=copy.root)[0] == 1


def test_logs_that_were_not_copied_are_as_the_lake_read_them(world: World, lake: LocalStorage, tmp_path: Path) -> None:
    """The lake has read the bucket: its hashes are held against a copy of the digests."""
    copy = digests_alone(world, tmp_path / "copy")
    listed = [log for digest in world.digests for log in json.loads(digest.body)["logFiles"]]
    rows = [ledger_row(uri=f"s3://{BUCKET}/{log['s3Object']}", body_sha256=log["hashValue"]) for log in listed]
    rows[1]["body_sha256"] = "0" * 64
    write_ledger(lake, *rows)
    origin = ["--output", lake.root, "--original-location", f"s3://{BUCKET}"]
    findings = world.document(*origin, root=copy.root)["trees"][0]["trails"][0]["findings"]
    assert [(each["fault"], each["uri"]) for each in findings] == [
        ("log_altered", f"{copy.root}/{listed[1]['s3Object']}")
    ]
    assert len(world.document("--output", lake.root, root=copy.root)["trees"][0]["trails"][0]["findings"]) == len(LOGS)


def test_a_copy_without_awslogs_is_told_by_names(world: World, tmp_path: Path) -> None:
    """The account's folder alone, or what lies in it."""
    for lead in (f"AWSLogs/{ACCOUNT}/", "AWSLogs/"):
        copy = LocalStorage(str(tmp_path / f"copy{len(lead)}"))
        for stat in world.storage.list():
            fetched = world.storage.read(stat.path)
            copy.write(stat.path.removeprefix(lead), fetched.body, fetched.metadata)
        code, out, err = world.verify("--region", REGION, root=copy.root)
        assert (code, err) == (0, "")
        assert "\n10/10 digest files valid\n4/4 log files valid\n" in out
        assert world.verify("--region", "eu-north-1", root=copy.root)[1] == "No digests found\n"
        copy.delete(LOGS[1][0].removeprefix(lead))
        assert world.verify(root=copy.root)[0] == 1


def test_what_is_gone_at_the_start_is_counted_from_the_start(world: World) -> None:
    """The digests before the range are read too: without them nobody could tell how many are missing."""
    for digest in world.digests[1:4]:
        world.storage.delete(digest.path)
    code, out, err = world.verify("--start", "2026-11-01T02:04:04Z")
    assert code == 1
    assert f"{world.uri(world.digests[3].path)}\tINVALID: not found (3 hours up to 2026-11-01T04:04:04Z)" in err
    assert "lost      2026-11-01T01:04:04Z to 2026-11-01T04:04:04Z  removed\n" in out


def test_a_stretch_is_told_as_one(world: World) -> None:
    """Whether it is settled makes no difference to who asks."""
    spans = world.document("--as-of", "2026-11-03T00:00:00Z")["trees"][0]["trails"][0]["spans"]
    assert [(span["sight"], span["cause"]) for span in spans] == [
        ("proved", None),
        ("unproved", "missing"),
        ("unproved", "awaited"),
    ]


def test_a_chain_goes_on_in_another_input(world: World, tmp_path: Path) -> None:
    """The trail's bucket was changed: alone the new one begins with a digest whose past lies elsewhere."""
    new = LocalStorage(str(tmp_path / "new"))
    later = stored(HOURS + 1, world.digests[-1], previousDigestS3Bucket=BUCKET, digestS3Bucket="new-logs")
    new.write(later.path, gzip.compress(later.body), later.signed().metadata)
    as_of = ["--as-of", format_us(hour_us(HOURS + 1.5))]
    assert world.verify(*as_of, root=new.root)[0] == 0
    code, out, _ = world.verify(*as_of, "--input", new.root)
    assert code == 0
    assert "2 trails of 1 accounts in 1 regions: all valid\n" in out


@pytest.mark.parametrize("year", ["0001", "9999"])
@pytest.mark.parametrize("as_json", [False, True])
def test_names_of_any_time_are_told(world: World, year: str, *, as_json: bool) -> None:
    """Forged digests at both ends of time, and a range that reaches from one to the other."""
    for day in ("0101T000000Z", "1231T235959Z"):
        name = f"{ACCOUNT}_CloudTrail-Digest_{REGION}_audit_{HOME}_{year}{day}.json.gz"
        folder = f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/{year}/{day[:2]}/{day[2:4]}"
        world.storage.write(f"{folder}/{name}", b"no gzip")
    span = ["--start", "0001-01-01T00:00:00Z", "--end", "9999-12-31T23:59:59Z"]
    code, out, err = world.verify(*span, *(["--json"] if as_json else []))
    assert code == 1
    assert "INVALID: invalid format" in (out if as_json else err)
    assert main(["fetch-digests", "--input", world.storage.root, "--output", f"{world.lake.root}/copy", *span]) == 1


def test_names_cannot_write_on_the_terminal(world: World) -> None:
    """A planted log with an escape sequence in its name."""
    key = log_at(1.5)[0].replace(".json.gz", "\x1b[2J.json.gz")
    world.storage.write(key, gzip.compress(b"{}"))
    code, out, err = world.verify("--verbose")
    assert code == 1
    assert "\x1b" not in out + err
    assert "\\x1b[2J.json.gz\tINVALID: in no digest" in err
