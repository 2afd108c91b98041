"""A listing that takes longer than a look: what is found and told meanwhile, and when silence may be judged."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import intake as intake_module
from pipeline.intake import LISTING_US, LakeIntake
from pipeline.local_storage import LocalStorage
from pipeline.sqs_queue import HIDDEN_S, Message
from schemas.errors import ObjectVanished, StorageError
from schemas.intake import Taken
from schemas.settings import MIB
from schemas.storage import Stat
from schemas.times import HOUR_US, SECOND_US, parse_iso_us
from transforms import dated_trees
from transforms.intake import AHEAD_US, tick_of
from transforms.recent_listing import Pace, RecentListing

START_US = parse_iso_us("2026-11-01T12:00:00Z")
REQUEST_US = SECOND_US // 10
REGIONS = 40
ROOT = "s3://logs"


class World:
    """A bucket of forty trees and a queue; each request takes a tenth of a second."""

    root = ROOT
    remote = False  # no threads: a test must see what is asked when
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/notices"

    def __init__(self) -> None:
        self.now_us = START_US
        self.requests: list[str] = []
        self.failing_in = 0
        self.object_us = 0
        self.delivered: dict[str, int] = {}
        self.hidden_until: dict[str, int] = {}

    def clock(self) -> int:
        """The time."""
        return self.now_us

    def deliver(self, region: int, *, told: bool = False) -> str:
        """A new object is visible, and a message of it too if there shall be one; its path."""
        folder = f"AWSLogs/111122223333/CloudTrail/us-east-{region}/2026/11/01"
        path = f"{folder}/111122223333_CloudTrail_us-east-{region}_20261101T1200Z_{len(self.delivered):016}.json.gz"
        self.delivered[path] = self.now_us
        if told:
            self.hidden_until[path] = 0
        return path

    def list(self, prefix: str = "", after: str = "") -> Iterator[Stat]:
        """Objects as they are when they are asked for."""
        self._request(prefix)
        below = sorted(path for path in self.delivered if path.startswith(prefix) and path > after)
        for path in below:
            self.now_us += self.object_us
            yield Stat(path, 1, "e", self.delivered[path])

    def folders(self, prefix: str = "") -> Iterator[str]:
        """What comes up to the next slash."""
        self._request(prefix)
        below = [path.removeprefix(prefix) for path in self.delivered if path.startswith(prefix)]
        return iter(sorted({path.partition("/")[0] for path in below}))

    def stat(self, path: str) -> Stat:
        """One object."""
        self._request(path)
        if path not in self.delivered:
            raise ObjectVanished(f"{ROOT}/{path}", "gone")
        return Stat(path, 1, "e", self.delivered[path])

    def _request(self, what: str) -> None:
        self.now_us += REQUEST_US
        self.requests.append(what)
        self.failing_in -= 1
        if self.failing_in == 0:
            raise StorageError(ROOT, "SlowDown")

    def receive(
        self, _most: int, wait_s: int = 0, committed: Callable[[str], bool] = lambda _uri: False
    ) -> list[Message]:
        """Messages that nobody has."""
        assert not any(committed(f"{ROOT}/{path}") for path in self.hidden_until if path not in self.delivered)
        found = [path for path, until_us in self.hidden_until.items() if until_us <= self.now_us]
        self.now_us += REQUEST_US if found else wait_s * SECOND_US
        self.hidden_until.update(dict.fromkeys(found, self.now_us + HIDDEN_S * SECOND_US))
        return [Message(path, path, (f"{ROOT}/{path}",)) for path in found]

    def extend(self, messages: Sequence[Message]) -> None:
        """Keep them hidden."""
        self.hidden_until.update({each.message_id: self.now_us + HIDDEN_S * SECOND_US for each in messages})

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Forget them."""
        for message in messages:
            del self.hidden_until[message.message_id]


class Life:
    """A stream, life after life: what it gave out, and up to when it said that it was complete."""

    def __init__(self, folder: str, world: World, *, queue: bool) -> None:
        bucket: Any = world
        lake = LocalStorage(str(Path(folder) / "lake"))
        self.world = world
        self.intake = LakeIntake(
            (bucket,), lake, "stream", 16 * MIB, SECOND_US, 0, bucket if queue else None, world.clock
        )
        self.number = 0
        self.given: list[str] = []
        self.complete_us = 0

    def look(self) -> Taken:
        """One look, as the source makes it; a second later the next may come."""
        taken = self.intake.look(self.number)
        self.number = taken.number + 1
        if taken.entry is not None:
            self.given += [ref.path for ref in taken.entry.refs]
        self.complete_us = max(self.complete_us, taken.complete_us)
        self.world.now_us += SECOND_US
        return taken

    def kill(self) -> None:
        """The next look is made by a process that knows only the lake; the runner goes on from its checkpoint."""
        for looker in intake_module._LOOKERS.values():
            looker.close()
        intake_module._LOOKERS.clear()

    def settle(self) -> None:
        """Look until a listing that has begun now is complete."""
        now_us = self.world.now_us
        for _ in range(200):
            if self.complete_us >= now_us:
                return
            self.look()
        raise AssertionError("no listing was completed")

    def kept(self) -> bool:
        """Whether all that was visible when it says so had been given out by then."""
        return {path for path, at_us in self.world.delivered.items() if at_us <= self.complete_us} <= set(self.given)


@pytest.fixture(autouse=True, scope="module")
def an_hour_between_complete_listings() -> Iterator[None]:
    """As with a large bucket: what comes in between lists tree by tree."""
    with pytest.MonkeyPatch.context() as patch:
        pace = Pace(folder_object_us=HOUR_US)
        patch.setattr(intake_module, "RecentListing", partial(RecentListing, pace=pace))
        yield


@pytest.fixture
def world() -> World:
    """With an object in each tree."""
    world = World()
    for region in range(1, REGIONS + 1):
        world.deliver(region)
    return world


@pytest.fixture
def life(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    """Without a queue, but with its pieces, for which the world is large enough; all has been listed once."""
    monkeypatch.setattr(intake_module, "LISTING_ALONE_US", LISTING_US)
    life = Life(str(tmp_path), world, queue=False)
    life.settle()
    yield life
    life.kill()


def test_a_look_lists_for_half_a_second_and_time_stands_until_all_is_listed(life: Life) -> None:
    """Then it is the time when that listing began."""
    world, before_us, started_us = life.world, life.complete_us, life.world.now_us
    asked, told = len(world.requests), []
    while not told or told[-1] == before_us:
        told.append(life.look().complete_us)
        asked, made = len(world.requests), len(world.requests) - asked
        assert made <= LISTING_US // REQUEST_US + 1
    assert len(told) > REGIONS * REQUEST_US // LISTING_US
    assert set(told[:-1]) == {before_us}
    assert told[-1] == started_us


def test_what_a_piece_has_found_is_given_out_before_all_is_listed(life: Life) -> None:
    """And the clock does not go on by that."""
    before_us = life.complete_us
    path = life.world.deliver(1)
    while path not in life.given:
        assert life.look().complete_us == before_us
    assert intake_module._LOOKERS[life.intake.lake.root, "stream"]._pieces is not None


def test_notices_are_taken_in_between_pieces(world: World, tmp_path: Path) -> None:
    """Each by the look that follows it, and the clock goes on with the queue."""
    life = Life(str(tmp_path), world, queue=True)
    life.settle()
    looker = intake_module._LOOKERS[life.intake.lake.root, "stream"]
    while looker._pieces is None:
        life.look()
    began_us = looker._listing_since_us
    for region in (40, 39, 38):
        path = world.deliver(region, told=True)
        taken = life.look()
        assert taken.entry is not None
        assert [ref.path for ref in taken.entry.refs] == [path]
        assert (looker._pieces is not None, looker._listing_since_us) == (True, began_us)
        assert life.kept()
    assert life.complete_us > began_us
    life.settle()
    assert sorted(life.given) == sorted(world.delivered)
    life.kill()


def test_a_failure_midway_is_followed_by_a_complete_listing(life: Life) -> None:
    """Time stands still meanwhile, and what had been found is given out, once."""
    world, before_us = life.world, life.complete_us
    path = world.deliver(1)
    world.failing_in = 20
    while world.failing_in > LISTING_US // REQUEST_US + 1:
        life.look()
    with pytest.raises(StorageError, match="SlowDown"):
        life.look()
    assert life.complete_us == before_us
    world.requests.clear()
    life.look()
    assert world.requests[:1] == [""]
    assert life.given.count(path) == 1
    life.settle()
    assert (life.kept(), len(life.given)) == (True, len(set(life.given)))


def test_what_a_message_named_and_was_not_found_is_waited_for(world: World, tmp_path: Path) -> None:
    """The message is hidden: that the queue has nothing more does not mean that there is nothing more."""
    life = Life(str(tmp_path), world, queue=True)
    life.settle()
    looker = intake_module._LOOKERS[life.intake.lake.root, "stream"]
    while looker._pieces is None:
        life.look()
    path = world.deliver(1, told=True)
    world.failing_in = LISTING_US // REQUEST_US + 1
    with pytest.raises(StorageError, match="SlowDown"):
        life.look()
    while path not in life.given:
        life.look()
        assert life.kept()
    life.kill()


def test_before_all_was_listed_once_the_queue_tells_no_time(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects may be there of which no notice was ever sent; what is found is given out."""
    monkeypatch.setattr(dated_trees, "_A_REQUEST", 10)
    life = Life(str(tmp_path), world, queue=True)
    world.object_us = REQUEST_US
    for pieces in range(1, REGIONS // 10 + 1):
        assert life.look().complete_us == 0
        assert len(life.given) == 10 * pieces
    assert life.look().complete_us > 0
    life.kill()


def test_another_life_tells_the_time_of_each_entry(life: Life) -> None:
    """It was not later when the entry was made, whatever has been listed since."""
    told = []
    for region in (7, 3, 9):
        life.world.deliver(region)
        life.settle()
        told.append(life.complete_us)
    life.kill()
    life.number, entries = 0, []
    while (taken := life.look()).again:
        assert taken.entry is not None
        entries.append(taken.complete_us)
        assert taken.complete_us <= taken.entry.taken_us
    assert entries == sorted(entries)
    assert entries[-1] <= told[-1]
    assert life.kept()


def test_the_clock_has_no_step_before_it_is_known() -> None:
    """The first one judges by what the lake knows, the others by the one before."""
    taken = Taken(3, None, 7, 5)
    assert [msgspec.structs.astuple(tick_of(taken, before_us)) for before_us in (None, 3, 9)] == [
        (None, 7 + AHEAD_US, 5),
        (3 + AHEAD_US, 7 + AHEAD_US, 5),
        (9 + AHEAD_US, 9 + AHEAD_US, 5),
    ]


_STEPS = st.lists(st.sampled_from(["look"] * 4 + ["deliver", "deliver", "fail", "kill", "wait"]), max_size=40)


@given(_STEPS, st.booleans(), st.integers(1, REGIONS))
@settings(max_examples=40)
def test_whatever_happens_meanwhile(steps: list[str], queue: bool, region: int) -> None:  # noqa: FBT001
    """All that was visible by the time that is told has been given out, and by the end everything, each once."""
    with tempfile.TemporaryDirectory() as folder:
        world = World()
        life = Life(folder, world, queue=queue)
        for at, step in enumerate(steps):
            if step == "deliver":
                world.deliver((region + 7 * at) % REGIONS + 1, told=queue)
            elif step == "fail":
                world.failing_in = 1 + at % 5
            elif step == "kill":
                life.kill()
            elif step == "wait":
                world.now_us += 30 * SECOND_US
            else:
                try:
                    life.look()
                except StorageError:
                    assert world.failing_in <= 0
            assert life.kept()
        world.failing_in = 0
        life.settle()
        assert life.kept()
        assert sorted(life.given) == sorted(world.delivered)
        life.kill()
