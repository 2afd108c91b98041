"""Digests against AWS's own validator: what it finds we find, and what it does not see we see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from digest_blind_spots import BLIND_SPOTS, BlindSpot, with_other_encoding
from digest_comparison import comparison
from digest_peer import Peer, PeerVerdict
from tampered_buckets import REGION, VICTIM, World, findings, found, simulated

from pipeline.__main__ import main
from pipeline.local_storage import LocalStorage
from pipeline.public_keys import add_keys
from schemas.times import HOUR_US, format_us
from transforms.simulation import ATTACKS
from transforms.simulation.file_attacks import FILE_ATTACKS

LOST_DIGESTS = ("digest-deleted", "digest-two-deleted", "digest-first-deleted", "digest-swapped", "digest-appended")
DOCUMENT = Path(__file__).parents[1] / "docs" / "digests.md"
LATE = {"digest-late", "digest-backfill-late"}
HARMLESS = ("digest-backfill", "late-delivery", "drop-canary", "narrow-selectors", "attempted-stop")


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """AWS's validator, in a process of its own."""
    process = Peer()
    yield process
    process.close()


def walked(peer: Peer, world: World) -> list[PeerVerdict]:
    """What the peer says of each chain of the trail."""
    return [peer.validate(world.objects, world.keys, walk, world.forbidden) for walk in world.walks()]


def test_neither_finds_anything_in_peace(peer: Peer) -> None:
    """Clean chains are clean, and the peer has looked at every digest and every log that the digests list."""
    world = simulated()
    verdicts = walked(peer, world)
    assert [each.code for each in verdicts] == [0] * 4
    logs = [each for each in world.objects.values() if "/o-" in each.path and "/CloudTrail/" in each.path]
    listed = sum(each.delivered_us <= world.newest_us for each in logs)
    assert sum(each.valid for each in verdicts) == 4 * 6 + listed
    assert found(world) == frozenset()


@pytest.mark.parametrize("attack", HARMLESS)
def test_neither_finds_anything_in_whole_chains(peer: Peer, attack: str) -> None:
    """What does no harm to the files is no fault of theirs."""
    world = simulated(attack)
    assert [each.code for each in walked(peer, world)] == [0] * 4
    assert found(world) == frozenset()


@pytest.mark.parametrize("attack", sorted(LATE))
def test_what_came_late_is_no_fault(peer: Peer, attack: str) -> None:
    """A digest that comes hours after its time closes its gap."""
    world = simulated(attack, hours=20)
    assert [each.code for each in walked(peer, world)] == [0] * 4
    assert found(world) == frozenset()


@pytest.mark.parametrize("attack", [*ATTACKS, *FILE_ATTACKS])
def test_what_the_peer_finds_we_find(peer: Peer, attack: str) -> None:
    """Each file that it calls invalid has a finding of ours."""
    world = simulated(attack)
    verdicts = walked(peer, world)
    invalid = frozenset().union(*(each.faults for each in verdicts))
    assert {each.code for each in verdicts} <= {0, 1}
    assert bool(invalid) == any(each.code for each in verdicts)
    assert invalid <= {key for _, key in found(world)}


@pytest.mark.parametrize("spot", BLIND_SPOTS, ids=lambda spot: f"{spot.number}-{spot.what}")
def test_what_the_peer_does_not_see_we_see(peer: Peer, spot: BlindSpot) -> None:
    """The peer says nothing of the file, or dies; we name the fault and the file."""
    world = spot.world()
    ours = {key for fault, key in found(world) if fault == spot.fault}
    if spot.digest is None:
        assert ours
        assert all("/CloudTrail/" in key for key in ours)
    else:
        assert simulated().digests[spot.digest].path in ours
    assert all(verdict.code == 255 or not (ours & verdict.faults) for verdict in walked(peer, world))


def test_every_deleted_digest_counts(peer: Peer) -> None:
    """Of two digests that were deleted one after the other the peer tells one; we say how many hours are gone."""
    world = simulated("digest-two-deleted")
    assert sum(len(verdict.faults) for verdict in walked(peer, world)) == 1
    (finding,) = findings(world)
    assert (finding.fault.value, finding.digests, finding.end_us - finding.start_us) == ("removed", 2, 2 * HOUR_US)


def test_a_key_in_the_other_encoding_is_a_key(peer: Peer) -> None:
    """Of a key as SubjectPublicKeyInfo, which AWS has published too, the peer says that it is none."""
    world = with_other_encoding()
    assert any("Unable to load PKCS #1 key" in verdict.output for verdict in walked(peer, world))
    assert found(world) == frozenset()


@pytest.mark.parametrize("attack", [*LOST_DIGESTS, "digest-restarted", "validation-off", "stop-logging"])
def test_logs_of_a_lost_digest_are_not_planted(attack: str) -> None:
    """A log that a digest listed which is gone, or is not trusted, may be CloudTrail's: it is not called planted."""
    assert "log_planted" not in {fault for fault, _ in found(simulated(attack))}


@pytest.mark.parametrize("attack", [name for name, attack in FILE_ATTACKS.items() if attack.tamper])
def test_others_are_not_accused(attack: str) -> None:
    """Who tampers with the files of one place leaves no finding in any other."""
    assert all(f"/{VICTIM}/CloudTrail" in key and f"/{REGION}/" in key for _, key in found(simulated(attack)))


def test_where_no_digest_is_left_nothing_is_proved(
    peer: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the peer a place without digests is in order; `verify` fails, and names it."""
    world = simulated("digest-all-deleted")
    first = walked(peer, world)[0]
    assert (first.code, first.valid) == (0, 0)
    assert verified(simulated(), tmp_path / "whole") == 0
    assert verified(world, tmp_path / "without") == 1
    assert f"No digests found for account {VICTIM} in region {REGION}" in capsys.readouterr().out


def verified(world: World, folder: Path) -> int:
    """The exit code of `trailcanary verify` over the victim's files."""
    storage = LocalStorage(str(folder))
    for path, each in world.objects.items():
        storage.write(path, each.body, each.metadata)
    add_keys(storage, (), world.keys)
    now = format_us(world.newest_us + HOUR_US)
    options = ["--input", folder, "--keys", folder, "--account", VICTIM, "--as-of", now]
    return main(["verify", *map(str, options)])


def test_documented_comparison_is_what_is_found(peer: Peer) -> None:
    """The table in the docs is the one that `python tests/digest_comparison.py` prints."""
    assert comparison(peer) in DOCUMENT.read_text("utf-8")
