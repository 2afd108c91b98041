"""Sightings: which rows of the archive are a canary's calls."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from canary_worlds import CANARY, PLACE, START_US
from hypothesis import given
from hypothesis import strategies as st

from schemas.archive import ARCHIVE_SCHEMA
from schemas.canaries import Canary, Match, Place, Sighting
from transforms.canary_match import json_text, known_field, match_problems
from transforms.sightings import CanaryCalls, find_calls

ROW: dict[str, Any] = {
    "event_time": START_US + 1,
    "event_id": "event-1",
    "event_name": "RunInstances",
    "event_source": "ec2.amazonaws.com",
    "aws_region": "eu-west-1",
    "error_code": "Client.UnauthorizedOperation",
    "read_only": False,
    "recipient_account_id": "111122223333",
    "user_identity": {
        "type": "AssumedRole",
        "arn": "arn:aws:sts::111122223333:assumed-role/canary/x",
        "account_id": "444455556666",
        "session_context": {"attributes": {"mfa_authenticated": "false"}},
        "on_behalf_of": '{"userId": "u-1"}',
    },
    "request_parameters": '{"clientToken":"tc-17","dryRun":true,"minCount":1.50,"set":{"name":"a\\u00e9"},"list":[1]}',
    "object_key": "s3://logs/a.json.gz",
    "record_index": 3,
    "delivered_at": START_US + 2,
}
DECLARED = (
    Match("event_source", ("ec2.amazonaws.com",)),
    Match("event_name", ("RunInstances",)),
    Match("error_code", ("Client.UnauthorizedOperation", "AccessDenied*")),
    Match("user_arn", ("arn:aws:sts::*:assumed-role/canary/*",)),
    Match("request_parameters.clientToken", ("tc-*",)),
)


def table(*changes: dict[str, Any]) -> pa.Table:
    """Rows of the archive: `ROW` with changes."""
    return pa.Table.from_pylist([ROW | change for change in changes], schema=ARCHIVE_SCHEMA)


def canary(*match: Match) -> Canary:
    """The canary of these tests with other conditions."""
    return msgspec.structs.replace(CANARY, match=match)


def found(rows: pa.Table, *match: Match) -> list[str | None]:
    """Ids of the events that meet the conditions."""
    return [each.event_id for each in find_calls(rows, [canary(*match)]).sightings]


def test_a_declared_call_is_found_with_its_slot_and_times() -> None:
    """All conditions of the documented example hold for its call."""
    slot = (START_US + 1) // CANARY.period_us
    assert find_calls(table({}), [canary(*DECLARED)]) == CanaryCalls(
        (Sighting(PLACE, slot, START_US + 1, START_US + 2, "event-1", "s3://logs/a.json.gz"),)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"event_name": "runinstances"},
        {"event_name": None},
        {"error_code": "Client.Other"},
        {"user_identity": None},
        {"user_identity": {"arn": None}},
        {"request_parameters": None},
        {"request_parameters": '{"clientToken": null}'},
        {"request_parameters": '{"clientToken": ["tc-1"]}'},
        {"request_parameters": '{"CLIENTTOKEN": "tc-1"}'},
        {"request_parameters": '"tc-1"'},
        {"request_parameters": "{broken"},
        {"aws_region": "us-east-1"},
        {"aws_region": None},
        {"recipient_account_id": "999999999999"},
        {"recipient_account_id": None},
    ],
)
def test_one_condition_that_fails_is_enough(change: dict[str, Any]) -> None:
    """Missing values, other types, other case, broken JSON and other places match nothing."""
    assert found(table(change), *DECLARED) == []


def test_the_callers_account_stands_in_for_a_missing_recipient() -> None:
    """Old records have no recipientAccountId."""
    other = msgspec.structs.replace(canary(*DECLARED), accounts=("444455556666",))
    (sighting,) = find_calls(table({"recipient_account_id": None}), [other]).sightings
    assert sighting.place == Place(CANARY.name, "444455556666", "eu-west-1")


@pytest.mark.parametrize(
    ("field", "glob", "holds"),
    [
        ("event_name", "Run*", True),
        ("event_name", "R?nInst[a-c]nces", True),
        ("event_name", "R?nInst[!a]nces", False),
        ("event_name", "run*", False),
        ("read_only", "false", True),
        ("read_only", "f*", True),
        ("read_only", "true", False),
        ("read_only", "False", False),
        ("user_identity.type", "AssumedRole", True),
        ("user_identity.type", "Assumed*", True),
        ("user_identity.session_context.attributes.mfa_authenticated", "false", True),
        ("user_identity.on_behalf_of.userId", "u-?", True),
        ("request_parameters.dryRun", "true", True),
        ("request_parameters.minCount", "1.50", True),
        ("request_parameters.minCount", "1.5", False),
        ("request_parameters.set.name", "aé", True),
        ("request_parameters.set", "*", False),
        ("request_parameters.list", "*", False),
        ("request_parameters.set.name.more", "*", False),
        ("request_parameters.absent", "*", False),
        ("unmapped.newField", "*", False),
        ("object_key", "s3://*", True),
    ],
)
def test_each_kind_of_field_compares_by_its_text(field: str, glob: str, holds: bool) -> None:  # noqa: FBT001
    """Columns, members of structs, JSON text inside both; globs are case-sensitive."""
    assert found(table({}), Match(field, (glob,))) == (["event-1"] if holds else [])


def test_globs_of_one_condition_are_alternatives_and_conditions_add_up() -> None:
    """A list means any of; several fields mean all of."""
    rows = table({"event_id": "a", "event_name": "A"}, {"event_id": "b", "event_name": "B"}, {"event_id": "c"})
    assert found(rows, Match("event_name", ("A", "B"))) == ["a", "b"]
    assert found(rows, Match("event_name", ("A", "B")), Match("event_id", ("[b-z]",))) == ["b"]
    assert found(rows) == ["a", "b", "c"]


def test_chunked_and_empty_tables_are_read_alike() -> None:
    """Tables come in chunks, and bundles may hold no rows."""
    rows = pa.concat_tables([table({"event_id": "a"}), table({"event_id": "b"}), ARCHIVE_SCHEMA.empty_table()])
    assert found(rows, *DECLARED) == ["a", "b"]
    assert found(ARCHIVE_SCHEMA.empty_table(), *DECLARED) == []


def test_each_canary_finds_its_own_calls() -> None:
    """Several canaries may see the same call."""
    one, two = canary(*DECLARED), msgspec.structs.replace(canary(Match("event_name", ("R*",))), name="two")
    assert [each.place.canary for each in find_calls(table({}), [one, two]).sightings] == [CANARY.name, "two"]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("event_name", True),
        ("read_only", True),
        ("object_key", True),
        ("user_arn", True),
        ("user_identity.session_context.session_issuer.arn", True),
        ("user_identity.on_behalf_of.anything.below", True),
        ("request_parameters.clientToken", True),
        ("request_parameters", True),
        ("unmapped.newField", True),
        ("eventName", False),
        ("event_time", False),
        ("record_index", False),
        ("event_name.more", False),
        ("user_identity", False),
        ("user_identity.session_context", False),
        ("user_identity.no_such", False),
        ("user_identity.arn.more", False),
        ("resources.arn", False),
        ("request_parameters.", False),
        ("", False),
    ],
)
def test_known_field_tells_what_can_be_matched(name: str, known: bool) -> None:  # noqa: FBT001
    """Text, booleans, members and JSON; not times, numbers, lists or whole structs."""
    assert known_field(name) is known
    assert (match_problems(Match(name, ("x",))) == []) is known


def test_match_problems_names_the_field_and_what_may_stand_there() -> None:
    """All problems of a condition are told at once."""
    unknown, empty = match_problems(Match("eventName", ()))
    assert unknown.startswith("unknown field 'eventName': name a text or boolean column")
    assert empty == "no pattern for 'eventName': name at least one"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    )
)
def test_json_text_gives_strings_as_they_are_and_nothing_for_containers(value: Any) -> None:
    """Whatever JSON stands under a name, the answer is its text or None."""
    text = msgspec.json.encode({"x": value}).decode()
    if value is None or isinstance(value, (list, dict)):
        assert json_text(text, ("x",)) is None
    else:
        assert json_text(text, ("x",)) == (value if isinstance(value, str) else msgspec.json.encode(value).decode())


@pytest.mark.parametrize("text", ['{"x":' + "[" * 5000 + "]" * 5000 + "}", '{"x":"\\ud800"}', "", "[]", '{"x":', "NaN"])
def test_json_text_survives_hostile_text(text: str) -> None:
    """Deep nesting, lone surrogates and what is no JSON match nothing and break nothing."""
    assert json_text(text, ("x",)) is None


def test_a_batch_without_canaries_costs_milliseconds() -> None:
    """The literal conditions cut 100,000 rows down before anything is looked at one by one."""
    rows = pa.concat_tables([table({"event_name": f"Describe{number}"}) for number in range(50)] * 2000)
    rows = rows.combine_chunks()
    assert found(rows, *DECLARED) == []
    started = time.process_time()
    assert found(rows, *DECLARED) == []
    assert time.process_time() - started < 0.1
