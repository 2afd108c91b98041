"""Attacks in the simulated bucket: each leaves its event and takes what it says, and no more."""

from __future__ import annotations

import functools
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from schemas.keys import Kind, parse_key
from schemas.times import MINUTE_US, format_us, parse_iso_us
from transforms.simulation import ATTACKS, Scenario, SimulatedObject, simulate
from transforms.simulation.attack import Effect
from transforms.simulation.scenario import SECURITY_ACCOUNT

START_US = parse_iso_us("2026-11-01T00:00:00Z")
PEACE = Scenario(
    seed=3, start_us=START_US, hours=3, accounts=2, regions=("us-east-1", "eu-west-1"), rate=1000, attacks=()
)
MANAGEMENT, VICTIM = "111122223333", "444455556666"
GLOBAL = ("iam", "sts", "cloudfront", "route53", "organizations")
ATTACK_US = START_US + 105 * MINUTE_US  # the interval at 60 % of three hours begins here
ENDED_US = ATTACK_US + 5 * MINUTE_US  # the delivery that carries the attack's event


@functools.cache
def attacked(*names: str) -> list[SimulatedObject]:
    """Everything that the scenario delivers under attack."""
    return list(simulate(msgspec.structs.replace(PEACE, attacks=names)))


def events(objects: list[SimulatedObject], account: str | None = None) -> list[dict[str, Any]]:
    """The records of the organisation's trail, of one account or all."""
    chosen = [each for each in objects if parse_key(each.path).kind is Kind.LOG and "/o-" in each.path]
    records = [record for each in chosen for record in json.loads(gzip.decompress(each.body))["Records"]]
    return [record for record in records if account in (None, record["recipientAccountId"])]


def later(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that happened in the intervals after the attack's."""
    return [record for record in records if record["eventTime"] >= format_us(ENDED_US)]


def by_mallory(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The attack's own events."""
    return [record for record in records if record["userIdentity"].get("arn", "").endswith("/mallory")]


def canaries(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The canary's events."""
    return [record for record in records if record["userIdentity"].get("arn", "").endswith("/canary/canary")]


def deliveries(objects: list[SimulatedObject], account: str, region: str = "") -> set[int]:
    """When an account delivered logs."""
    facts = [parse_key(each.path) for each in objects]
    return {
        fact.delivered_us
        for fact in facts
        if fact.kind is Kind.LOG and fact.account_id == account and region in (fact.region or "") and fact.delivered_us
    }


@pytest.fixture(scope="module")
def peace() -> list[SimulatedObject]:
    """The same time without an attack."""
    return list(simulate(PEACE))


@pytest.mark.parametrize(
    ("attack", "account", "names"),
    [
        ("stop-logging", VICTIM, ["StopLogging"]),
        ("delete-trail", VICTIM, ["DeleteTrail"]),
        ("narrow-selectors", VICTIM, ["PutEventSelectors"]),
        ("advanced-selectors", VICTIM, ["PutEventSelectors"]),
        ("redirect-bucket", VICTIM, ["UpdateTrail"]),
        ("disable-key", SECURITY_ACCOUNT, ["DisableKey"]),
        ("schedule-key-deletion", SECURITY_ACCOUNT, ["ScheduleKeyDeletion"]),
        ("kms-policy", SECURITY_ACCOUNT, ["PutKeyPolicy"]),
        ("bucket-policy", SECURITY_ACCOUNT, ["PutBucketPolicy"]),
        ("lifecycle", SECURITY_ACCOUNT, ["PutBucketLifecycle"]),
        ("delete-objects", SECURITY_ACCOUNT, ["DeleteObject", "DeleteObjects"]),
        ("exclude-kms", VICTIM, ["PutEventSelectors"]),
        ("drop-data-events", VICTIM, ["PutEventSelectors"]),
        ("insights-off", VICTIM, ["PutInsightSelectors"]),
        ("single-region", VICTIM, ["UpdateTrail"]),
        ("global-events-off", VICTIM, ["UpdateTrail"]),
        ("organization-off", VICTIM, ["UpdateTrail"]),
        ("validation-off", VICTIM, ["UpdateTrail"]),
        ("notification-off", VICTIM, ["UpdateTrail"]),
        ("requester-pays", SECURITY_ACCOUNT, ["PutBucketRequestPayment"]),
        ("ownership-controls", SECURITY_ACCOUNT, ["PutBucketOwnershipControls"]),
        ("suspend-versioning", SECURITY_ACCOUNT, ["PutBucketVersioning"]),
        ("object-lock", SECURITY_ACCOUNT, ["PutBucketObjectLockConfiguration"]),
        ("bucket-encryption", SECURITY_ACCOUNT, ["PutBucketEncryption"]),
        ("replication-off", SECURITY_ACCOUNT, ["DeleteBucketReplication"]),
        ("bucket-notification", SECURITY_ACCOUNT, ["PutBucketNotification"]),
        ("plant-object", SECURITY_ACCOUNT, ["PutObject"]),
        ("expiring-material", SECURITY_ACCOUNT, ["ImportKeyMaterial"]),
        ("revoke-grant", SECURITY_ACCOUNT, ["RevokeGrant"]),
        ("stop-and-start", VICTIM, ["StopLogging", "StartLogging"]),
        ("cancel-key-deletion", SECURITY_ACCOUNT, ["ScheduleKeyDeletion", "CancelKeyDeletion", "EnableKey"]),
        ("attempted-stop", VICTIM, ["StopLogging"]),
        ("silent", VICTIM, []),
        ("silent-account", VICTIM, []),
        ("drop-region", VICTIM, []),
        ("drop-canary", VICTIM, []),
        ("canary-allowed", VICTIM, []),
        ("late-delivery", VICTIM, []),
    ],
)
def test_attack_leaves_its_event(attack: str, account: str, names: list[str]) -> None:
    """The attack's call arrives from the account that it is made in, on the declared trail, bucket or key."""
    found = by_mallory(events(attacked(attack)))
    assert [record["eventName"] for record in found] == names
    for record in found:
        assert record["recipientAccountId"] == account
        assert ATTACK_US <= parse_iso_us(record["eventTime"]) < ENDED_US
        text = json.dumps(record)
        assert any(part in text for part in (PEACE.trail_arn, PEACE.kms_key_arn, "arn:aws:s3:::security-logs"))


@pytest.mark.parametrize(
    ("attack", "account", "name"),
    [
        ("sns-filter", SECURITY_ACCOUNT, "SetSubscriptionAttributes"),
        ("unsubscribe", SECURITY_ACCOUNT, "Unsubscribe"),
        ("topic-policy", SECURITY_ACCOUNT, "SetTopicAttributes"),
        ("purge-queue", SECURITY_ACCOUNT, "PurgeQueue"),
        ("queue-retention", SECURITY_ACCOUNT, "SetQueueAttributes"),
        ("reader-role", SECURITY_ACCOUNT, "PutRolePolicy"),
        ("canary-schedule", VICTIM, "UpdateSchedule"),
        ("shadow-trail", VICTIM, "CreateTrail"),
        ("delete-store", VICTIM, "DeleteEventDataStore"),
        ("scp-detached", MANAGEMENT, "DetachPolicy"),
        ("scp-exception", MANAGEMENT, "UpdatePolicy"),
        ("scp-attached", MANAGEMENT, "AttachPolicy"),
        ("delegated-admin", MANAGEMENT, "DeregisterDelegatedAdministrator"),
        ("trusted-access", MANAGEMENT, "DisableAWSServiceAccess"),
        ("leave-organization", VICTIM, "LeaveOrganization"),
        ("disable-region", VICTIM, "DisableRegion"),
        ("guardduty-off", VICTIM, "DeleteDetector"),
        ("guardduty-suppressed", VICTIM, "CreateFilter"),
        ("securityhub-off", VICTIM, "DisableSecurityHub"),
        ("recorder-stopped", VICTIM, "StopConfigurationRecorder"),
        ("alarm-disabled", VICTIM, "DisableAlarmActions"),
        ("metric-filter-deleted", VICTIM, "DeleteMetricFilter"),
        ("rule-disabled", VICTIM, "DisableRule"),
        ("flow-logs-deleted", VICTIM, "DeleteFlowLogs"),
    ],
)
def test_attack_elsewhere_leaves_its_event(attack: str, account: str, name: str) -> None:
    """An attack on readers, by way of the organisation or on another watcher is one call in its own account."""
    (found,) = by_mallory(events(attacked(attack)))
    assert (found["eventName"], found["recipientAccountId"]) == (name, account)
    assert "<" not in json.dumps({**found, "userAgent": ""})


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_attack_changes_nothing_before_its_time(attack: str, peace: list[SimulatedObject]) -> None:
    """What was delivered before the attack is the same, byte for byte, and something differs afterwards."""
    objects = attacked(attack)
    assert [each for each in objects if each.delivered_us <= ATTACK_US] == [
        each for each in peace if each.delivered_us <= ATTACK_US
    ]
    assert objects != peace


@pytest.mark.parametrize("attack", ["stop-logging", "delete-trail"])
def test_stopped_trail_records_nothing_more(attack: str, peace: list[SimulatedObject]) -> None:
    """The victim's earlier events still arrive, its later ones never, and others are untouched."""
    objects = attacked(attack)
    assert later(events(objects)) == [r for r in later(events(peace)) if r["recipientAccountId"] != VICTIM]
    assert max(deliveries(objects, VICTIM)) <= ATTACK_US + 10 * MINUTE_US
    last = max(event["eventTime"] for event in events(objects, VICTIM))
    assert last <= by_mallory(events(objects))[0]["eventTime"]


def test_narrow_selectors_leave_reads(peace: list[SimulatedObject]) -> None:
    """Writes vanish and the canary with them; reads go on."""
    kept = later(events(attacked("narrow-selectors"), VICTIM))
    assert kept == [record for record in later(events(peace, VICTIM)) if record["readOnly"]]
    assert kept
    assert not canaries(kept)


def test_advanced_selectors_leave_data_events(peace: list[SimulatedObject]) -> None:
    """Management events vanish and the canary with them; data events go on."""
    kept = later(events(attacked("advanced-selectors"), VICTIM))
    assert kept == [record for record in later(events(peace, VICTIM)) if record["eventCategory"] == "Data"]
    assert kept


def test_dropped_canary_takes_nothing_else(peace: list[SimulatedObject]) -> None:
    """The victim's canary events vanish, everything else arrives."""
    kept = later(events(attacked("drop-canary")))
    mine = canaries(later(events(peace, VICTIM)))
    assert len(mine) == 2 * 14
    assert kept == [record for record in later(events(peace)) if record not in mine]


@pytest.mark.parametrize(
    ("attack", "is_lost"),
    [
        ("exclude-kms", lambda record: record["eventSource"] == "kms.amazonaws.com"),
        ("drop-data-events", lambda record: record["eventCategory"] == "Data"),
        ("global-events-off", lambda record: record["eventSource"].partition(".")[0] in GLOBAL),
    ],
)
def test_quiet_narrowing_takes_only_its_own(
    attack: str, is_lost: Callable[[dict[str, Any]], bool], peace: list[SimulatedObject]
) -> None:
    """What the trail no longer records vanishes from the victim; its canary and all else are still there."""
    kept = later(events(attacked(attack), VICTIM))
    before = later(events(peace, VICTIM))
    assert kept == [record for record in before if not is_lost(record)] != before
    assert canaries(kept) == canaries(before)


def test_single_region_leaves_its_own() -> None:
    """The victim's deliveries from other regions than the trail's end."""
    objects = attacked("single-region")
    assert max(deliveries(objects, VICTIM, "eu-west-1")) == ENDED_US
    assert max(deliveries(objects, VICTIM, "us-east-1")) > ENDED_US


@pytest.mark.parametrize("attack", ["organization-off", "trusted-access"])
def test_members_deliveries_end(attack: str) -> None:
    """Only the organisation's first account delivers on."""
    objects = attacked(attack)
    assert max(deliveries(objects, VICTIM)) == max(deliveries(objects, SECURITY_ACCOUNT)) == ENDED_US
    assert max(deliveries(objects, MANAGEMENT)) > ENDED_US


def test_without_validation_there_are_no_digests(peace: list[SimulatedObject]) -> None:
    """The victim's digests end, its logs and everyone else's digests do not."""
    objects = attacked("validation-off")
    mine = f"/{VICTIM}/CloudTrail-Digest/"
    late = [each for each in objects if each.delivered_us > ENDED_US]
    assert [each.path for each in late] == [
        each.path for each in peace if each.delivered_us > ENDED_US and mine not in each.path
    ]


@pytest.mark.parametrize("attack", ["redirect-bucket", "silent-account", "leave-organization"])
def test_victims_deliveries_end(attack: str, peace: list[SimulatedObject]) -> None:
    """Nothing of the victim arrives after the attack, no digest either, and others deliver on."""
    objects = attacked(attack)
    assert [each for each in objects if each.delivered_us > ENDED_US] == [
        each
        for each in peace
        if each.delivered_us > ENDED_US and parse_key(each.path).account_id != VICTIM and f"/{VICTIM}/" not in each.path
    ]
    assert max(deliveries(objects, VICTIM)) == ENDED_US


@pytest.mark.parametrize(
    "attack", ["disable-key", "schedule-key-deletion", "kms-policy", "bucket-policy", "requester-pays", "silent"]
)
def test_everyones_deliveries_end(attack: str) -> None:
    """After the delivery that carries the attack's event nothing arrives from anywhere."""
    assert max(each.delivered_us for each in attacked(attack)) == ENDED_US


@pytest.mark.parametrize("attack", [name for name, attack in ATTACKS.items() if attack.effect is Effect.NONE])
def test_event_alone_changes_nothing_else(attack: str, peace: list[SimulatedObject]) -> None:
    """Only the attack's own events are new."""
    seen = events(attacked(attack))
    own = by_mallory(seen)
    assert [record for record in seen if record not in own] == events(peace)


def test_attempted_stop_is_refused_without_parameters() -> None:
    """As AWS does for refused trail calls: AccessDenied, parameters null, the trail only in the message."""
    (attempt,) = by_mallory(events(attacked("attempted-stop")))
    assert attempt["errorCode"] == "AccessDenied"
    assert attempt["requestParameters"] is None
    assert PEACE.trail_arn in attempt["errorMessage"]


@pytest.mark.parametrize("attack", ["drop-region", "disable-region"])
def test_drop_region_takes_one_region(attack: str) -> None:
    """The victim's last region falls silent, its first does not."""
    objects = attacked(attack)
    assert max(deliveries(objects, VICTIM, "eu-west-1")) == ENDED_US
    assert max(deliveries(objects, VICTIM, "us-east-1")) > START_US + 180 * MINUTE_US


def test_allowed_canary_is_a_dry_run_that_would_succeed() -> None:
    """The victim's later canary calls are Client.DryRunOperation, all others are refused."""
    calls = canaries(events(attacked("canary-allowed")))
    assert {record["errorCode"] for record in calls} == {"Client.UnauthorizedOperation", "Client.DryRunOperation"}
    allowed = [record for record in calls if record["errorCode"] == "Client.DryRunOperation"]
    assert {record["recipientAccountId"] for record in allowed} == {VICTIM}
    assert len(later(allowed)) == 2 * 14


def test_corrupt_objects_do_not_inflate() -> None:
    """The victim's objects of 30 minutes end in the middle of their stream; all others are whole."""
    broken = set()
    for each in attacked("corrupt-objects"):
        if not zlib_ends(each.body):
            broken.add((parse_key(each.path).account_id, each.delivered_us))
    assert broken == {(VICTIM, ENDED_US + k * 5 * MINUTE_US) for k in range(1, 7)}


def zlib_ends(body: bytes) -> bool:
    """Whether a gzip stream reaches its end."""
    stream = zlib.decompressobj(31)
    stream.decompress(body)
    return stream.eof


def test_late_delivery_loses_nothing(peace: list[SimulatedObject]) -> None:
    """30 minutes of the victim's deliveries come 40 minutes later, with all their records."""
    objects = attacked("late-delivery")
    held = {ENDED_US + k * 5 * MINUTE_US for k in range(1, 7)}
    assert deliveries(objects, VICTIM) == deliveries(peace, VICTIM) - held
    by_id = sorted(events(objects), key=lambda record: str(record["eventID"]))
    assert by_id == sorted(events(peace), key=lambda record: str(record["eventID"]))
    times = [each.delivered_us for each in objects]
    assert times == sorted(times)


def test_attacks_combine(peace: list[SimulatedObject]) -> None:
    """Two attacks at once leave both events and both effects."""
    objects = attacked("drop-canary", "disable-key")
    assert max(each.delivered_us for each in objects) == ENDED_US < max(each.delivered_us for each in peace)
    assert [record["eventName"] for record in by_mallory(events(objects))] == ["DisableKey"]
