"""`trailcanary verify` says what AWS's own validator says, word for word, and says it of the same files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from digest_peer import Peer
from tampered_buckets import REGION, ROOT, VICTIM, World, simulated

from pipeline.__main__ import main
from pipeline.local_storage import LocalStorage
from pipeline.public_keys import add_keys
from schemas.digest_proofs import Patience
from schemas.times import MINUTE_US, format_us

ATTACKS = [
    *("log-edited", "log-deleted", "log-appended", "digest-deleted", "digest-two-deleted", "digest-first-deleted"),
    *("digest-edited", "digest-resigned", "digest-unknown-key", "digest-other-key", "digest-outdated-key"),
    "digest-swapped",
]


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """AWS's validator, in a process of its own."""
    process = Peer()
    yield process
    process.close()


def said_by_peer(peer: Peer, world: World) -> list[str]:
    """All lines that the peer prints of the victim's chain, but the empty ones."""
    (walk,) = [walk for walk in world.walks() if (walk.account_id, walk.region) == (VICTIM, REGION)]
    return [line for line in peer.validate(world.objects, world.keys, walk).output.splitlines() if line]


def said_by_us(world: World, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """The same of ours, and the exit code, with the bucket's name in the place of the folder's."""
    storage = LocalStorage(str(folder))
    for path, each in world.objects.items():
        storage.write(path, each.body, each.metadata)
    add_keys(storage, (), world.keys)
    (walk,) = [walk for walk in world.walks() if (walk.account_id, walk.region) == (VICTIM, REGION)]
    overdue = format_us(world.newest_us + Patience().grace_us + 30 * MINUTE_US)  # and no later digest is due yet
    options = [
        "--verbose",
        "--start",
        walk.start,
        "--end",
        walk.end,
        "--as-of",
        overdue,
        "--account",
        VICTIM,
        "--region",
        REGION,
    ]
    code = main(["verify", "--input", str(folder), "--keys", str(folder), *options])
    out, err = capsys.readouterr()
    return code, (out + err).replace(str(folder), ROOT).splitlines()


def test_a_clean_chain_is_told_in_the_same_words(
    peer: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trail, the times, and the ratios of valid files."""
    theirs = said_by_peer(peer, simulated())
    code, ours = said_by_us(simulated(), tmp_path, capsys)
    assert code == 0
    assert [line for line in theirs if line not in ours] == []
    assert any(line.endswith(" log files valid") for line in theirs)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_told_in_the_same_words(
    peer: Peer, attack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line about an invalid file is one of ours; ours may say more behind it."""
    theirs = [line for line in said_by_peer(peer, simulated(attack)) if "INVALID: " in line]
    code, ours = said_by_us(simulated(attack), tmp_path, capsys)
    assert code == 1
    assert theirs
    assert [line for line in theirs if not any(each.startswith(line) for each in ours)] == []
