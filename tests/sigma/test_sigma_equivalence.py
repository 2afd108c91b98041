"""The engine (prefilter, pushdown and all) against the slow reference, on random rules and random events."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma_reference import archive_table, slow_holds

from schemas.trails import LogPath
from transforms.sigma import candidates, events, parse_rules

WORDS = (
    "stoplogging",
    "StopLogging",
    "trail-logs",
    "TRAIL-LOGS/x",
    "a",
    "",
    "true",
    "5",
    "1e+16",
    "192.0.2.7",
    "St*p",
    "\u212a\u0130\u017f",
    '"q"\n',
)
FIELDS = (
    "eventName",
    "eventSource",
    "errorCode",
    "sourceIPAddress",
    "readOnly",
    "userIdentity",
    "userIdentity.invokedBy",
    "userIdentity.sessionContext.sessionIssuer.userName",
    "requestParameters",
    "requestParameters.bucketName",
    "requestParameters.items.name",
    "requestParameters.dotted.name",
    "resources.ARN",
    "newField.name",
    "derived.resource",
)
STRING_MODIFIERS = (
    "",
    "|contains",
    "|startswith",
    "|endswith",
    "|cased",
    "|contains|all",
    "|neq",
    "|contains|cased",
    "|base64offset|contains",
    "|windash",
)

scalars = st.one_of(
    st.sampled_from(WORDS), st.booleans(), st.integers(-2, 6), st.none(), st.sampled_from((5.0, 0.5, 1e16))
)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("name", "items", "bucketName", "dotted.name", "dotted")), inner, max_size=3)
    ),
    max_leaves=6,
)


def _sometimes(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly well-typed, at times whatever JSON can say."""
    return st.one_of(values, values, values, json_values)


words = st.sampled_from(WORDS)
identities = st.fixed_dictionaries(
    {},
    optional={
        "invokedBy": _sometimes(words),
        "arn": words,
        "sessionContext": _sometimes(
            st.fixed_dictionaries(
                {}, optional={"sessionIssuer": st.fixed_dictionaries({"userName": _sometimes(words)})}
            )
        ),
        "userIdentityExtra": words,
    },
)
records = st.fixed_dictionaries(
    {},
    optional={
        "eventName": _sometimes(words),
        "eventSource": _sometimes(words),
        "errorCode": _sometimes(words),
        "sourceIPAddress": _sometimes(words),
        "readOnly": _sometimes(st.booleans()),
        "userIdentity": _sometimes(identities),
        "userIdentity.invokedBy": words,
        "requestParameters": json_values,
        "resources": _sometimes(st.lists(st.fixed_dictionaries({"ARN": words}), max_size=2)),
        "newField": json_values,
    },
)

string_items = st.tuples(
    st.sampled_from(FIELDS),
    st.sampled_from(STRING_MODIFIERS),
    st.lists(
        st.sampled_from(
            (
                "StopLogging",
                "stop?ogging",
                "*LOG*",
                "Trail-Logs",
                "-logs",
                "/x",
                "a",
                "k",
                "s",
                r"St\*p",
                '"q"',
                "1e+16",
            )
        ),
        min_size=1,
        max_size=3,
    ),
).filter(lambda item: "base64" not in item[1] or not any("*" in word or "?" in word for word in item[2]))
other_items = st.one_of(
    st.tuples(st.sampled_from(FIELDS), st.just(""), scalars.filter(lambda value: value != "")),
    st.tuples(st.sampled_from(FIELDS), st.just("|exists"), st.booleans()),
    st.tuples(st.sampled_from(FIELDS), st.sampled_from(("|lt", "|lte", "|gt", "|gte")), st.integers(-1, 6)),
    st.tuples(st.sampled_from(FIELDS), st.just("|cidr"), st.sampled_from(("192.0.2.0/24", "2001:db8::/32"))),
    st.tuples(
        st.sampled_from(FIELDS),
        st.sampled_from(("|re", "|re|i")),
        st.sampled_from(("^stop", "log+", "a|5", "[0-9]{2}")),
    ),
    st.tuples(
        st.sampled_from(FIELDS),
        st.sampled_from(("|fieldref", "|fieldref|startswith", "|fieldref|contains")),
        st.sampled_from(FIELDS),
    ),
)
maps = st.lists(st.one_of(string_items, string_items, other_items), min_size=1, max_size=3).map(
    lambda items: {field + modifier: value for field, modifier, value in items}
)
selections = st.one_of(
    maps,
    maps,
    st.lists(maps, min_size=1, max_size=2),
    st.lists(st.sampled_from(("Stop*ging", "trail", "5", 5)), min_size=1, max_size=2),
    st.just({"|all": ["Stop", "logs"]}),
)
conditions = st.recursive(
    st.sampled_from(("sel_a", "sel_b", "other", "1 of sel_*", "all of sel_*", "1 of them", "all of them")),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(("and", "or")), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda part: f"not {part}"),
    ),
    max_leaves=4,
)


@st.composite
def rule_documents(draw: st.DrawFn) -> str:
    """A rule as YAML."""
    detection = {name: draw(selections) for name in ("sel_a", "sel_b", "other")}
    condition = draw(st.one_of(conditions, st.lists(conditions, min_size=1, max_size=2)))
    document = {
        "title": "random",
        "logsource": {"product": "aws", "service": "cloudtrail"},
        "detection": {**detection, "condition": condition},
    }
    return yaml.safe_dump(document, allow_unicode=True)


@pytest.fixture(autouse=True)
def _derived_from_user_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive a field that the reference can derive as well, and search JSON columns for however few rows."""
    monkeypatch.setattr(candidates, "_FEW", 0)
    monkeypatch.setattr(events, "derive", lambda record, _log_path: _derived(record))


def _derived(record: dict[str, Any]) -> dict[str, Any]:
    return {"derived.resource": record.get("eventName")}


@settings(max_examples=150, deadline=None)
@given(rules=st.lists(rule_documents(), min_size=1, max_size=3), some=st.lists(records, min_size=1, max_size=6))
def test_engine_equals_reference(rules: list[str], some: list[dict[str, Any]]) -> None:
    """Every rule holds for exactly the events that the plain recursion says, through prefilter and pushdown."""
    compiled = parse_rules({f"rule-{number}.yml": text for number, text in enumerate(rules)})
    found = {(item.object_key, item.rule) for item in compiled.evaluate(archive_table(some), LogPath())}
    expected = {
        (f"object-{index}", f"rule-{number}")
        for number, text in enumerate(rules)
        for index, record in enumerate(some)
        if slow_holds(text, record, _derived(record))
    }
    assert found == expected
