"""Bundles to files, in this process and in a pool of others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that
from archive_worlds import EMPTY_LEDGER, files, fill, job_of, key, record

from pipeline.local_storage import LocalStorage
from schemas.errors import StorageError
from schemas.objects import Bundle, bundle_name
from transforms.archive import ArchiveBundles
from transforms.archive_job import archive_bundle
from transforms.bundle_writer import BundleReport
from transforms.known_objects import KnownObjects
from transforms.objects import match_objects

OBJECTS = {key(n): [record(n, eventName="RunInstances"), {}] if n % 2 else b"no gzip" for n in range(6)}


def bundles_of(source: LocalStorage) -> list[Bundle]:
    """A bundle for each object."""
    _, refs = match_objects([source], KnownObjects(EMPTY_LEDGER))
    return [Bundle(bundle_name([ref]), (ref,)) for ref in refs]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 6])
def test_any_number_of_workers_gives_the_same(tmp_path: Path, workers: int, count: int) -> None:
    """The same files and the same reports as one bundle after another without Beam."""
    source = fill(tmp_path / "in", OBJECTS)
    bundles = bundles_of(source)[:count]
    plain = LocalStorage(str(tmp_path / "plain"))
    expected = [archive_bundle(job_of(source, plain), bundle) for bundle in bundles]

    def check(reports: Sequence[BundleReport]) -> None:
        assert sorted(reports, key=repr) == sorted(expected, key=repr)

    lake = LocalStorage(str(tmp_path / "lake"))
    with test_pipeline.TestPipeline("FnApiRunner") as root:
        single = root | beam.Impulse() | beam.FlatMap(lambda _: bundles)
        assert_that(single | ArchiveBundles(job_of(source, lake), workers), check)
    assert files(tmp_path / "lake") == files(tmp_path / "plain")


def test_a_lake_that_fails_in_a_worker_fails_the_run(tmp_path: Path) -> None:
    """The error of another process arrives as what it is."""
    source = fill(tmp_path / "in", OBJECTS)
    (tmp_path / "lake").write_bytes(b"a file where the lake should be")
    job = job_of(source, LocalStorage(str(tmp_path / "lake")))
    with pytest.raises((StorageError, RuntimeError), match="lake"), test_pipeline.TestPipeline("FnApiRunner") as root:
        _ = root | beam.Impulse() | beam.FlatMap(lambda _: bundles_of(source)) | ArchiveBundles(job, 2)


PARENT = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
from archive_worlds import fill, job_of, key, record
from pipeline.local_storage import LocalStorage
from test_archive import OBJECTS, bundles_of
from transforms.workers import archive_here, start_pool

source = fill(Path({folder!r}) / "in", OBJECTS)
pool = start_pool(job_of(source, LocalStorage({folder!r} + "/lake")), 2)
list(pool.map(archive_here, bundles_of(source)))
print(" ".join(str(number) for number in pool._processes), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the test looks at open files where Linux shows them")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """A run that was killed leaves nobody behind who could go on writing."""
    tests = Path(__file__).parent
    script = PARENT.format(tests=str(tests), root=str(tests.parent), folder=str(tmp_path))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], text=True, **pipes) as parent:
        assert parent.stdout is not None
        numbers = parent.stdout.readline().split()
        assert len(numbers) == 2
        held = {Path(f"/proc/{number}/fd/1").readlink() for number in (parent.pid, *numbers)}
        assert len(held) == 1
        parent.kill()
        parent.communicate(timeout=20)  # returns once nobody holds standard output any more, or fails
