"""Alerts on trail modifications: one an event and scope, whatever the order and number of its copies."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import msgspec
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Alert, Evidence, Severity, Status
from schemas.tampering import Tampering
from schemas.trails import Ownership
from transforms.modification_incidents import incident_id_of, kind_of
from transforms.modifications import DetectTrailModifications, alerts_of

STOPPED = Tampering(
    rule="trail_stopped",
    rule_title="Trail logging stopped",
    scope="trail",
    severity=Severity.CRITICAL,
    succeeded=True,
    event_id="e-1",
    event_name="StopLogging",
    event_us=1_000_000,
    delivered_us=300_000_000,
    account_id="111122223333",
    region="eu-west-1",
    resource="org-trail",
    ownership=Ownership.OWN,
    actor="arn:aws:iam::111122223333:user/eve",
    error_code=None,
    object_key="a.json.gz",
    mitre=("T1562.008",),
    event_source="cloudtrail.amazonaws.com",
    source_ip_address="192.0.2.7",
)


def like(**changes: Any) -> Tampering:
    """The stopped trail with some fields changed."""
    return msgspec.structs.replace(STOPPED, **changes)


REFUSED = like(succeeded=False, error_code="AccessDenied", event_id="e-2")


def only_alert(*found: Tampering) -> Alert:
    """The one alert of an unknown incident."""
    (alert,) = alerts_of(found, known=False)
    return alert


def test_alert_says_what_happened() -> None:
    """Every field of the alert, for one call that succeeded."""
    alert = only_alert(STOPPED)
    assert alert == Alert(
        alert_id=alert.alert_id,
        incident_id=incident_id_of(STOPPED),
        kind="trail.tampered",
        status=Status.OPENED,
        severity=Severity.CRITICAL,
        title="Trail logging stopped: StopLogging on org-trail in 111122223333 "
        "by arn:aws:iam::111122223333:user/eve from 192.0.2.7",
        account_id="111122223333",
        region="eu-west-1",
        window_start_us=1_000_000,
        window_end_us=1_000_000,
        detected_us=300_000_000,
        confidence="certain",
        rule="trail_stopped",
        actor="arn:aws:iam::111122223333:user/eve",
        resource="org-trail",
        evidence=Evidence(("e-1",), ("a.json.gz",)),
        mitre=("T1562.008",),
        runbook="docs/runbooks/trail-tampered.md",
    )
    assert len(alert.alert_id) == len(alert.incident_id) == 32
    assert alert.alert_id != alert.incident_id


@pytest.mark.parametrize(
    ("scope", "succeeded", "kind"),
    [
        ("trail", True, "trail.tampered"),
        ("trail", False, "trail.attempted"),
        ("watcher", True, "watcher.tampered"),
        ("watcher", False, "watcher.attempted"),
        ("rule", True, "rule.matched"),
        ("rule", False, "rule.attempted"),
    ],
)
def test_kinds(scope: str, succeeded: bool, kind: str) -> None:  # noqa: FBT001 - a parameter of pytest's
    """The kind tells the scope, and whether the call went through."""
    assert kind_of(like(scope=scope, succeeded=succeeded)) == kind


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("AccessDenied", "was refused (AccessDenied)"),
        ("Client.UnauthorizedOperation", "was refused (Client.UnauthorizedOperation)"),
        ("TrailNotFoundException", "failed (TrailNotFoundException)"),
        (None, "failed"),
    ],
)
def test_attempts_say_how_they_ended(code: str | None, ending: str) -> None:
    """An attempt is one level less severe, and its title says refused or failed."""
    alert = only_alert(like(succeeded=False, error_code=code))
    assert alert.title.endswith(f"from 192.0.2.7 {ending}")
    assert (alert.severity, alert.runbook) == (Severity.HIGH, "docs/runbooks/trail-attempted.md")


def test_attempts_are_at_least_info() -> None:
    """Severity has a floor."""
    assert only_alert(like(succeeded=False, severity=Severity.INFO)).severity is Severity.INFO


def test_most_severe_rule_names_the_event() -> None:
    """Of several rules the most severe speaks, of equals the first by name; the others are mentioned."""
    found = [
        like(rule="b", rule_title="B"),
        like(rule="c", rule_title="C", mitre=("T1070",)),
        like(rule="a", rule_title="A", severity=Severity.LOW),
    ]
    alert = only_alert(*found)
    assert (alert.rule, alert.severity, alert.mitre) == ("b", Severity.CRITICAL, ("T1070", "T1562.008"))
    assert alert.title.startswith("B: StopLogging")
    assert alert.title.endswith("(also a, c)")


def test_copies_of_an_event_are_one_alert() -> None:
    """A second trail's copy adds its object to the evidence, and the first delivery counts."""
    alert = only_alert(STOPPED, like(object_key="b.json.gz", delivered_us=200_000_000), STOPPED)
    assert alert.evidence == Evidence(("e-1",), ("a.json.gz", "b.json.gz"))
    assert alert.detected_us == 200_000_000
    assert alert.alert_id == only_alert(STOPPED).alert_id


def test_events_without_id_are_told_apart_by_place() -> None:
    """Without an event id, object, time and name say which event it is."""
    found = [like(event_id=None), like(event_id=None), like(event_id=None, object_key="b.json.gz")]
    alerts = alerts_of(found, known=False)
    assert [alert.evidence for alert in alerts] != [alerts[0].evidence] * 2
    assert len({alert.alert_id for alert in alerts}) == len(alerts) == 2


def test_first_event_opens_and_the_rest_update() -> None:
    """Time, then id, decides which event opened the incident; of a known one none did."""
    found = [like(event_id="e-3", event_us=5), like(event_id="e-2", event_us=5), like(event_id="e-9", event_us=9)]
    alerts = alerts_of(found, known=False)
    assert [(alert.status, alert.evidence.event_ids) for alert in alerts] == [
        (Status.OPENED, ("e-2",)),
        (Status.UPDATED, ("e-3",)),
        (Status.UPDATED, ("e-9",)),
    ]
    assert {alert.status for alert in alerts_of(found, known=True)} == {Status.UPDATED}
    assert [alert.alert_id for alert in alerts_of(found, known=True)] == [alert.alert_id for alert in alerts]


@pytest.mark.parametrize(
    "other",
    [
        {"scope": "watcher"},
        {"succeeded": False},
        {"resource": "other"},
        {"account_id": "444455556666"},
        {"region": "us-east-1"},
        {"resource": None},
    ],
)
def test_incidents_differ(other: dict[str, Any]) -> None:
    """Kind, resource, account and region tell incidents apart."""
    assert incident_id_of(like(**other)) != incident_id_of(STOPPED)


def test_rule_actor_and_time_share_an_incident() -> None:
    """Who, when and by which rule make no new incident."""
    assert incident_id_of(like(rule="x", actor="y", event_us=7, event_id="z")) == incident_id_of(STOPPED)


def test_without_resource_the_service_is_the_incident() -> None:
    """Calls that name no resource gather by their service."""
    ec2, s3 = (like(resource=None, event_source=f"{name}.amazonaws.com") for name in ("ec2", "s3"))
    assert incident_id_of(ec2) != incident_id_of(s3)
    assert only_alert(ec2).title.startswith("Trail logging stopped: StopLogging in 111122223333")


def test_hostile_names_stay_on_one_short_line() -> None:
    """Names from events cannot break the title's line or grow without bound."""
    title = only_alert(like(actor="eve\n\u202e[CRITICAL]\x00" + "x" * 5_000, resource="\t")).title
    assert title.isprintable()
    assert "eve [CRITICAL] xxx" in title
    assert len(title) < 400


def test_evidence_is_bounded() -> None:
    """At most twenty objects are named, the first by key."""
    keys = [f"{number:03}.json.gz" for number in range(50)]
    assert only_alert(*(like(object_key=key) for key in reversed(keys))).evidence.object_keys == tuple(keys[:20])


findings = st.builds(
    like,
    event_id=st.sampled_from(("e-1", "e-2", None)),
    event_us=st.integers(0, 3),
    rule=st.sampled_from("ab"),
    severity=st.sampled_from(Severity),
    delivered_us=st.integers(0, 2),
    object_key=st.sampled_from("xy"),
)


def test_recovery_raises_nothing() -> None:
    """A call that brings back sight raises no alert, refused or not, and takes no part in another's."""
    recovery = like(scope="recovery", rule="trail_logging_started", event_name="StartLogging")
    assert alerts_of([recovery, msgspec.structs.replace(recovery, succeeded=False)], known=False) == []
    assert alerts_of([recovery, STOPPED], known=False) == [only_alert(STOPPED)]


@given(found=st.lists(findings, max_size=8), data=st.data())
def test_order_and_repetition_change_nothing(found: list[Tampering], data: st.DataObject) -> None:
    """Any permutation with any repetitions gives the very same alerts, one an event, with one opening."""
    repeated = found + (data.draw(st.lists(st.sampled_from(found), max_size=5)) if found else [])
    alerts = alerts_of(found, known=False)
    assert alerts_of(data.draw(st.permutations(repeated)), known=False) == alerts
    assert len({alert.alert_id for alert in alerts}) == len(alerts)
    assert [alert.status for alert in alerts] == [Status.OPENED, *[Status.UPDATED] * len(alerts)][: len(alerts)]


def test_transform_groups_by_incident() -> None:
    """The transform gives each incident its own opening, and knows those that the lake has open."""
    known = like(resource="known-trail", event_id="e-7")
    found = [STOPPED, REFUSED, known, like(rule="another"), like(event_id="e-8", event_us=2_000_000), STOPPED]
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        alerts = pipeline | beam.Create(found) | DetectTrailModifications(frozenset({incident_id_of(known)}))
        summary = alerts | beam.Map(
            lambda alert: (alert.kind, alert.resource, alert.evidence.event_ids, alert.status.value)
        )
        assert_that(
            summary,
            equal_to(
                [
                    ("trail.tampered", "org-trail", ("e-1",), "opened"),
                    ("trail.tampered", "org-trail", ("e-8",), "updated"),
                    ("trail.attempted", "org-trail", ("e-2",), "opened"),
                    ("trail.tampered", "known-trail", ("e-7",), "updated"),
                ]
            ),
        )
