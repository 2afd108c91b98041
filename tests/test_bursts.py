"""Bursts of findings: many that are alike are one page."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Alert, Severity, Status
from schemas.times import MINUTE_US, parse_iso_us
from transforms.bursts import BURST_US, Bursts
from transforms.correlation import stories_of, tell_story

NOON_US = parse_iso_us("2026-11-24T12:00:00Z")
CHANGED = Alert(
    alert_id="",
    incident_id="",
    kind="trail.tampered",
    status=Status.OPENED,
    severity=Severity.HIGH,
    title="A bucket's policy was changed",
    account_id="111122223333",
    region="us-east-1",
    window_start_us=NOON_US,
    window_end_us=NOON_US,
    detected_us=NOON_US,
    confidence="certain",
    rule="put_bucket_policy",
    actor="arn:aws:iam::111122223333:user/terraform",
)
CLOSED = {"status": Status.RESOLVED, "rule": None, "actor": None}


def found(name: str, minutes: float = 0, **fields: Any) -> Alert:
    """What a rule found on a bucket of that name."""
    at_us = NOON_US + round(minutes * MINUTE_US)
    ids = {"alert_id": f"{name} at {minutes} {fields.get('status', '')}", "incident_id": name}
    return msgspec.structs.replace(CHANGED, **ids, resource=name, detected_us=at_us, **fields)


def told(*calls: list[Alert]) -> list[Alert]:
    """What some calls write, each by a process that begins anew."""
    written: list[Alert] = []
    for alerts in calls:
        story = stories_of(written).get("account 111122223333", Bursts())
        written += tell_story(story, alerts, {})
    return written


def pages(alerts: list[Alert]) -> list[str]:
    """The incidents of those that page."""
    return [alert.incident_id for alert in alerts if alert.suppressed_by is None]


def test_fifty_buckets_are_one_page() -> None:
    """The first of what is alike pages, by time and then by incident; the rest is quiet because of it."""
    written = told([found(f"bucket-{number:02}", number / 10) for number in reversed(range(50))])
    assert pages(written) == ["bucket-00"]
    assert [alert.suppressed_by for alert in written[1:]] == ["bucket-00"] * 49
    assert len({alert.incident_id for alert in written}) == 50


def test_a_burst_ends_after_a_quarter_of_an_hour() -> None:
    """Counted from its first, not from the last; then another begins."""
    written = told([found("a")], [found("b", 10)], [found("c", 15)], [found("d", 15.1)], [found("e", 30)])
    assert pages(written) == ["a", "d"]
    assert [alert.suppressed_by for alert in written] == [None, "a", "a", None, "d"]
    assert BURST_US == 15 * MINUTE_US


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "trail.attempted"},
        {"rule": "delete_bucket"},
        {"actor": "arn:aws:iam::111122223333:user/mallory"},
        {"severity": Severity.MEDIUM},
        {"severity": Severity.CRITICAL},
    ],
)
def test_what_differs_pages(other: dict[str, Any]) -> None:
    """Another kind, rule, actor or severity is no part of a burst."""
    assert pages(told([found("a"), found("b", 1, **other)])) == ["a", "b"]


def test_other_accounts_page() -> None:
    """Each account is a story of its own."""
    alerts = [found("a"), found("b", 1, account_id="444455556666")]
    assert {*stories_of(alerts)} == {"account 111122223333", "account 444455556666"}


def test_critical_findings_always_page() -> None:
    """On the own log path each is told, however many there are."""
    some = [found(name, severity=Severity.CRITICAL) for name in "abc"]
    assert told(some) == some


def test_what_no_rule_found_pages() -> None:
    """Objects, coverage and time bombs are told one by one."""
    some = [found(name, rule=None, kind="ingest.object_changed") for name in "abc"]
    assert told(some) == some


def test_repetition_is_quiet() -> None:
    """Further calls on the same bucket are part of the burst that its incident began."""
    written = told([found("a"), found("a", 1, status=Status.UPDATED)], [found("a", 20, status=Status.UPDATED)])
    assert [alert.suppressed_by for alert in written] == [None, "a", None]


def test_what_ends_a_quiet_incident_is_quiet() -> None:
    """Nobody was told that it began; of those that have paged, also later, people are told of the end."""
    ends = [found(name, 60, **CLOSED) for name in "abc"]
    written = told([found("a"), found("b"), found("c")], [found("c", 30, status=Status.UPDATED)], ends)
    assert [(alert.incident_id, alert.suppressed_by) for alert in written[-3:]] == [
        ("a", None),
        ("b", "a"),
        ("c", None),
    ]
    again = told([found("a"), found("b")], [found("b", 60, **CLOSED)], [found("b", 120)], [found("b", 130, **CLOSED)])
    assert [alert.suppressed_by for alert in again] == [None, "a", "a", None, None]


def test_maintenance_comes_first() -> None:
    """What is in maintenance stays that, and begins no burst."""
    quiet = found("a", suppressed_by="maintenance:move")
    written = told([quiet, found("b", 1), found("c", 2)], [found("a", 60, **CLOSED)])
    assert [alert.suppressed_by for alert in written] == ["maintenance:move", None, "b", "maintenance:move"]


def test_what_comes_after_a_later_one_pages() -> None:
    """The first of a burst is not known before it is there: rather two pages than none."""
    assert pages(told([found("b", 5)], [found("a")], [found("c", 6)], [found("d", 4)])) == ["b", "a"]


FINDINGS = st.lists(
    st.builds(
        found,
        st.sampled_from("abcdef"),
        st.integers(0, 40),
        severity=st.sampled_from([Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL]),
        status=st.sampled_from([Status.OPENED, Status.UPDATED]),
    ),
    unique_by=lambda alert: alert.alert_id,
    max_size=12,
)


@given(FINDINGS, st.sets(st.integers(0, 40), max_size=4))
def test_cuts_do_not_matter(alerts: list[Alert], cuts: set[int]) -> None:
    """However what comes in order of detection is cut into runs, the same is quiet, and because of the same."""
    edges = sorted(NOON_US + cut * MINUTE_US for cut in cuts)
    calls: list[list[Alert]] = [[] for _ in range(len(edges) + 1)]
    for alert in alerts:
        calls[sum(edge <= alert.detected_us for edge in edges)].append(alert)
    assert told(*calls) == told(alerts)


@given(FINDINGS, st.randoms(use_true_random=False))
def test_nothing_is_quiet_without_a_page(alerts: list[Alert], random: Any) -> None:
    """In whatever order findings come: for what is quiet one that is alike had paged shortly before."""
    random.shuffle(alerts)
    written = told(*([alert] for alert in alerts))
    assert {alert.alert_id for alert in written} == {alert.alert_id for alert in alerts}
    for number, alert in enumerate(written):
        if alert.suppressed_by is not None:
            assert alert.severity is not Severity.CRITICAL
            assert any(
                (each.incident_id, each.severity, each.suppressed_by) == (alert.suppressed_by, alert.severity, None)
                and 0 <= alert.detected_us - each.detected_us <= BURST_US
                for each in written[:number]
            )
