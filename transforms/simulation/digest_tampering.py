"""Tampering with digests: deleted, edited, signed anew, exchanged, added to, or late."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from schemas.times import DAY_US, HOUR_US, MINUTE_US
from transforms.simulation.digests import digest_body, signed_digest
from transforms.simulation.objects import SimulatedObject, gzip_bytes
from transforms.simulation.signing import OUTDATED_US, SigningKey, attackers_key, signing_key
from transforms.simulation.tampering import Scene, Tamper

_LATE_US = 200 * MINUTE_US
_BACKFILL_LATE_US = 5 * HOUR_US


def delete_digest(scene: Scene) -> Tamper:
    """One in the middle."""
    return _delete(scene, lambda number: number == 0)


def delete_two_digests(scene: Scene) -> Tamper:
    """Two in the middle, one after the other."""
    return _delete(scene, lambda number: number in (0, 1))


def delete_newest_digest(scene: Scene) -> Tamper:
    """The last of all: nothing points at it."""
    return _delete(scene, lambda number: number == scene.newest)


def delete_first_digest(scene: Scene) -> Tamper:
    """The first of all, long before the attack's time."""
    return _delete(scene, lambda number: number == scene.first)


def delete_all_digests(scene: Scene) -> Tamper:
    """The whole chain, from its beginning."""
    return _delete(scene, lambda _: True)


def delete_backfill_digest(scene: Scene) -> Tamper:
    """No chain points at it."""
    return lambda delivered: [] if scene.backfill(delivered) else [delivered]


def edit_digest(scene: Scene) -> Tamper:
    """One log less is listed; the signature is still the old one."""
    return _change_first(scene, lambda digest: _with(digest, gzip_bytes(digest_body(_shorter(digest)))))


def append_to_digest(scene: Scene) -> Tamper:
    """A second gzip member follows the genuine digest."""
    return _change_first(scene, lambda digest: _with(digest, digest.body + gzip_bytes(digest_body(_shorter(digest)))))


def sign_as_attacker(scene: Scene) -> Tamper:
    """One log less is listed; signed with the attacker's key, under the true key's fingerprint."""
    return _change_first(scene, lambda digest: signed_digest(_shorter(digest), attackers_key(), digest.delivered_us))


def sign_with_unknown_key(scene: Scene) -> Tamper:
    """One log less is listed; signed with the attacker's key, and says so."""
    return _change_first(scene, lambda digest: _resigned(digest, attackers_key()))


def sign_with_another_regions_key(scene: Scene) -> Tamper:
    """One log less is listed; signed with the key of the last region (of a later month, where there is but one)."""

    def resign(digest: SimulatedObject) -> SimulatedObject:
        scenario, months = scene.scenario, 1 if len(scene.scenario.regions) == 1 else 0
        key = signing_key(scenario, scenario.regions[-1], digest.delivered_us + months * 30 * DAY_US)
        return _resigned(digest, key)

    return _change_first(scene, resign)


def sign_with_outdated_key(scene: Scene) -> Tamper:
    """One log less is listed; signed with a key that the region no longer used."""

    def resign(digest: SimulatedObject) -> SimulatedObject:
        scenario = scene.scenario
        return _resigned(digest, signing_key(scenario, scenario.home_region, digest.delivered_us - OUTDATED_US))

    return _change_first(scene, resign)


def swap_digests(scene: Scene) -> Tamper:
    """Two neighbours exchange their places, metadata and all, once both are there."""
    held: list[SimulatedObject] = []

    def tamper(delivered: SimulatedObject) -> Iterable[SimulatedObject]:
        number = scene.digest(delivered)
        if number == 0:
            held.append(delivered)
            return []
        if number != 1:
            return [delivered]
        (earlier,) = held
        return [
            msgspec.structs.replace(delivered, path=earlier.path),
            msgspec.structs.replace(earlier, path=delivered.path, delivered_us=delivered.delivered_us),
        ]

    return tamper


def delay_digest(scene: Scene) -> Tamper:
    """It comes 200 minutes after its hour, as real ones do now and then."""
    return _change_first(scene, lambda digest: _delayed(digest, _LATE_US))


def delay_backfill(scene: Scene) -> Tamper:
    """It comes five hours later still."""
    return lambda delivered: [_delayed(delivered, _BACKFILL_LATE_US) if scene.backfill(delivered) else delivered]


def _delete(scene: Scene, chosen: Callable[[int], bool]) -> Tamper:
    def tamper(delivered: SimulatedObject) -> Iterable[SimulatedObject]:
        number = scene.digest(delivered)
        return [] if number is not None and chosen(number) else [delivered]

    return tamper


def _change_first(scene: Scene, change: Callable[[SimulatedObject], SimulatedObject]) -> Tamper:
    return lambda delivered: [change(delivered) if scene.digest(delivered) == 0 else delivered]


def _shorter(digest: SimulatedObject) -> dict[str, Any]:
    """The content without its last log."""
    content: dict[str, Any] = json.loads(gzip.decompress(digest.body))
    return {**content, "logFiles": content["logFiles"][:-1]}


def _resigned(digest: SimulatedObject, key: SigningKey) -> SimulatedObject:
    content = {**_shorter(digest), "digestPublicKeyFingerprint": key.fingerprint}
    return signed_digest(content, key, digest.delivered_us)


def _with(digest: SimulatedObject, body: bytes) -> SimulatedObject:
    return msgspec.structs.replace(digest, body=body)


def _delayed(digest: SimulatedObject, by_us: int) -> SimulatedObject:
    return msgspec.structs.replace(digest, delivered_us=digest.delivered_us + by_us)
