"""What evaluation reports of rows, its prefilter, and hostile events."""

from __future__ import annotations

import pickle
from typing import Any

import pyarrow as pa
import pytest
from sigma_reference import DELIVERED_US, archive_table, slow_holds

from schemas.alerts import Severity
from schemas.tampering import Tampering
from schemas.times import parse_iso_us
from schemas.trails import LogPath, Ownership, Trail
from transforms.sigma import RuleSet, events, parse_rules
from transforms.sigma.bounds import required_texts, residue
from transforms.sigma.candidates import Known
from transforms.sigma.columns import required_literal
from transforms.sigma.predicate import AllOf, AnyOf, FieldTest, Node, Not, Null, Text, Wildcard

RULE = """
title: Trail stopped
level: critical
logsource: {{product: aws, service: cloudtrail}}
trailcanary: {{scope: {scope}, category: {category}}}
tags: [attack.t1562.008]
detection:
    sel: {{eventSource: cloudtrail.amazonaws.com, eventName: StopLogging}}
    condition: sel
"""
STOP: dict[str, Any] = {
    "eventTime": "2026-01-01T00:00:05Z",
    "eventID": "e-1",
    "eventSource": "cloudtrail.amazonaws.com",
    "eventName": "StopLogging",
    "awsRegion": "eu-west-1",
    "sourceIPAddress": "192.0.2.7",
    "recipientAccountId": "111122223333",
    "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/eve", "accountId": "111122223333"},
    "requestParameters": {"name": "org-trail"},
}
OURS = LogPath((Trail("org-trail", "111122223333", "eu-west-1", "security-logs"),))


def rules(scope: str = "trail", category: str = "trail", detection: str | None = None) -> RuleSet:
    """One rule, called `stopped`."""
    return parse_rules({"stopped.yml": rule_text(scope, category, detection)})


def rule_text(scope: str = "trail", category: str = "trail", detection: str | None = None) -> str:
    """A rule's YAML, with another detection if one is given."""
    text = RULE.format(scope=scope, category=category)
    return text if detection is None else text[: text.index("detection:")] + detection


def only(found: list[Tampering]) -> Tampering:
    """The single finding."""
    (one,) = found
    return one


def test_finding() -> None:
    """A finding carries what the alert will say, from the record, the rule and the row."""
    found = only(rules().evaluate(archive_table([{"eventName": "Other"}, STOP]), OURS))
    assert found == Tampering(
        rule="stopped",
        rule_title="Trail stopped",
        scope="trail",
        severity=Severity.CRITICAL,
        succeeded=True,
        event_id="e-1",
        event_name="StopLogging",
        event_us=parse_iso_us("2026-01-01T00:00:05Z"),
        delivered_us=DELIVERED_US,
        account_id="111122223333",
        region="eu-west-1",
        resource=found.resource,
        ownership=Ownership.OWN,
        actor="arn:aws:iam::111122223333:user/eve",
        error_code=None,
        object_key="object-1",
        mitre=("T1562.008",),
        event_source="cloudtrail.amazonaws.com",
        source_ip_address="192.0.2.7",
    )
    assert found.resource is not None
    assert "org-trail" in found.resource


def test_failed_call_is_an_attempt() -> None:
    """A record with an error code did not succeed."""
    found = only(rules().evaluate(archive_table([{**STOP, "errorCode": "AccessDenied"}]), OURS))
    assert (found.succeeded, found.error_code) == (False, "AccessDenied")


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        ({"invokedBy": "x.amazonaws.com", "type": "AWSService"}, "x.amazonaws.com"),
        ({"principalId": "AIDA", "userName": "eve"}, "AIDA"),
        ({"userName": "eve", "type": "IAMUser"}, "eve"),
        ({"type": "Root"}, "Root"),
        ({"arn": 5, "type": [None], "userName": {"a": 1}}, None),
        (None, None),
        ("eve", None),
    ],
)
def test_actor(identity: Any, actor: str | None) -> None:
    """The actor is the best name that the identity has, if any."""
    assert only(rules().evaluate(archive_table([{**STOP, "userIdentity": identity}]), OURS)).actor == actor


def test_account_falls_back_to_the_caller() -> None:
    """Without a recipient the calling account stands in."""
    record = {**STOP, "userIdentity": {"accountId": "444455556666"}}
    del record["recipientAccountId"]
    assert only(rules().evaluate(archive_table([record]), OURS)).account_id == "444455556666"


@pytest.mark.parametrize(
    ("scope", "call", "ownership", "severity"),
    [
        ("trail", ("cloudtrail", "StopLogging"), "own", Severity.CRITICAL),
        ("trail", ("cloudtrail", "StopLogging"), "unknown", Severity.CRITICAL),
        ("trail", ("cloudtrail", "DeleteChannel"), "other", Severity.HIGH),
        ("trail", ("organizations", "DetachPolicy"), "unknown", Severity.CRITICAL),
        ("trail", ("s3", "DeleteBucket"), "own", Severity.CRITICAL),
        ("trail", ("s3", "DeleteBucket"), "unknown", Severity.LOW),
        ("trail", ("kms", "DisableKey"), "other", Severity.INFO),
        ("trail", ("sqs", "PurgeQueue"), "unknown", Severity.LOW),
        ("trail", ("iam", "DeleteRole"), "unknown", Severity.LOW),
        ("trail", ("iam", "DeleteServiceLinkedRole"), "unknown", Severity.CRITICAL),
        ("watcher", ("s3", "PutBucketLogging"), "other", Severity.CRITICAL),
        ("recovery", ("kms", "EnableKey"), "other", Severity.CRITICAL),
    ],
)
def test_ownership_caps_severity(
    scope: str, call: tuple[str, str], ownership: str, severity: Severity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose the resource is bounds how loud a trail rule may be, most of all where the call is everyday business."""
    monkeypatch.setattr(events, "derive", lambda *_: {"derived.ownership": ownership, "derived.resource": "r"})
    source, name = call
    detection = f"detection: {{sel: {{eventSource: {source}.amazonaws.com, eventName: {name}}}, condition: sel}}"
    record = {**STOP, "eventSource": f"{source}.amazonaws.com", "eventName": name}
    found = only(rules(scope, detection=detection).evaluate(archive_table([record]), OURS))
    assert (found.severity, found.ownership, found.resource) == (severity, Ownership(ownership), "r")


def test_derived_fields_in_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules may ask for derived fields like for any other."""
    monkeypatch.setattr(events, "derive", lambda record, _: {"derived.log_object": record["eventID"] == "e-1"})
    detection = "detection: {sel: {eventName: StopLogging, derived.log_object: true}, condition: sel}"
    found = rules(detection=detection).evaluate(archive_table([STOP, {**STOP, "eventID": "e-2"}]), OURS)
    assert only(found).event_id == "e-1"


def test_order_is_rows_then_rules() -> None:
    """Findings come in row order, and in rule order within a row."""
    text = RULE.format(scope="trail", category="trail")
    both = parse_rules({"b.yml": text, "a.yml": text})
    found = both.evaluate(archive_table([STOP, {**STOP, "eventID": "e-0"}]), OURS)
    assert [(item.event_id, item.rule) for item in found] == [("e-1", "a"), ("e-1", "b"), ("e-0", "a"), ("e-0", "b")]


def test_chunked_sliced_and_empty_tables() -> None:
    """How Arrow lays a table out makes no difference."""
    table = archive_table([STOP, {"eventName": "x"}, {**STOP, "eventID": "e-2"}])
    expected = rules().evaluate(table, OURS)
    assert len(expected) == 2
    assert rules().evaluate(pa.concat_tables([table.slice(0, 1), table.slice(1)]), OURS) == expected
    assert rules().evaluate(pa.concat_tables([table, table]).slice(3), OURS) == expected
    assert rules().evaluate(table.slice(0, 0), OURS) == []
    assert rules().evaluate(table.schema.empty_table(), OURS) == []


def test_pickled_rules_are_the_same() -> None:
    """Every kind of test comes back as it was, numbers beyond 64 bits and wildcards too, and is shared in a process."""
    compiled = rules(
        detection=f"detection: {{s: {{a: {2**70}, b: 1.5, c: null, 'd|gt': 3, 'e|cidr': 192.0.2.0/24, f: 'x*y?', "
        "'g|exists': true, 'h|fieldref': a, 'i|re': '^x'}, k: ['word'], condition: s and not k}"
    )
    packed = pickle.dumps(compiled)
    assert pickle.loads(packed) == compiled  # noqa: S301 - our own bytes
    assert pickle.loads(packed) is pickle.loads(packed)  # noqa: S301


def test_compiled_rules_pickle() -> None:
    """A rule set crosses process boundaries, before and after it was used."""
    compiled = rules(
        detection="detection: {s: {eventName|contains: 'S?op*g'}, t: {userAgent|re: '^x'}, condition: s and not t}"
    )
    table = archive_table([STOP])
    before = pickle.loads(pickle.dumps(compiled))  # noqa: S301 - our own bytes
    expected = compiled.evaluate(table, OURS)
    assert len(expected) == 1
    after = pickle.loads(pickle.dumps(compiled))  # noqa: S301 - our own bytes
    assert before == after == compiled
    assert before.evaluate(table, OURS) == after.evaluate(table, OURS) == expected


HOSTILE = (
    *([], [[]], ["x", None, 5, {}], "text", "", 5, -1.5, 10**300, True, {}),
    *(
        {"name": None},
        {"name": [[["org-trail"]]]},
        {"name": "\ud800 \x00 \u202e"},
        {"": {"": ""}},
        {"name": "x" * 200_000},
    ),
)


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_parameters(value: Any) -> None:
    """Whatever requestParameters is, evaluation goes on, and agrees with the reference."""
    detection = (
        "detection: {s: {requestParameters.name|contains: org}, t: {requestParameters|contains: text}, "
        "u: {requestParameters.name.name|startswith: x}, v: {requestParameters.name|re: '[x-z]{3}'}, "
        "condition: 1 of them}"
    )
    record = {**STOP, "requestParameters": value}
    found = rules(detection=detection).evaluate(archive_table([record]), OURS)
    full = RULE.format(scope="trail", category="trail")
    assert bool(found) == slow_holds(full[: full.index("detection:")] + detection, record)
    assert len(rules().evaluate(archive_table([record]), OURS)) == 1


@pytest.mark.parametrize(
    "field", ["eventID", "eventSource", "awsRegion", "sourceIPAddress", "errorCode", "recipientAccountId"]
)
@pytest.mark.parametrize("value", [5, ["x"], {"a": {"b": None}}, True])
def test_hostile_members(field: str, value: Any) -> None:
    """Members of odd types neither crash evaluation nor reach the finding."""
    detection = "detection: {s: {eventName: StopLogging}, condition: s}"
    found = only(rules(detection=detection).evaluate(archive_table([{**STOP, field: value}]), OURS))
    texts = (
        found.event_id,
        found.event_source,
        found.region,
        found.source_ip_address,
        found.error_code,
        found.account_id,
    )
    assert all(text is None or isinstance(text, str) for text in texts)


def test_unpaired_surrogates_do_not_reach_findings() -> None:
    """Text that no encoder takes is replaced before it leaves."""
    record = {**STOP, "userIdentity": {"arn": "eve\ud800", "type": "x"}}
    assert only(rules().evaluate(archive_table([record]), OURS)).actor == "eve?"


def test_unreadable_json_hides_no_event() -> None:
    """A record whose parameters Python cannot parse is still judged by its other members, and so are its neighbours."""
    table = archive_table([STOP, STOP])
    nested = "[" * 100_000 + "]" * 100_000
    column = table.schema.get_field_index("request_parameters")
    table = table.set_column(column, "request_parameters", pa.array([nested, '{"name": "org-trail"}']))
    found = rules().evaluate(table, OURS)
    assert [item.object_key for item in found] == ["object-0", "object-1"]


def test_odd_types_cannot_slip_past_the_prefilter() -> None:
    """A name that no column can hold is judged from `unmapped`."""
    record = {**STOP, "eventName": ["Other", "StopLogging"], "userIdentity": {"arn": ["x"], "type": "t"}}
    detection = "detection: {s: {eventName: StopLogging, userIdentity.arn: x}, condition: s}"
    assert len(rules(detection=detection).evaluate(archive_table([record]), OURS)) == 1


@pytest.mark.parametrize(
    ("written", "holds"),
    [
        ('{"bucketName":"security-logs"}', True),
        ('{"bucketName":"SECURITY-LOGS"}', True),
        (r'{"bucketName":"\u0073ecurity-logs"}', True),
        ('{ "bucketName" : [ null, "security-logs" ] }', True),
        (r'{"bucket\u004eame":"security-logs"}', True),
        ('{"bucketName":"security\u2010logs"}', False),
        ('{"bucketName":"other"}', False),
        ("null", False),
        (None, False),
    ],
)
def test_json_pushdown_is_sound(written: str | None, holds: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """However the JSON spells the literal, the search of the column finds it."""
    monkeypatch.setattr("transforms.sigma.candidates._FEW", 0)
    table = archive_table([STOP])
    column = table.schema.get_field_index("request_parameters")
    table = table.set_column(column, "request_parameters", pa.array([written], pa.string()))
    detection = "detection: {s: {eventName: StopLogging, requestParameters.bucketName: security-logs}, condition: s}"
    assert bool(rules(detection=detection).evaluate(table, OURS)) is holds


def test_prefilter_spares_what_cannot_match(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, text columns (also under `not`) and JSON literals each keep rows from becoming Python objects."""
    monkeypatch.setattr("transforms.sigma.candidates._FEW", 0)
    put = {"eventSource": "s3.amazonaws.com", "eventName": "PutObject"}
    quiet: list[dict[str, Any]] = [
        {"eventSource": "s3.amazonaws.com", "eventName": "GetObject"},
        {
            "eventSource": "ec2.amazonaws.com",
            "eventName": "PutObject",
            "requestParameters": {"bucketName": "security-logs"},
        },
        {**put, "requestParameters": {"bucketName": "other"}},
        {
            **put,
            "requestParameters": {"bucketName": "security-logs"},
            "userIdentity": {"invokedBy": "cloudtrail.amazonaws.com"},
        },
        put,
    ]
    detection = (
        "detection: {s: {eventSource: s3.amazonaws.com, eventName: [PutObject, DeleteObject], "
        "requestParameters.bucketName: security-logs}, f: {userIdentity.invokedBy: cloudtrail.amazonaws.com}, "
        "condition: s and not f}"
    )
    compiled = rules(detection=detection)
    assert compiled._prefilter.candidates(archive_table(quiet)) == {}
    loud = {**put, "requestParameters": {"bucketName": "security-logs"}}
    assert compiled._prefilter.candidates(archive_table([*quiet, loud])) == {5: [0]}


def test_prefilter_reads_text_columns() -> None:
    """Tests of text columns spare rows also where no JSON is searched, negated ones too."""
    detection = (
        "detection: {s: {eventName: GetObject, userIdentity.arn|re: 'user/e.e$'}, f: {errorCode: null}, "
        "condition: s and not f}"
    )
    get = {"eventName": "GetObject", "userIdentity": {"arn": "arn:aws:iam::111122223333:user/eve"}}
    adam = {"arn": "arn:aws:iam::111122223333:user/adam"}
    records = [get, {**get, "errorCode": "AccessDenied"}, {**get, "errorCode": "AccessDenied", "userIdentity": adam}]
    assert rules(detection=detection)._prefilter.candidates(archive_table(records)) == {1: [0]}


@pytest.mark.parametrize(
    ("parts", "literal"),
    [
        (("arn:aws:s3:::security-logs/awslogs",), "security-logs"),
        (("ab",), None),
        (("5000",), None),
        (("1e+16",), None),
        (("infinite",), "infinite"),
        (("inf",), None),
        (('"x"',), None),
        (("größe",), None),
    ],
)
def test_required_literals(parts: tuple[str, ...], literal: str | None) -> None:
    """Only runs that every JSON rendering shares are searched for."""
    assert required_literal(Text(parts)) == literal


def test_conditions_are_plain_data() -> None:
    """A compiled condition compares and hashes by content."""
    one, other = rules().rules[0].condition, rules().rules[0].condition
    assert one == other
    assert hash(one) == hash(other)
    assert one != FieldTest(("eventName",), Text(("stoplogging",)))


def test_what_is_left_of_a_condition() -> None:
    """Known fields leave of a condition what they do not decide, down to a truth value."""
    stop, trail = FieldTest(("eventName",), Text(("stoplogging",))), FieldTest(("eventSource",), Text(("x",)))
    other = FieldTest(("errorCode",), Text(("accessdenied",)))
    known: Known = {("eventName",): ["StopLogging"]}
    assert residue(AllOf((stop, other)), known) == other
    assert residue(AllOf((stop, Not(stop), other)), known) is False
    assert residue(AnyOf((Not(stop), trail, other)), known) == AnyOf((trail, other))
    assert residue(AnyOf((stop, other)), known) is True
    assert residue(Not(AllOf((stop, other))), known) == Not(other)
    assert residue(AllOf((other, trail)), {("eventName",): []}) == AllOf((other, trail))


def test_rows_of_many_calls_are_told_apart() -> None:
    """Pairs of source and name that leave the same or different conditions, in any order, each get their own rules."""
    detections = [
        "detection: {s: {eventSource: s3.amazonaws.com, eventName: [PutObject, DeleteObject]}, condition: s}",
        "detection: {s: {eventName: PutObject, errorCode: AccessDenied}, condition: s}",
        "detection: {s: {userIdentity.type: Root}, condition: s}",
    ]
    compiled = parse_rules(
        {f"r{number}.yml": rule_text(detection=detection) for number, detection in enumerate(detections)}
    )
    root, denied = {"userIdentity": {"type": "Root"}}, {"errorCode": "AccessDenied"}
    records: list[dict[str, Any]] = [
        {"eventSource": "s3.amazonaws.com", "eventName": "PutObject", **denied},
        {"eventSource": "ec2.amazonaws.com", "eventName": "PutObject", **root},
        {"eventName": "DeleteObject", "eventSource": "s3.amazonaws.com", **root},
        {"eventSource": "s3.amazonaws.com"},
        {"eventSource": "ec2.amazonaws.com", "eventName": "PutObject", **denied},
        {**root},
        {"eventSource": "s3.amazonaws.com", "eventName": "DeleteObject"},
    ]
    found = compiled._prefilter.candidates(archive_table(records))
    assert found == {0: [0, 1], 1: [2], 2: [0, 2], 4: [1], 5: [2], 6: [0]}
    assert list(found) == sorted(found)


def named(*parts: str | Wildcard, cased: bool = False) -> FieldTest:
    """A test of the event's name."""
    return FieldTest(("eventName",), Text(parts, cased))


@pytest.mark.parametrize(
    ("condition", "texts"),
    [
        (named("stoplogging"), {"stoplogging"}),
        (named("StopLogging", cased=True), {"StopLogging"}),
        (named("stop", Wildcard.MANY), {"stop*"}),
        (FieldTest(("eventName",), Null()), None),
        (FieldTest(("errorCode",), Text(("stoplogging",))), None),
        (Not(named("stoplogging")), None),
        (AnyOf((named("a"), named("b"))), {"a", "b"}),
        (AnyOf((named("a"), Not(named("b")))), None),
        (AllOf((Not(named("c")), AnyOf((named("a"), named("b"))), named("a"))), {"a"}),
        (AllOf((Not(named("c")), FieldTest(("errorCode",), Null()))), None),
    ],
)
def test_required_names(condition: Node, texts: set[str] | None) -> None:
    """A name is required where no other could make the condition hold."""
    required = required_texts(condition, ("eventName",))
    assert (None if required is None else {str(text) for text in required}) == texts
