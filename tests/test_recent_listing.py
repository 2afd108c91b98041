"""Looks that list the last days only, and still find everything in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from pipeline.local_storage import LocalStorage
from pipeline.s3_storage import S3Storage
from schemas.errors import StorageError
from schemas.keys import Kind
from schemas.objects import ObjectRef, ObjectRow, ObjectStatus, Replaced
from schemas.storage import Stat
from schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_iso_us
from transforms.object_index import ObjectIndex
from transforms.object_refs import ref_of
from transforms.recent_listing import Pace, RecentListing

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

NOW_US = parse_iso_us("2026-11-20T12:00:00Z")
ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"


def key(day: str, name: str = "a", account: str = ACCOUNT, region: str = "us-east-1") -> str:
    """The key of a log object that was delivered on a day such as 2026/11/20."""
    stamp = f"{day.replace('/', '')}T0000Z"
    folder = f"AWSLogs/{account}/CloudTrail/{region}/{day}"
    return f"{folder}/{account}_CloudTrail_{region}_{stamp}_{name}.json.gz"


class Bucket(msgspec.Struct):
    """A storage of nothing but names, which notes what it is asked for."""

    paths: list[str]
    root: str = "s3://logs"
    remote: bool = True
    asked: list[tuple[str, str]] = []
    failing: bool = False

    def list(self, prefix: str = "", after: str = "") -> Iterator[Stat]:
        """Names below a prefix, in order."""
        self.asked.append((prefix, after))
        if self.failing:
            raise StorageError(self.root, "refused")
        for path in sorted(self.paths):
            if path.startswith(prefix) and path > after:
                yield Stat(path, 1, "e", NOW_US)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """What comes up to the next slash."""
        below = {path.removeprefix(prefix) for path in self.paths if path.startswith(prefix)}
        return iter(sorted({rest.partition("/")[0] for rest in below if "/" in rest}))


def handled(ref: ObjectRef) -> ObjectRow:
    """A ledger row of an object that was read."""
    return ObjectRow(
        ref.uri, ref.etag, ref.size, None, ref.kind, ObjectStatus.READ, None, None, 0, 0, None, 0, 0, 0, 0, None, None,
        changed=False, run_id="r", handled_us=0,
    )  # fmt: skip


class Watcher:
    """A listing whose finds are handled."""

    def __init__(self, *inputs: object, pace: Pace | None = None) -> None:
        self.index = ObjectIndex(b"key")
        self.recent = RecentListing(inputs, self.index, pace)  # type: ignore[arg-type]

    def look(self, now_us: int, *, thorough: bool = False) -> list[str]:
        """Paths that are new."""
        listing, refs = self.recent.look(now_us, thorough=thorough)
        assert listing.objects == listing.known + len(refs)
        self.index.add_rows(map(handled, refs))
        return [ref.path for ref in refs]


def test_first_look_lists_all_and_the_next_the_last_days() -> None:
    """Years of keys are listed once; then two days of each tree, from the newest date or from now."""
    months, regions = range(1, 13), ("us-east-1", "eu-west-1")
    old = [
        key(f"2025/{month:02}/01", f"{n}", region=region) for month in months for region in regions for n in range(50)
    ]
    bucket = Bucket([*old, key("2026/11/19")])
    watcher = Watcher(bucket, pace=Pace(bucket_object_us=HOUR_US))
    assert len(watcher.look(NOW_US)) == len(bucket.paths)
    bucket.asked = []
    bucket.paths += [key("2026/11/20"), key("2026/11/18", "late"), key("2025/12/01", "quiet", region="eu-west-1")]
    assert sorted(watcher.look(NOW_US + SECOND_US)) == sorted(bucket.paths[-3:])
    tree = f"AWSLogs/{ACCOUNT}/CloudTrail"
    assert sorted(bucket.asked) == [
        (f"{tree}/eu-west-1/", f"{tree}/eu-west-1/2025/11/29"),
        (f"{tree}/us-east-1/", f"{tree}/us-east-1/2026/11/17"),
    ]


def test_what_is_elsewhere_waits_for_a_complete_listing() -> None:
    """Old dates and keys of no tree are found after an hour in a bucket of that size, or by a thorough look."""
    bucket = Bucket([key("2026/11/19", f"{number:03}") for number in range(100)])
    watcher = Watcher(bucket)
    watcher.look(NOW_US)
    bucket.paths += [key("2026/01/01"), "copied/a.json.gz"]
    assert watcher.look(NOW_US + SECOND_US) == []
    assert watcher.look(NOW_US + 5 * SECOND_US, thorough=True) == []
    assert len(watcher.look(NOW_US + MINUTE_US)) == 2
    bucket.paths += ["copied/b.json.gz"]
    assert watcher.look(NOW_US + MINUTE_US + SECOND_US) == []
    assert watcher.look(NOW_US + MINUTE_US + SECOND_US, thorough=True) == ["copied/b.json.gz"]


def test_new_accounts_and_regions_are_discovered() -> None:
    """Within minutes in a bucket, at once by a thorough look, with all of their days."""
    bucket = Bucket([key("2026/11/19")])
    watcher = Watcher(bucket, pace=Pace(bucket_object_us=HOUR_US))
    watcher.look(NOW_US)
    bucket.paths += [key("2026/11/20", region="eu-west-1"), key("2026/01/01", account=OTHER_ACCOUNT)]
    assert watcher.look(NOW_US + MINUTE_US) == []
    assert watcher.look(NOW_US + 5 * MINUTE_US) == [key("2026/01/01", account=OTHER_ACCOUNT), bucket.paths[1]]
    bucket.paths += [key("2026/11/20", region="ap-south-1")]
    assert watcher.look(NOW_US + 6 * MINUTE_US, thorough=True) == bucket.paths[-1:]


def test_an_organisation_is_discovered() -> None:
    """Its accounts lie one folder deeper."""
    bucket = Bucket([key("2026/11/19")])
    watcher = Watcher(bucket, pace=Pace(bucket_object_us=HOUR_US))
    watcher.look(NOW_US)
    bucket.paths.append(key("2026/11/20").replace("AWSLogs/", "AWSLogs/o-example/"))
    found = [watcher.look(NOW_US + each * 5 * MINUTE_US) for each in (1, 2)]
    assert [*found[0], *found[1]] == bucket.paths[-1:]


def test_a_bucket_of_few_objects_and_many_trees_is_listed_whole() -> None:
    """That takes fewer requests, and finds more; from a thousand objects on for each tree it does no longer."""
    bucket = Bucket([key("2026/11/19", region=region) for region in ("us-east-1", "eu-west-1", "ap-south-1")])
    watcher = Watcher(bucket, pace=Pace(bucket_object_us=HOUR_US))
    watcher.look(NOW_US)
    bucket.paths += ["copied/a.json.gz", *(key("2025/01/01", f"{number}") for number in range(2000))]
    bucket.asked = []
    assert len(watcher.look(NOW_US + SECOND_US)) == 2001
    assert bucket.asked == [("", "")]
    bucket.asked = []
    assert watcher.look(NOW_US + 2 * SECOND_US) == []
    assert len(bucket.asked) == 3


def test_pieces_find_what_a_look_finds() -> None:
    """Each object once, whoever takes it from a piece or from elsewhere before the next piece comes."""
    paths = [key("2026/11/19", f"{number:05}") for number in range(2500)]
    watcher = Watcher(Bucket(paths))
    found: list[list[str]] = [[]]
    for new in watcher.recent.pieces(NOW_US):
        watcher.index.add_refs(new)
        found.append([ref.path for ref in new])
        if len(found) == 2:
            watcher.index.add_refs([ref_of("s3://logs", Stat(paths[1000], 1, "e", NOW_US))])
    assert [len(each) for each in found] == [0, 1000, 999, 500]
    assert sorted(path for each in found for path in each) == [*paths[:1000], *paths[1001:]]
    assert watcher.look(NOW_US + SECOND_US) == []


def test_dropped_pieces_are_followed_by_a_complete_listing() -> None:
    """Whatever a listing had found by then; and the threads that listed for it are gone."""
    regions = [f"us-east-{number}" for number in range(1, 40)]
    paths = [key("2026/11/19", f"{n}", region=region) for region in regions for n in range(1000)]
    bucket = Bucket(paths)
    watcher = Watcher(bucket, pace=Pace(bucket_object_us=HOUR_US))
    watcher.look(NOW_US)
    before = threading.active_count()
    pieces = watcher.recent.pieces(NOW_US + SECOND_US)
    next(pieces)
    assert threading.active_count() > before
    pieces.close()
    assert threading.active_count() == before
    bucket.asked = []
    watcher.look(NOW_US + 2 * SECOND_US)
    assert bucket.asked == [("", "")]


def test_a_slow_request_makes_nobody_wait() -> None:
    """Where an answer does not come, an empty piece does."""
    answer = threading.Event()

    class Slow(Bucket):
        def list(self, prefix: str = "", after: str = "") -> Iterator[Stat]:
            if prefix:
                assert answer.wait(60)
            return super().list(prefix, after)

    bucket = Slow(
        [key("2026/11/19", f"{n}", region=region) for region in ("eu-west-1", "us-east-1") for n in range(1000)]
    )
    watcher = Watcher(bucket)
    watcher.look(NOW_US)
    bucket.paths.append(key("2026/11/20"))
    pieces = watcher.recent.pieces(NOW_US + SECOND_US)
    assert [next(pieces) for _ in range(3)] == [[], [], []]
    answer.set()
    assert [ref.path for new in pieces for ref in new] == bucket.paths[-1:]


def test_failed_look_is_followed_by_a_complete_one() -> None:
    """A tree that was found, and lost in the failure, must not wait for an hour."""
    bucket = Bucket([key("2026/11/19")])
    watcher = Watcher(bucket, pace=Pace(bucket_object_us=HOUR_US))
    watcher.look(NOW_US)
    bucket.failing = True
    with pytest.raises(StorageError):
        watcher.look(NOW_US + SECOND_US)
    bucket.failing = False
    bucket.paths.append("copied/a.json.gz")
    assert watcher.look(NOW_US + 2 * SECOND_US) == ["copied/a.json.gz"]


@pytest.mark.parametrize(
    "below", ["AWSLogs", f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1", f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026"]
)
def test_input_inside_a_tree(tmp_path: Path, below: str) -> None:
    """An input that begins somewhere in the tree has dates too, and nothing above it is looked at."""

    def put(name: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")

    put(key("2026/11/19"))
    put(key("2026/11/19", account=OTHER_ACCOUNT))
    watcher = Watcher(LocalStorage(str(tmp_path / below)), pace=Pace(folder_object_us=HOUR_US))
    first = watcher.look(NOW_US)
    put(key("2026/11/20"))
    put(key("2026/11/20", account=OTHER_ACCOUNT))
    second = watcher.look(NOW_US + SECOND_US)
    assert len(first) == len(second) == (2 if below == "AWSLogs" else 1)


def test_folder_prunes_what_is_before(tmp_path: Path) -> None:
    """A folder lists after a name what a bucket would."""
    names = ["a/2/x", "a/10/x", "a/2", "b", "a/2/y/z"]
    for name in names[:1] + names[1:2] + names[3:]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    storage = LocalStorage(str(tmp_path))
    everything = {stat.path for stat in storage.list()}
    for after in ("", "a", "a/10", "a/10/x", "a/2", "a/2/x", "a/2/y", "a/3", "b", "c"):
        assert {stat.path for stat in storage.list("", after)} == {path for path in everything if path > after}
    assert sorted(storage.folders("a")) == ["10", "2"]
    assert list(storage.folders("missing")) == []


def test_bucket_lists_after_a_name_and_by_folder(s3: S3Client, s3_bucket: str) -> None:
    """What is asked of a bucket is what a folder answers."""
    for name in ("p/a/2/x", "p/a/10/x", "p/b", "q/c/d"):
        s3.put_object(Bucket=s3_bucket, Key=name, Body=b"x")
    storage = S3Storage(s3_bucket, "p")
    assert [stat.path for stat in storage.list("", "a/10/x")] == ["a/2/x", "b"]
    assert [stat.path for stat in storage.list("a/", "a/10")] == ["a/10/x", "a/2/x"]
    assert (list(storage.folders()), list(storage.folders("a/"))) == (["a"], ["10", "2"])
    assert list(S3Storage(s3_bucket).folders("")) == ["p", "q"]


def test_objects_of_nested_inputs_are_one() -> None:
    """An input that lies in another is listed with it."""
    outer, inner = Bucket([key("2026/11/19")]), Bucket([key("2026/11/19")], root=f"s3://logs/AWSLogs/{ACCOUNT}")
    assert Watcher(inner, outer, outer).look(NOW_US) == [key("2026/11/19")]


def test_changed_object_says_what_it_replaces() -> None:
    """The same key with another entity tag, even where its date is long past, is found by the complete listing."""
    watcher = Watcher(Bucket([key("2026/11/19")]))
    uri = f"s3://logs/{key('2026/11/19')}"
    was = ObjectRef("s3://logs", key("2026/11/19"), 5, "was", 0, Kind.LOG, None, None, 0)
    watcher.index.add_rows([handled(was)])
    (ref,) = watcher.recent.look(NOW_US)[1]
    assert (ref.uri, ref.replaces) == (uri, Replaced(5, None))
    named = watcher.recent.sift([ref, was])[1]
    assert [each.replaces for each in named] == [Replaced(5, None)]


def test_dates_that_are_none_and_days_far_ahead() -> None:
    """A key with an impossible or a far date hides nothing that comes later."""
    bucket = Bucket([key("2026/11/19"), key("2026/99/99"), key("9999/12/31")])
    watcher = Watcher(bucket, pace=Pace(bucket_object_us=HOUR_US))
    assert len(watcher.look(NOW_US)) == 3
    bucket.paths.append(key("2026/11/20"))
    assert watcher.look(NOW_US + SECOND_US) == [key("2026/11/20")]
    assert watcher.look(NOW_US + DAY_US) == []
