"""Attacks on what lies in the bucket already, by name; and digests that are odd without an attack."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.simulation import digest_tampering, log_tampering
from transforms.simulation.tampering import ChainEffect, FileAttack

_LOG = "one of the account's log objects in the trail's region"
_DIGEST = "a digest of the account in the trail's region"
_BACKFILLED = "30 minutes of the account's log objects are left out of their digests"

FILE_ATTACKS: Mapping[str, FileAttack] = {
    "log-edited": FileAttack(f"In {_LOG} every source address is replaced.", tamper=log_tampering.edit_log),
    "log-deleted": FileAttack(f"{_LOG.capitalize()} is deleted.", tamper=log_tampering.delete_log),
    "log-planted": FileAttack(
        "A log object that CloudTrail never wrote is laid beside the account's.",
        tamper=log_tampering.plant_log,
    ),
    "log-appended": FileAttack(f"A second gzip member is appended to {_LOG}.", tamper=log_tampering.append_to_log),
    "digest-deleted": FileAttack(f"{_DIGEST.capitalize()} is deleted.", tamper=digest_tampering.delete_digest),
    "digest-two-deleted": FileAttack(
        "Two digests of the account in the trail's region are deleted, one after the other.",
        tamper=digest_tampering.delete_two_digests,
    ),
    "digest-newest-deleted": FileAttack(
        "The newest digest of the account in the trail's region is deleted.",
        tamper=digest_tampering.delete_newest_digest,
    ),
    "digest-first-deleted": FileAttack(
        "The first digest of the account in the trail's region is deleted, from before the attack's time.",
        tamper=digest_tampering.delete_first_digest,
    ),
    "digest-all-deleted": FileAttack(
        "All digests of the account in the trail's region are deleted, also from before the attack's time.",
        tamper=digest_tampering.delete_all_digests,
    ),
    "digest-edited": FileAttack(f"From {_DIGEST} one log object is taken.", tamper=digest_tampering.edit_digest),
    "digest-appended": FileAttack(
        f"A second gzip member is appended to {_DIGEST}.", tamper=digest_tampering.append_to_digest
    ),
    "digest-resigned": FileAttack(
        f"{_DIGEST.capitalize()} is edited, and signed with a key of the attacker's under the true key's fingerprint.",
        tamper=digest_tampering.sign_as_attacker,
    ),
    "digest-unknown-key": FileAttack(
        f"{_DIGEST.capitalize()} is edited, and signed with a key of the attacker's.",
        tamper=digest_tampering.sign_with_unknown_key,
    ),
    "digest-other-key": FileAttack(
        f"{_DIGEST.capitalize()} is edited, and signed with the key of the last region.",
        tamper=digest_tampering.sign_with_another_regions_key,
    ),
    "digest-outdated-key": FileAttack(
        f"{_DIGEST.capitalize()} is edited, and signed with a key that was valid in that region two months before.",
        tamper=digest_tampering.sign_with_outdated_key,
    ),
    "digest-swapped": FileAttack(
        "Two digests of the account in the trail's region, one after the other, exchange their places.",
        tamper=digest_tampering.swap_digests,
    ),
    "digest-restarted": FileAttack(
        "No attack: the account's hour has no digest, and its chain begins anew with the next.",
        chain=ChainEffect.UNVALIDATED,
    ),
    "digest-late": FileAttack(f"No attack: {_DIGEST} comes 200 minutes late.", tamper=digest_tampering.delay_digest),
    "digest-backfill": FileAttack(
        f"No attack: {_BACKFILLED}, and listed in backfill digests 90 minutes later.", chain=ChainEffect.LEFT_OUT
    ),
    "digest-backfill-late": FileAttack(
        f"No attack: {_BACKFILLED}, and listed in backfill digests that come six and a half hours later.",
        chain=ChainEffect.LEFT_OUT,
        tamper=digest_tampering.delay_backfill,
    ),
    "digest-backfill-deleted": FileAttack(
        f"{_BACKFILLED.capitalize()}, and listed in backfill digests, of which the trail's region's are deleted.",
        chain=ChainEffect.LEFT_OUT,
        tamper=digest_tampering.delete_backfill_digest,
    ),
}
