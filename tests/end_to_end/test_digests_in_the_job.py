"""Digests in runs one after the other: what could not be read, what was deleted before or after it was seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from digest_buckets import fill, hours_of, trusting
from digest_worlds import hour_us
from folders import ask

from pipeline.local_storage import LocalStorage
from pipeline.rule_files import load_rules
from pipeline.run import Opened, run_held
from schemas.alerts import Alert
from schemas.errors import StorageError
from schemas.settings import Clock, Settings
from schemas.storage import Fetched


class Job:
    """Bounded runs over a folder, with a lake that has the keys."""

    def __init__(self, top: Path) -> None:
        self.bucket, self.lake = top / "in", top / "lake"
        self._runs = 0
        trusting(LocalStorage(str(self.lake)))

    def run(self, hour: float, *, replay: bool = False) -> list[Alert]:
        """One run as of an hour: what it tells."""
        self._runs += 1
        source = LocalStorage(str(self.bucket))
        clock = Clock(hour_us(hour), hour_us(hour))
        settings = Settings(f"run-{self._runs}", (source.root,), str(self.lake), clock, replay=replay)
        opened = Opened((source,), load_rules(()), LocalStorage(str(self.lake)))
        return list(run_held(settings, opened, ("--runner=FnApiRunner",)).alerts)


def told(alerts: list[Alert]) -> list[tuple[str, str, str]]:
    """Kinds, transitions and severities."""
    return sorted((each.kind, each.status.value, each.severity.label) for each in alerts)


def test_a_digest_that_could_not_be_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails once leaves an hour unproved until a replay, which proves it."""
    job = Job(tmp_path)
    digests, logs = hours_of(4)
    fill(job.bucket, digests, logs)
    read = LocalStorage.read

    def failing(storage: LocalStorage, path: str) -> Fetched:
        if path == digests[1].path:
            raise StorageError(f"{storage.root}/{path}", "SlowDown")
        return read(storage, path)

    with monkeypatch.context() as busy:
        busy.setattr(LocalStorage, "read", failing)
        assert told(job.run(4.5)) == [("digest.unverified", "opened", "medium")]
    assert job.run(4.6) == []
    assert told(job.run(4.7, replay=True)) == [("digest.unverified", "resolved", "medium")]
    assert ask(job.lake, "SELECT cause FROM blind WHERE sight <> 'proved'") == [("awaited",)]
    assert ask(job.lake, "SELECT count(*), count(body_sha256) FROM objects WHERE kind = 'digest'") == [(4, 4)]
    assert ask(job.lake, "SELECT * FROM audit") == []
