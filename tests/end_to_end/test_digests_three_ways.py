"""Digests in run, watch and stream: however a day comes and whoever dies when, the same is told and proved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import three_ways
from digest_buckets import fill, put_digest, put_log, real_log, trusting
from digest_worlds import HOME, START_US, Stored, hour_us, run_of
from folders import alerts
from three_ways import Bounded, Death, Pace, Story, Streaming, Watching, Way

from pipeline.lake_files import read_files
from pipeline.local_storage import LocalStorage
from schemas.canaries import Canary, Match
from schemas.digest_proofs import SightSpan
from schemas.digests import DigestFault
from schemas.settings import MIB, Config
from schemas.times import HOUR_US, MINUTE_US, parse_iso_us
from transforms.sight_file import decode_sight

END_US = START_US + 27 * HOUR_US // 2
_SHARED = (
    "incident_id",
    "kind",
    "status",
    "severity",
    "window_start",
    "detected_at",
    "account_id",
    "region",
    "resource",
)
Told = tuple[dict[str, tuple[Any, ...]], list[SightSpan]]


class Trusting(Way):
    """A way whose lake has the keys before it begins."""

    def one_life(self, number: int) -> None:
        """With the keys, which are written but once."""
        if not (Path(self.lake.root) / "keys").exists():
            trusting(self.lake)
        super().one_life(number)


class TrustingRun(Trusting, Bounded):
    """One run at the end."""


class TrustingWatch(Trusting, Watching):
    """A watch."""


class TrustingStream(Trusting, Streaming):
    """A stream."""


@pytest.fixture(autouse=True)
def longer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """More hours than three, and a canary that only some of them hear of."""
    monkeypatch.setattr(three_ways, "END_US", END_US)
    monkeypatch.setattr(three_ways, "CONFIG", Config((SONG,) if request.node.callspec.params["world"] in SONGS else ()))


def tampered(folder: Path) -> None:
    """A day with two digests and a log removed, a log added, one digest edited, and no digest after eight hours."""
    logs = [real_log(hour + part) for hour in range(9) for part in (0.25, 0.75)]
    digests = run_of(8, logs)
    fill(folder, [each for number, each in enumerate(digests) if number not in (2, 3)], logs[:9] + logs[10:])
    put_digest(folder, Stored(digests[6].path, digests[6].edited(digestEndTime="x").body, digests[6].metadata))
    put_log(folder, (real_log(4.5)[0].replace("x" * 16, "planted"), real_log(4.5)[1]))


def clean(folder: Path) -> None:
    """A day with nothing wrong."""
    logs = [real_log(hour + part) for hour in range(13) for part in (0.25, 0.75)]
    fill(folder, run_of(13, logs), logs)


def silent(folder: Path) -> None:
    """A day on which a canary is not heard for an hour, and all that was delivered is there."""
    logs = _sung(but={5})
    fill(folder, run_of(13, logs), logs)


def hushed(folder: Path) -> None:
    """A day on which the logs of a canary's calls were taken away from some hour on."""
    fill(folder, run_of(13, _sung(but=set())), _sung(but=set(range(5, 13))))


def _sung(but: set[int]) -> list[tuple[str, bytes]]:
    """The logs of a canary's calls, and others' in between."""
    songs = [real_log(hour + 0.75, "Sing") for hour in range(13) if hour not in but]
    return sorted([*songs, *(real_log(hour + 0.25) for hour in range(13))])


def told_by(way: Way) -> Told:
    """Alerts, and what is known of which time up to the last digest."""
    found = {each: tuple(said[name] for name in _SHARED) for each, said in alerts(Path(way.lake.root)).items()}
    spans: list[SightSpan] = []
    for path, body in read_files(way.lake, [stat.path for stat in way.lake.list("sight/")]):
        _, kept = decode_sight(LocalStorage("lake"), path, body)
        spans += [*kept.spans, *kept.open_spans]
    return found, [span for span in spans if span.cause is not DigestFault.MISSING or span.end_us <= hour_us(8)]


@pytest.mark.parametrize("world", [tampered, clean, silent, hushed])
@pytest.mark.parametrize(
    ("looks_h", "deaths"),
    [
        ([2.3, 4.1, 4.4, 6.6, 7.2, 8.5, 12.9, 13.1], []),
        ([0.2, 7.01, 9.5], [Death(9, 30 * MINUTE_US), Death(5, 0)]),
    ],
)
def test_digests_three_ways(
    tmp_path: Path, world: Callable[[Path], None], looks_h: Sequence[float], deaths: Sequence[Death]
) -> None:
    """Each way tells what a run at the end tells, and proves as much."""
    bucket = tmp_path / "in"
    world(bucket)
    visible_us = {stat.path: stat.modified_us for stat in LocalStorage(str(bucket)).list()}
    once = TrustingRun(bucket, tmp_path / "once", Story(visible_us, (), ()))
    once.live()
    first = told_by(once)
    kinds = sorted((said[1], said[2]) for said in first[0].values())
    assert kinds == EXPECTED.get(world, [])
    assert HOME in {span.chain.home_region for span in first[1]}
    story = Story(visible_us, [hour_us(hour) for hour in looks_h], deaths)
    for way in (
        TrustingWatch(bucket, tmp_path / "watch", story),
        TrustingStream(bucket, tmp_path / "stream", story, Pace(0, 0, 16 * MIB)),
    ):
        way.live()
        assert told_by(way) == first, type(way).__name__


SONGS = (silent, hushed)
SONG = Canary(
    "song", ("111122223333",), ("eu-west-1",), HOUR_US, 30 * MINUTE_US, parse_iso_us("2026-11-01T01:00:00Z"),
    (Match("event_name", ("Sing",)),),
)  # fmt: skip
EXPECTED = {
    tampered: [
        ("digest.altered", "opened"),
        ("digest.log_planted", "opened"),
        ("digest.log_removed", "opened"),
        ("digest.missing", "opened"),
        ("digest.missing", "opened"),
        ("digest.missing", "updated"),
    ],
    silent: [("canary.missing", "opened"), ("canary.missing", "resolved"), ("canary.missing", "updated")],
    hushed: [
        ("canary.missing", "opened"),
        ("canary.missing", "updated"),
        *[("digest.log_removed", "opened")] * 4,
    ],
}
