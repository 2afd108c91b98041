"""The grammar of object keys: every kind and layout, foreign files, and hostile strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.keys import KeyFacts, Kind, parse_key
from schemas.times import parse_iso_us

ACCOUNT = "111122223333"
TAIL = "20261124T0605Z_AbCdEfGh12345678.json.gz"
DELIVERED_US = parse_iso_us("2026-11-24T06:05:00Z")

FOLDERS = {
    "CloudTrail": Kind.LOG,
    "CloudTrail-Insight": Kind.INSIGHT,
    "CloudTrail-NetworkActivity": Kind.NETWORK_ACTIVITY,
    "CloudTrail-Aggregated": Kind.AGGREGATED,
}
REGIONS = [
    "us-east-1",
    "us-gov-west-1",
    "cn-northwest-1",
    "af-south-1",
    "ap-southeast-7",
    "eusc-de-east-1",
    "us-isob-east-1",
]


@pytest.mark.parametrize("prefix", ["", "logs/", "a/b c/AWSLogs-old/", "home/me/copy/"])
@pytest.mark.parametrize("organisation", ["", "o-a1b2c3d4e5/"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_layout_of_every_kind(prefix: str, organisation: str, folder: str) -> None:
    """With and without a prefix or an organisation; the kind comes from the folder."""
    key = f"{prefix}AWSLogs/{organisation}{ACCOUNT}/{folder}/us-east-1/2026/11/24/{ACCOUNT}_{folder}_us-east-1_{TAIL}"
    assert parse_key(key) == KeyFacts(FOLDERS[folder], ACCOUNT, "us-east-1", DELIVERED_US)


@pytest.mark.parametrize("region", REGIONS)
def test_regions_of_every_partition(region: str) -> None:
    """Commercial, opt-in, China, GovCloud, sovereign; told by the name, or by the folder where the name is odd."""
    folder = f"AWSLogs/{ACCOUNT}/CloudTrail/{region}/2026/11/24"
    assert parse_key(f"{folder}/{ACCOUNT}_CloudTrail_{region}_{TAIL}").region == region
    assert parse_key(f"{folder}/renamed.json.gz").region == region
    assert parse_key(f"{ACCOUNT}_CloudTrail_{region}_{TAIL}").region == region


@pytest.mark.parametrize("trail", ["org-trail", "my_trail", "t_us-west-2_20200101T000000Z", "CloudTrail", "eu-west-1"])
@pytest.mark.parametrize("backfill", ["", "_backfill"])
def test_digests_whatever_the_trail_is_called(trail: str, backfill: str) -> None:
    """A trail's name may hold underscores, and look like a region or a time; the region is the source's."""
    name = f"{ACCOUNT}_CloudTrail-Digest_eu-west-1_{trail}_us-east-1_20261124T060534Z{backfill}.json.gz"
    facts = KeyFacts(Kind.DIGEST, ACCOUNT, "eu-west-1", parse_iso_us("2026-11-24T06:05:34Z"))
    assert parse_key(f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/eu-west-1/2026/11/24/{name}") == facts
    assert parse_key(name) == facts


@pytest.mark.parametrize(
    "name",
    [
        f"{ACCOUNT}_CloudTrail_us-east-2_20261124T0605ZAbCdEfGh12345678.json.gz",  # as an example in the user guide
        f"{ACCOUNT}_CloudTrail_us-east-2-20261124T0605.json.gz",  # as a public copy of a real bucket
        f"{ACCOUNT}_CloudTrail_us-east-2_20261124T0605Z_x.json.gz",
    ],
)
def test_small_differences_in_names(name: str) -> None:
    """Delivery time and region are read all the same."""
    assert parse_key(name) == KeyFacts(Kind.LOG, ACCOUNT, "us-east-2", DELIVERED_US)


def test_the_folder_outranks_the_name_for_the_account() -> None:
    """Whoever can write the name of an object in another account's folder must not write in its name."""
    key = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/11/24/999999999999_CloudTrail_us-east-1_{TAIL}"
    assert parse_key(key).account_id == ACCOUNT


@pytest.mark.parametrize("name", ["events.json.gz", "export/2026/a b.json.gz", "folder/.json.gz"])
def test_copies_out_of_their_tree_are_logs(name: str) -> None:
    """Nothing is known of them but that they may hold records."""
    assert parse_key(name) == KeyFacts(Kind.LOG)


@pytest.mark.parametrize(
    "key",
    [
        f"AWSLogs/{ACCOUNT}/Config/us-east-1/2026/11/24/ConfigHistory/{ACCOUNT}_Config_us-east-1_x_20261124T060534Z_1.json.gz",
        f"AWSLogs/{ACCOUNT}/vpc_flow/us-east-1/2026/x.json.gz",
        f"AWSLogs/{ACCOUNT}/elasticloadbalancing/us-east-1/2026/11/24/x.log.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail-Lake/Query/2026/11/24/id/result_1.json.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/11/24/{ACCOUNT}_CloudTrail_us-east-1_20261124T0605Z_x.json",
        f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/11/24/{ACCOUNT}_CloudTrail_us-east-1_20261124T0605Z_x.json.gz.tmp",
        f"{ACCOUNT}_CloudTrail-Unheard_us-east-1_{TAIL}",
        "objects/0123456789abcdef.parquet",
        "",
        "/",
    ],
)
def test_what_is_not_cloudtrails_is_other(key: str) -> None:
    """Other services share the bucket; a kind that AWS adds is not guessed at."""
    assert parse_key(key) == KeyFacts(Kind.OTHER)


@pytest.mark.parametrize(
    ("key", "facts"),
    [
        ("AWSLogs/11112222333/CloudTrail/us-east-1/x.json.gz", KeyFacts(Kind.LOG)),
        ("AWSLogs/١١١١٢٢٢٢٣٣٣٣/CloudTrail/us-east-1/x.json.gz", KeyFacts(Kind.LOG)),
        (f"AWSLogs/{ACCOUNT}/CloudTrail/2026/11/24/x.json.gz", KeyFacts(Kind.LOG, ACCOUNT)),
        (f"{ACCOUNT}_CloudTrail_us-east-1_x/y.json.gz", KeyFacts(Kind.LOG)),
        (f"{ACCOUNT}_CloudTrail_us-east-1_20261324T0605Z_x.json.gz", KeyFacts(Kind.LOG, ACCOUNT, "us-east-1")),
        (f"{ACCOUNT}_CloudTrail_us-east-1_20261124T2465Z_x.json.gz", KeyFacts(Kind.LOG, ACCOUNT, "us-east-1")),
        (f"{ACCOUNT}_CloudTrail_us-east-1_00001124T0605Z_x.json.gz", KeyFacts(Kind.LOG, ACCOUNT, "us-east-1")),
        (f"{ACCOUNT}_CloudTrail_us-east-1_٢٠٢٦١١٢٤T٠٦٠٥Z_x.json.gz", KeyFacts(Kind.LOG, ACCOUNT, "us-east-1")),
    ],
)
def test_what_a_key_does_not_say_is_none(key: str, facts: KeyFacts) -> None:
    """Digits that are no account, no region or no date are not taken for one."""
    assert parse_key(key) == facts


PIECES = st.sampled_from(
    [
        "AWSLogs/",
        f"{ACCOUNT}/",
        "o-a1/",
        "CloudTrail/",
        "CloudTrail-Digest/",
        "us-east-1",
        "_",
        "/",
        f"{ACCOUNT}_CloudTrail_",
        TAIL,
        "99999999T9999Z",
        ".json.gz",
    ]
)


@given(st.lists(PIECES | st.text(max_size=4)).map("".join))
def test_no_key_crashes_the_parser(key: str) -> None:
    """Keys are the bucket's to choose: whatever they are, what is told has the right form."""
    facts = parse_key(key)
    assert facts.account_id is None or (facts.account_id.isascii() and facts.account_id.isdigit())
    assert facts.kind is not Kind.OTHER or facts == KeyFacts(Kind.OTHER)
    assert facts.kind is Kind.OTHER or key.endswith(".json.gz")


def test_only_kinds_with_records_belong_in_the_archive() -> None:
    """Digests prove, aggregated files count; neither holds records."""
    assert {kind for kind in Kind if kind.holds_records} == {Kind.LOG, Kind.INSIGHT, Kind.NETWORK_ACTIVITY}
