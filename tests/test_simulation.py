"""The simulated bucket: reproducible, readable, delivered as measured, with canaries and duplicates."""

from __future__ import annotations

import gzip
import itertools
import json
import tomllib
from collections import Counter
from typing import Any

import msgspec
import pytest

from schemas.errors import UsageError
from schemas.keys import Kind, parse_key
from schemas.records import Record
from schemas.times import MINUTE_US, parse_iso_us
from transforms.simulation import ATTACKS, Scenario, SimulatedObject, canary_config, simulate
from transforms.simulation.scenario import SECURITY_ACCOUNT

START_US = parse_iso_us("2026-11-01T00:00:00Z")
SCENARIO = Scenario(
    seed=1, start_us=START_US, hours=2, accounts=3, regions=("us-east-1", "eu-west-1"), rate=4000, attacks=()
)
SLOT_US = 5 * MINUTE_US


def records_in(simulated: SimulatedObject) -> list[dict[str, Any]]:
    """The records of a log object."""
    records: list[dict[str, Any]] = json.loads(gzip.decompress(simulated.body))["Records"]
    return records


def is_canary(record: dict[str, Any]) -> bool:
    """Whether the simulated canary made the call."""
    return ":assumed-role/canary/" in (record["userIdentity"].get("arn") or "")


def logs(objects: list[SimulatedObject], *, organisation: bool = True) -> list[SimulatedObject]:
    """The log objects of the organisation's trail, or of all trails."""
    found = [each for each in objects if parse_key(each.path).kind is Kind.LOG]
    return [each for each in found if "/o-" in each.path or not organisation]


@pytest.fixture(scope="module")
def bucket() -> list[SimulatedObject]:
    """Everything that the scenario delivers."""
    return list(simulate(SCENARIO))


@pytest.fixture(scope="module")
def delivered(bucket: list[SimulatedObject]) -> list[tuple[int, dict[str, Any]]]:
    """Each record of the organisation's trail with its delivery time."""
    return [(each.delivered_us, record) for each in logs(bucket) for record in records_in(each)]


def test_equal_scenarios_give_equal_bytes(bucket: list[SimulatedObject]) -> None:
    """Two runs agree in every path and every byte."""
    assert list(simulate(SCENARIO)) == bucket


def test_another_seed_gives_other_bytes(bucket: list[SimulatedObject]) -> None:
    """No log object of another seed has the bytes of one of ours."""
    others = logs(list(simulate(msgspec.structs.replace(SCENARIO, seed=2))))
    assert not {each.body for each in others} & {each.body for each in logs(bucket)}


def test_longer_scenario_begins_with_the_same_objects(bucket: list[SimulatedObject]) -> None:
    """An object depends on its own interval alone: more hours do not change earlier ones."""
    longer = simulate(msgspec.structs.replace(SCENARIO, hours=9))
    before_end = [each for each in bucket if each.delivered_us <= START_US + 120 * MINUTE_US]
    assert list(itertools.islice(longer, len(before_end))) == before_end


def test_gzip_headers_hold_no_time(bucket: list[SimulatedObject]) -> None:
    """Each body is one gzip member with the time 0 and no name."""
    assert {each.body[:8] for each in bucket} == {b"\x1f\x8b\x08\0\0\0\0\0"}


def test_keys_tell_what_the_object_is(bucket: list[SimulatedObject]) -> None:
    """The key of each log agrees with its records and its delivery time, and every kind of neighbour occurs."""
    kinds = Counter(parse_key(each.path).kind for each in bucket)
    assert set(kinds) == {Kind.LOG, Kind.DIGEST, Kind.INSIGHT, Kind.OTHER}
    for each in logs(bucket, organisation=False):
        facts = parse_key(each.path)
        assert facts.delivered_us == each.delivered_us
        assert {(r["recipientAccountId"], r["awsRegion"]) for r in records_in(each)} == {
            (facts.account_id, facts.region)
        }


def test_paths_are_unique(bucket: list[SimulatedObject]) -> None:
    """No object overwrites another."""
    assert len({each.path for each in bucket}) == len(bucket)


def test_records_are_of_the_strict_type(bucket: list[SimulatedObject]) -> None:
    """Every record, of Insights too, decodes without the tolerant path and has what AWS requires."""
    decoder = msgspec.json.Decoder(dict[str, list[Record]])
    for each in bucket:
        kind = parse_key(each.path).kind
        for record in decoder.decode(gzip.decompress(each.body))["Records"] if kind.holds_records else []:
            assert record.event_id
            assert record.event_version
            assert record.recipient_account_id
            assert (record.user_identity is None) == (kind is Kind.INSIGHT)


def test_event_ids_are_unique_within_a_trail(delivered: list[tuple[int, dict[str, Any]]]) -> None:
    """An eventID names one event."""
    assert len({record["eventID"] for _, record in delivered}) == len(delivered)


def test_second_trails_deliver_the_same_records_again(bucket: list[SimulatedObject]) -> None:
    """What the accounts' own trails deliver is equal, record by record, to what the organisation's did."""
    own = [each for each in logs(bucket, organisation=False) if "/o-" not in each.path]
    again = {record["eventID"]: record for each in own for record in records_in(each)}
    first = {record["eventID"]: record for each in logs(bucket) for record in records_in(each)}
    assert {parse_key(each.path).account_id for each in own} == {"777788889999", SECURITY_ACCOUNT}
    assert again == {name: first[name] for name in again}


def test_delivery_takes_as_long_as_measured(delivered: list[tuple[int, dict[str, Any]]]) -> None:
    """Quantiles of name time minus event time: p50 3.4 minutes, p95 7.1, p99 8.4, never more than 10."""
    lags = sorted((us - parse_iso_us(record["eventTime"])) / MINUTE_US for us, record in delivered)
    p50, p95, p99 = (lags[int(len(lags) * share)] for share in (0.5, 0.95, 0.99))
    assert p50 == pytest.approx(3.4, abs=0.2)
    assert p95 == pytest.approx(7.1, abs=0.3)
    assert p99 == pytest.approx(8.4, abs=0.3)
    assert lags[0] > 0
    assert lags[-1] < 10


def test_objects_come_in_delivery_order(bucket: list[SimulatedObject]) -> None:
    """Delivery times never decrease."""
    times = [each.delivered_us for each in bucket]
    assert times == sorted(times)


def test_event_count_follows_the_rate(delivered: list[tuple[int, dict[str, Any]]]) -> None:
    """The distinct events are about rate times hours, canaries included."""
    assert len(delivered) == pytest.approx(SCENARIO.rate * SCENARIO.hours, rel=0.1)


def test_errors_are_a_twentieth(delivered: list[tuple[int, dict[str, Any]]]) -> None:
    """Background calls fail about as often as real ones."""
    background = [record for _, record in delivered if not is_canary(record)]
    assert sum("errorCode" in record for record in background) / len(background) == pytest.approx(0.05, abs=0.02)


def test_canary_calls_once_per_slot_and_place(delivered: list[tuple[int, dict[str, Any]]]) -> None:
    """Each account (the security account too), region and slot holds one refused call, delivered within the grace."""
    seen = Counter(
        (record["recipientAccountId"], record["awsRegion"], parse_iso_us(record["eventTime"]) // SLOT_US)
        for _, record in delivered
        if is_canary(record)
    )
    slots = range(START_US // SLOT_US, START_US // SLOT_US + 24)
    assert seen == dict.fromkeys(itertools.product(SCENARIO.delivering, SCENARIO.regions, slots), 1)


def test_unaligned_start_keeps_slots_whole() -> None:
    """A start and an end within a slot round outwards, so the first and last slot have their canary."""
    odd = msgspec.structs.replace(SCENARIO, start_us=START_US + 123_456_789, hours=0.51, accounts=1)
    seen = Counter(
        parse_iso_us(record["eventTime"]) // SLOT_US - START_US // SLOT_US
        for each in logs(list(simulate(odd)))
        for record in records_in(each)
        if is_canary(record) and record["awsRegion"] == "us-east-1"
    )
    assert seen == dict.fromkeys(range(7), 2)


def test_canary_config_matches_the_canary(delivered: list[tuple[int, dict[str, Any]]]) -> None:
    """The configuration parses, names every place and the log path, and begins with the scenario."""
    config = tomllib.loads(canary_config(SCENARIO))
    (canary,), (trail,) = config["canary"], config["trail"]
    assert canary["accounts"] == list(SCENARIO.delivering)
    assert canary["regions"] == list(SCENARIO.regions)
    assert (canary["period"], canary["grace"]) == ("5m", "15m")
    assert canary["since"].isoformat() == "2026-11-01T00:00:00+00:00"
    assert (trail["name"], trail["bucket"], trail["account"]) == ("org-trail", "security-logs", "111122223333")
    assert trail["kms_key"].startswith("arn:aws:kms:us-east-1:999999999999:key/")
    refused = [record for _, record in delivered if is_canary(record)]
    assert {record["errorCode"] for record in refused} == {"Client.UnauthorizedOperation"}
    assert all(record["requestParameters"]["clientToken"].startswith("tc-") for record in refused)


def test_background_never_touches_the_log_path(delivered: list[tuple[int, dict[str, Any]]]) -> None:
    """Without an attack nothing writes to the trail, its bucket or its key, and CloudTrail is only read."""
    writes = [record for _, record in delivered if not record["readOnly"]]
    assert len(writes) > 100
    for record in writes:
        text = json.dumps(record)
        assert "security-logs" not in text
        assert SCENARIO.kms_key_arn not in text
        assert record["eventSource"] != "cloudtrail.amazonaws.com"


def test_large_intervals_split_into_objects() -> None:
    """No object holds more than 4000 records, and memory is not needed for more than one interval of one place."""
    busy = msgspec.structs.replace(SCENARIO, hours=0.25, accounts=1, regions=("us-east-1",), rate=80_000)
    counts = [len(records_in(each)) for each in logs(list(simulate(busy)))]
    assert max(counts) == 4000
    assert sum(counts) == pytest.approx(20_000, rel=0.3)


def test_bad_scenarios_are_refused_at_the_call() -> None:
    """Every problem is listed at once, before anything is delivered, and unknown attacks name the known ones."""
    bad = msgspec.structs.replace(SCENARIO, hours=0, accounts=0, regions=("mars",), rate=-1, attacks=("nap",))
    with pytest.raises(UsageError) as refusal:
        simulate(bad)
    assert len(refusal.value.problems) == 5
    assert all(name in str(refusal.value) for name in ATTACKS)
    with pytest.raises(UsageError, match="nap"):
        canary_config(bad)


def test_digests_list_what_was_delivered(bucket: list[SimulatedObject]) -> None:
    """Each digest names existing objects, and each chain covers hour after hour."""
    paths = {each.path for each in bucket}
    digests = [each for each in bucket if parse_key(each.path).kind is Kind.DIGEST]
    contents = [json.loads(gzip.decompress(each.body)) for each in digests]
    assert [content["digestS3Object"] for content in contents] == [each.path for each in digests]
    listed = [log["s3Object"] for content in contents for log in content["logFiles"]]
    assert listed
    assert set(listed) < paths
    ends = {(content["awsAccountId"], content["digestEndTime"]) for content in contents}
    assert len(ends) == 4 * 2
