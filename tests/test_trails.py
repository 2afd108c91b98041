"""Whose a trail, a bucket or a key is."""

from __future__ import annotations

import pytest

from schemas.trails import LogPath, Ownership, Trail

OWN, OTHER, UNKNOWN = Ownership.OWN, Ownership.OTHER, Ownership.UNKNOWN
KEY = "arn:aws:kms:us-east-1:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PATH = LogPath(
    (
        Trail("org-trail", "111122223333", "us-east-1", "security-logs", KEY),
        Trail("gov", "444455556666", "us-gov-west-1", "gov-logs"),
    )
)


@pytest.mark.parametrize(
    ("name_or_arn", "account_id", "ownership"),
    [
        ("org-trail", "111122223333", OWN),
        ("org-trail", "444455556666", OTHER),  # a bare name is the calling account's
        ("org-trail", None, OTHER),
        ("arn:aws:cloudtrail:us-east-1:111122223333:trail/org-trail", "444455556666", OWN),  # an ARN carries its owner
        ("arn:aws-us-gov:cloudtrail:us-gov-west-1:444455556666:trail/gov", None, OWN),
        ("arn:aws:cloudtrail:us-east-1:444455556666:trail/org-trail", "111122223333", OTHER),
        ("other", "111122223333", OTHER),
        ("arn:aws:cloudtrail", "111122223333", OTHER),
        ("", "111122223333", OTHER),
    ],
)
def test_trails(name_or_arn: str, account_id: str | None, ownership: Ownership) -> None:
    """By name within the calling account, or by ARN."""
    assert PATH.owns_trail(name_or_arn, account_id) is ownership


@pytest.mark.parametrize(
    ("name_or_arn", "ownership"),
    [
        ("security-logs", OWN),
        ("arn:aws:s3:::security-logs", OWN),
        ("arn:aws:s3:::security-logs/AWSLogs/111122223333/*", OWN),
        ("arn:aws-us-gov:s3:::gov-logs", OWN),
        ("security-logs-2", OTHER),
        ("arn:aws:s3:::", OTHER),
        ("", OTHER),
    ],
)
def test_buckets(name_or_arn: str, ownership: Ownership) -> None:
    """By name or ARN, the bucket's or an object's."""
    assert PATH.owns_bucket(name_or_arn) is ownership


@pytest.mark.parametrize(
    ("id_or_arn", "ownership"),
    [
        (KEY, OWN),
        (KEY.rpartition("/")[2], OWN),
        (KEY.replace("us-east-1", "us-west-2"), OWN),  # a replica has its primary's id
        (KEY[:-1] + "0", OTHER),
        ("alias/logs", OTHER),
        ("", OTHER),
    ],
)
def test_keys(id_or_arn: str, ownership: Ownership) -> None:
    """By ARN or bare id; an alias is not resolved."""
    assert PATH.owns_key(id_or_arn) is ownership


def test_an_alias_that_is_declared_is_known() -> None:
    """As it was declared."""
    path = LogPath((Trail("t", "111122223333", "us-east-1", "b", "alias/logs"),))
    assert path.owns_key("alias/logs") is OWN
    assert path.owns_key("alias/other") is OTHER


def test_without_a_declaration_nothing_is_known() -> None:
    """Unknown is not the same as other: what nobody declared may be anybody's."""
    assert LogPath().owns_trail("org-trail", "111122223333") is UNKNOWN
    assert LogPath().owns_bucket("security-logs") is UNKNOWN
    assert LogPath().owns_key(KEY) is UNKNOWN
    keyless = LogPath((Trail("t", "111122223333", "us-east-1", "b"),))
    assert keyless.owns_key(KEY) is UNKNOWN
