"""Each feature of Sigma's grammar, by what holds and what nearly does."""

# ruff: noqa: FBT003 - booleans are values under test
from __future__ import annotations

import base64
from typing import Any

import pytest
from sigma_reference import archive_table, slow_holds

from schemas.trails import LogPath
from transforms.sigma import parse_rules


def rule(detection: str) -> str:
    """A rule around a detection's YAML, indented by four spaces."""
    return f"title: t\nlogsource:\n    product: aws\n    service: cloudtrail\ndetection:\n{detection}"


def holding(detection: str, *records: dict[str, Any]) -> list[bool]:
    """For each record whether the rule holds, once the reference agrees."""
    text = rule(detection)
    found = {item.object_key for item in parse_rules({"r.yml": text}).evaluate(archive_table(list(records)), LogPath())}
    fast = [f"object-{number}" in found for number in range(len(records))]
    assert fast == [slow_holds(text, record) for record in records]
    return fast


def field_holding(item: str, *values: Any) -> list[bool]:
    """Whether one field test holds for each value of requestParameters.x."""
    records = [{"eventName": "E", "requestParameters": {"x": value}} for value in values]
    return holding(f"    sel:\n        requestParameters.x{item}\n    condition: sel", *records)


def test_values_compare_without_case() -> None:
    """Text equals in any case, and as a whole."""
    assert field_holding(": StopLogging", "STOPLOGGING", "stoplogging", "StopLogging2", "", None) == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_cased_compares_exactly() -> None:
    """`cased` minds the case, also under wildcards."""
    assert field_holding("|cased: Stop", "Stop", "stop") == [True, False]
    assert field_holding("|contains|cased: top", "Stopped", "STOPPED") == [True, False]


def test_list_of_values_is_or() -> None:
    """Any value of a list will do."""
    assert field_holding(": [a, b]", "a", "B", "c") == [True, True, False]


def test_all_wants_every_value() -> None:
    """`|contains|all` wants every value somewhere."""
    assert field_holding("|contains|all: [one, two]", "two-one", "one") == [True, False]


@pytest.mark.parametrize(
    ("modifier", "expected"),
    [
        ("contains", [True, True, True, False]),
        ("startswith", [True, False, False, False]),
        ("endswith", [False, False, True, False]),
    ],
)
def test_substrings(modifier: str, expected: list[bool]) -> None:
    """Substring modifiers look where they say."""
    assert field_holding(f"|{modifier}: log", "Log-x", "x-log-x", "x-LOG", "lo g") == expected


def test_wildcards() -> None:
    """`*` is any run, `?` one character, also across newlines; one literal cannot serve two segments."""
    assert field_holding(": 'a*b?c'", "a-b-c", "ab\nc", "abc", "a\nb-c") == [True, True, False, True]
    assert field_holding(": 'ab*ba'", "aba", "abba") == [False, True]
    assert field_holding(": '*aa*aa*'", "aaa", "aaaa") == [False, True]


def test_escaped_wildcards_are_literal() -> None:
    r"""`\*` and `\?` are themselves, and so is a plain backslash."""
    assert field_holding(r": 'a\*b'", "a*b", "axb") == [True, False]
    assert field_holding(r": 'a\?'", "a?", "ab") == [True, False]
    assert field_holding(r": 'a\b'", "a\\b", "ab") == [True, False]


def test_star_wants_a_value() -> None:
    """`*` holds for any value, the empty text too, but not for none."""
    assert field_holding(": '*'", "x", "", None, {"y": 1}) == [True, True, False, True]


def test_null_and_empty_text_differ() -> None:
    """`null` is no value at all, `''` is empty text."""
    assert field_holding(": null", None, "", "x", []) == [True, False, False, True]
    assert field_holding(": ''", None, "", "x") == [False, True, False]


def test_null_on_a_text_column() -> None:
    """`errorCode: null` says that the call succeeded."""
    detection = "    sel:\n        eventName: E\n        errorCode: null\n    condition: sel"
    assert holding(detection, {"eventName": "E"}, {"eventName": "E", "errorCode": "AccessDenied"}) == [True, False]


def test_exists() -> None:
    """`exists` tells a value from none."""
    assert field_holding("|exists: true", "", 0, False, None) == [True, True, True, False]
    assert field_holding("|exists: false", "", None) == [False, True]


def test_numbers() -> None:
    """A number equals itself as number and as text."""
    assert field_holding(": 5", 5, 5.0, "5", "5.0", "55", True, {"y": 5}) == [
        True,
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert field_holding(": 1.08", "1.08", "1.09") == [True, False]


def test_booleans_are_text() -> None:
    """`true` holds for true and for its text in any case."""
    assert field_holding(": true", True, "true", "True", False, 1) == [True, True, True, False, False]
    detection = "    sel:\n        readOnly: 'TRUE'\n    condition: sel"
    assert holding(detection, {"readOnly": True}, {"readOnly": False}, {}) == [True, False, False]


def test_comparisons() -> None:
    """Numeric bounds hold for numbers and numeric text, never for other things."""
    assert field_holding("|gte: 3600", 3600, "3601", 3599, "x", None, True, {"y": 1}) == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]
    assert field_holding("|lt: 2", 1, 2, "-1.5", 10**300) == [True, False, True, False]
    assert field_holding("|gt: 2", 2, 3) == [False, True]
    assert field_holding("|lte: 2", 2, 3) == [True, False]


def test_regular_expressions() -> None:
    """`re` is found anywhere, minds the case, and takes flags."""
    assert field_holding("|re: ':assumed-role/aws:.+'", "arn:assumed-role/aws:x", "arn:Assumed-role/aws:x") == [
        True,
        False,
    ]
    assert field_holding("|re|i: '^STOP'", "stop", "xstop") == [True, False]
    assert field_holding("|re|m: '^b$'", "a\nb", "ab") == [True, False]
    assert field_holding("|re|s: 'a.b'", "a\nb", "ab") == [True, False]
    assert field_holding("|re: 'a.b'", "a\nb", "a-b") == [False, True]


def test_regular_expressions_keep_their_side() -> None:
    """`re|startswith` and `re|endswith` are anchored, alternatives included."""
    records = [{"requestParameters": {"x": value}} for value in ("ax", "xa", "bx", "xb")]
    for modifier, expected in (("startswith", [0, 2]), ("endswith", [1, 3]), ("contains", [0, 1, 2, 3])):
        text = rule(f"    sel:\n        requestParameters.x|re|{modifier}: 'a|b'\n    condition: sel")
        found = parse_rules({"r.yml": text}).evaluate(archive_table(records), LogPath())
        assert [item.object_key for item in found] == [f"object-{number}" for number in expected]


def test_cidr() -> None:
    """`cidr` holds for addresses inside, of both families, and for nothing that is no address."""
    values = ("192.0.2.9", "198.51.100.1", "cloudtrail.amazonaws.com", 7, "2001:db8::1")
    assert field_holding("|cidr: 192.0.2.0/24", *values) == [True, False, False, False, False]
    assert field_holding("|cidr: ['2001:db8::/32', 198.51.100.0/24]", *values) == [False, True, False, False, True]


def test_base64() -> None:
    """The base64 modifiers compare encoded text, at any offset."""
    encoded = [base64.b64encode(b"x" * pad + b"secret-key!").decode() for pad in range(3)]
    assert field_holding("|base64offset|contains: secret-key!", *encoded, "secret-key!") == [True, True, True, False]
    assert field_holding("|base64: secret-key!", *encoded) == [True, False, False]
    assert field_holding("|utf16|base64offset|contains: ab", base64.b64encode(b"\xff\xfea\0b\0").decode(), "YWI=") == [
        True,
        False,
    ]


def test_windash() -> None:
    """`windash` takes either dash."""
    assert field_holding("|windash|contains: ' -enc'", "x /enc", "x -enc", "x enc") == [True, True, False]


def test_neq() -> None:
    """`neq` negates the item, so it holds where the field is absent."""
    assert field_holding("|neq: a", "a", "b", None) == [False, True, True]


def test_field_references() -> None:
    """`fieldref` compares two fields, as text and without case."""
    detection = "    sel:\n        recipientAccountId|fieldref: userIdentity.accountId\n    condition: not sel"
    same = {"recipientAccountId": "111122223333", "userIdentity": {"accountId": "111122223333"}}
    other = {"recipientAccountId": "111122223333", "userIdentity": {"accountId": "444455556666"}}
    assert holding(detection, same, other, {}) == [False, True, True]


def test_field_reference_sides() -> None:
    """`fieldref` with a substring modifier looks for the other field's text."""
    values = ("role-x", "x-role", "x-role-x", "x")
    records = [{"requestParameters": {"x": value, "y": "ROLE"}} for value in values]
    for modifier, expected in (("startswith", 0b1000), ("endswith", 0b0100), ("contains", 0b1110)):
        detection = (
            f"    sel:\n        requestParameters.x|fieldref|{modifier}: requestParameters.y\n    condition: sel"
        )
        assert holding(detection, *records) == [bool(expected & bit) for bit in (8, 4, 2, 1)]


def test_keywords_search_the_whole_record() -> None:
    """Keywords stand anywhere in the record, as text, number or expression."""
    record = {"eventName": "RunInstances", "requestParameters": {"deep": [{"userData": "curl 192.0.2.1"}], "n": 4711}}
    assert holding("    keywords:\n        - CURL\n        - wget\n    condition: keywords", record, {}) == [
        True,
        False,
    ]
    assert holding("    keywords:\n        '|all': [curl, wget]\n    condition: keywords", record) == [False]
    assert holding("    keywords:\n        - 'cu?l*RunInst'\n        - 4711\n    condition: keywords", record, {}) == [
        True,
        False,
    ]
    assert holding("    keywords:\n        '|re': 'cu[r]l [0-9]'\n    condition: keywords", record, {}) == [True, False]


def test_selection_forms() -> None:
    """A map wants all its fields, a list of maps any of its maps."""
    one, both = {"eventName": "A"}, {"eventName": "A", "errorCode": "X"}
    assert holding("    sel:\n        eventName: A\n        errorCode: X\n    condition: sel", one, both) == [
        False,
        True,
    ]
    listed = "    sel:\n        - eventName: B\n        - errorCode: X\n    condition: sel"
    assert holding(listed, one, both, {"eventName": "B"}) == [False, True, True]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a and b", [False, False, False, True]),
        ("a or b", [False, True, True, True]),
        ("not a and b", [False, False, True, False]),
        ("not (a and b)", [True, True, True, False]),
        ("a or b and not a", [False, True, True, True]),
        ("1 of x_*", [False, True, True, True]),
        ("any of x_*", [False, True, True, True]),
        ("all of x_*", [False, False, False, True]),
        ("1 of them", [False, True, True, True]),
        ("all of them", [False, False, False, True]),
        ("not 1 of x_*", [True, False, False, False]),
    ],
)
def test_conditions(condition: str, expected: list[bool]) -> None:
    """Operators bind as Sigma says, and quantifiers count the selections that they name."""
    detection = (
        "    a: &a\n        eventName: A\n    b: &b\n        errorCode: B\n    x_1: *a\n    x_2: *b\n"
        f"    condition: {condition}"
    )
    records = [
        {"eventName": name, "errorCode": code} for name, code in (("-", "-"), ("A", "-"), ("-", "B"), ("A", "B"))
    ]
    assert holding(detection, *records) == expected


def test_several_conditions_are_or() -> None:
    """Any condition of a list makes the rule hold, and it holds once."""
    detection = "    a:\n        eventName: A\n    b:\n        errorCode: B\n    condition: [a, b]"
    assert holding(detection, {"eventName": "A", "errorCode": "B"}, {"errorCode": "B"}, {}) == [True, True, False]
    both = archive_table([{"eventName": "A", "errorCode": "B"}])
    assert len(parse_rules({"r.yml": rule(detection)}).evaluate(both, LogPath())) == 1


def test_paths_go_through_lists_and_dotted_names() -> None:
    """A path through a list means any element; member names that hold dots are reached."""
    detection = (
        "    sel:\n        requestParameters.ipPermissions.items.ipRanges.items.cidrIp: 0.0.0.0/0\n    condition: sel"
    )
    ranges = [{"items": [{"cidrIp": "192.0.2.0/24"}, {"cidrIp": "0.0.0.0/0"}]}]
    assert holding(
        detection, {"requestParameters": {"ipPermissions": {"items": [{"x": 1}, {"ipRanges": ranges}]}}}
    ) == [True]
    dotted = "    sel:\n        requestParameters.tags.aws.region: x\n    condition: sel"
    assert holding(
        dotted, {"requestParameters": {"tags": {"aws.region": "X"}}}, {"requestParameters": {"tags": {}}}
    ) == [True, False]


def test_whole_objects_are_text() -> None:
    """A field that is an object is searched as compact JSON, and with the quotes inside its strings unescaped."""
    detection = "    sel:\n        requestParameters|contains: '{}'\n    condition: sel"
    record = {"requestParameters": {"VersioningConfiguration": {"Status": "Suspended"}, "policy": '{"Effect":"Allow"}'}}
    for wanted in ("Suspended", '"Status":"Suspended"', '"Effect":"Allow"'):
        assert holding(detection.format(wanted), record, {"requestParameters": {"a": "b"}}) == [True, False]


def test_json_inside_text_is_not_parsed() -> None:
    """A JSON document in a string is text, not members."""
    detection = "    sel:\n        requestParameters.policy.Effect: Allow\n    condition: sel"
    assert holding(detection, {"requestParameters": {"policy": '{"Effect":"Allow"}'}}) == [False]
    assert holding(detection, {"requestParameters": {"policy": {"Effect": "Allow"}}}) == [True]


def test_fields_of_the_identity_and_resources() -> None:
    """Struct members and list elements of the archive are reached by the vendor's names."""
    issuer = "    sel:\n        userIdentity.sessionContext.sessionIssuer.userName: ops\n    condition: sel"
    assert holding(issuer, {"userIdentity": {"sessionContext": {"sessionIssuer": {"userName": "Ops"}}}}, {}) == [
        True,
        False,
    ]
    resource = "    sel:\n        resources.ARN|endswith: ':security-logs'\n    condition: sel"
    arns = [{"ARN": "arn:aws:s3:::other"}, {"ARN": "arn:aws:s3:::security-logs"}]
    assert holding(resource, {"resources": arns}, {"resources": arns[:1]}) == [True, False]
