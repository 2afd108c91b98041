"""Every simulated attack, to the alerts that it raises, and to its row in the documents."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from folders import CONFIG, alerts, kinds, run, simulated

from pipeline.attack_docs import DOCUMENT, README, alerts_under, readme_table, row_of, rows_in, short_name
from pipeline.rule_files import load_rules
from schemas.alerts import Alert, Severity
from schemas.times import MINUTE_US, parse_iso_us
from transforms.simulation import ATTACKS

MEMBER, VICTIM, SECURITY = "111122223333", "444455556666", "999999999999"
BEFORE_END = "2026-11-01T02:15:00Z"  # the last slots' calls come in time, held ones after them
ATTACKED_US = parse_iso_us("2026-11-01T01:10:00Z")
RULES = load_rules(())
ROWS = {row.attack: row for row in rows_in(DOCUMENT.read_text("utf-8"))}

Said = tuple[str, str | None, str, str | None, str | None, str]
"""Kind, rule or canary, severity, account, resource, status."""


def by(
    rule: str, on: str | None, account: str = VICTIM, severity: str = "critical", kind: str = "trail.tampered"
) -> set[Said]:
    """What a rule finds."""
    return {(kind, rule, severity, account, on, "opened")}


def canary(kind: str, severity: str, *statuses: str, accounts: Iterable[str] = (VICTIM,)) -> set[Said]:
    """What canaries of these accounts tell."""
    return {(kind, "dry-run-instances", severity, account, None, each) for account in accounts for each in statuses}


def all_of(account: str, *statuses: str) -> set[Said]:
    """What the incident of all canaries of an account tells."""
    return {("canary.missing", None, "critical", account, None, each) for each in statuses}


def on_path(kind: str, on: str, account: str | None, status: str = "opened") -> set[Said]:
    """What the state of the log path tells."""
    return {(kind, None, "critical", account, on, status)}


TRAIL, BUCKET, KEY, LOG = "trail/org-trail", "security-logs", "key/…", "security-logs/AWSLogs/…"
REGION_SILENT = canary("canary.missing", "critical", "opened")
SILENT = REGION_SILENT | all_of(VICTIM, "opened")
MEMBERS = canary("canary.missing", "critical", "opened", accounts=(VICTIM, SECURITY))
MEMBERS |= all_of(VICTIM, "opened") | all_of(SECURITY, "opened")
BLIND = canary("canary.unsure", "high", "opened", accounts=(MEMBER, VICTIM, SECURITY))
BLIND |= {("ingest.silent", None, "critical", None, None, "opened")}
UNCOVERED = on_path("trail.coverage_lost", TRAIL, None)
EACH_SLOT = ("opened", "updated")
EXPECTED: dict[str, set[Said]] = {
    "stop-logging": by("trail_logging_stopped", TRAIL) | UNCOVERED | SILENT,
    "delete-trail": by("trail_deleted", TRAIL) | UNCOVERED | SILENT,
    "narrow-selectors": by("event_selectors_read_write_narrowed", TRAIL) | UNCOVERED | SILENT,
    "advanced-selectors": by("event_selectors_advanced_narrowed", TRAIL) | UNCOVERED | SILENT,
    "exclude-kms": by("event_selectors_sources_excluded", TRAIL, severity="high"),
    "drop-data-events": by("event_selectors_data_dropped", TRAIL, severity="high"),
    "insights-off": by("insight_selectors_reduced", TRAIL, severity="medium"),
    "redirect-bucket": by("trail_diverted", TRAIL) | UNCOVERED | SILENT,
    "single-region": by("trail_single_region", TRAIL) | UNCOVERED | REGION_SILENT,
    "global-events-off": by("trail_global_events_off", TRAIL),
    "organization-off": by("trail_organization_off", TRAIL) | UNCOVERED | MEMBERS,
    "validation-off": by("trail_validation_off", TRAIL, severity="high"),
    "notification-off": by("trail_notification_changed", TRAIL, severity="high"),
    "shadow-trail": by("trail_created_elsewhere", "trail/backup-trail", severity="medium"),
    "delete-store": by("event_data_store_deleted", "eventdatastore/…")
    | on_path("trail.time_bomb", "eventdatastore/…", VICTIM),
    "stop-and-start": by("trail_logging_stopped", TRAIL) | on_path("trail.tampered", TRAIL, VICTIM, "resolved"),
    "attempted-stop": by("trail_logging_stopped", TRAIL, severity="high", kind="trail.attempted"),
    "bucket-policy": by("log_bucket_policy_locks_out", BUCKET, SECURITY)
    | on_path("trail.coverage_lost", BUCKET, None)
    | BLIND,
    "requester-pays": by("log_bucket_requester_pays", BUCKET, SECURITY, "high") | BLIND,
    "lifecycle": by("log_bucket_lifecycle_expires", BUCKET, SECURITY) | on_path("trail.time_bomb", BUCKET, SECURITY),
    "ownership-controls": by("log_bucket_ownership_weakened", BUCKET, SECURITY, "high"),
    "suspend-versioning": by("log_bucket_versioning_suspended", BUCKET, SECURITY),
    "object-lock": by("log_bucket_object_lock_weakened", BUCKET, SECURITY),
    "bucket-encryption": by("log_bucket_key_not_declared", BUCKET, SECURITY),
    "replication-off": by("log_bucket_replication_deleted", BUCKET, SECURITY, "high"),
    "bucket-notification": by("log_bucket_notification_changed", BUCKET, SECURITY),
    "delete-objects": by("log_object_deleted", LOG, SECURITY) | by("log_objects_deleted", BUCKET, SECURITY),
    "plant-object": by("log_object_planted", LOG, SECURITY),
    "disable-key": by("log_key_disabled", KEY, SECURITY) | on_path("trail.coverage_lost", KEY, None) | BLIND,
    "schedule-key-deletion": by("log_key_deletion_scheduled", KEY, SECURITY)
    | on_path("trail.time_bomb", KEY, SECURITY)
    | on_path("trail.coverage_lost", KEY, None)
    | BLIND,
    "cancel-key-deletion": by("log_key_deletion_scheduled", KEY, SECURITY)
    | on_path("trail.tampered", KEY, SECURITY, "resolved"),
    "kms-policy": by("log_key_policy_weakened", KEY, SECURITY) | on_path("trail.coverage_lost", KEY, None) | BLIND,
    "expiring-material": by("log_key_material_endangered", KEY, SECURITY, "high")
    | on_path("trail.time_bomb", KEY, SECURITY),
    "revoke-grant": by("log_key_grant_revoked", KEY, SECURITY, "high"),
    "sns-filter": by("topic_subscription_changed", BUCKET, SECURITY, "high"),
    "unsubscribe": by("topic_unsubscribed", BUCKET, SECURITY),
    "topic-policy": by("topic_silenced", BUCKET, SECURITY),
    "purge-queue": by("queue_purged", "security-logs-notices", SECURITY),
    "queue-retention": by("queue_limits_weakened", "security-logs-notices", SECURITY, "high"),
    "reader-role": by("role_policy_added", "role/log-reader", SECURITY, "high"),
    "canary-schedule": SILENT,
    "scp-detached": by("organization_policy_detached", "p-…", MEMBER),
    "scp-exception": by("organization_policy_updated", "p-…", MEMBER),
    "scp-attached": by("organization_policy_attached", "p-…", MEMBER, "high"),
    "delegated-admin": by("delegated_administrator_deregistered", SECURITY, MEMBER),
    "trusted-access": by("trusted_access_disabled", "cloudtrail.amazonaws.com", MEMBER) | MEMBERS,
    "leave-organization": by("organization_left", VICTIM) | SILENT,
    "disable-region": by("region_disabled", "eu-west-1", severity="medium") | REGION_SILENT,
    "silent": BLIND,
    "silent-account": SILENT,
    "drop-region": REGION_SILENT,
    "drop-canary": SILENT,
    "canary-allowed": canary("canary.allowed", "high", *EACH_SLOT),
    "forge-canary": SILENT | canary("canary.forged", "critical", *EACH_SLOT),
    "replay-canary": SILENT | canary("canary.replayed", "critical", *EACH_SLOT),
    "corrupt-objects": canary("canary.unsure", "high", "opened", "resolved")
    | {("ingest.unreadable", None, "medium", VICTIM, LOG, "opened")},
    "late-delivery": canary("canary.missing", "critical", "opened", "resolved") | all_of(VICTIM, "opened", "resolved"),
} | {
    attack: by(rule, on, severity="high", kind="watcher.tampered")
    for attack, rule, on in (
        ("guardduty-off", "guardduty_disabled", "…"),
        ("guardduty-suppressed", "guardduty_findings_suppressed", "…"),
        ("securityhub-off", "securityhub_disabled", None),
        ("recorder-stopped", "config_recorder_stopped", "default"),
        ("alarm-disabled", "alarm_actions_disabled", "CIS-CloudTrailChanges"),
        ("metric-filter-deleted", "metric_filter_deleted", "CloudTrailChanges"),
        ("rule-disabled", "event_rule_stopped", "guardduty-findings-to-responders"),
        ("flow-logs-deleted", "flow_logs_deleted", "fl-…"),
    )
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_is_detected(tmp_path: Path, attack: str) -> None:
    """Each attack raises its alerts, with their rule, severity and resource, nothing else above low, as documented."""
    raised = alerts_under(attack, tmp_path, RULES)
    found = [alert for alert in raised if alert.severity > Severity.LOW]
    assert set(map(said, found)) == EXPECTED[attack]
    first_us = [alert.window_start_us for alert in found if alert.status.value != "updated"]
    assert all(ATTACKED_US <= us <= ATTACKED_US + 10 * MINUTE_US for us in first_us)
    assert ROWS[attack] == row_of(attack, raised), "stale: python -m pipeline.attack_docs"


def said(alert: Alert) -> Said:
    """An alert in short."""
    named, on = alert.canary or alert.rule, alert.resource and short_name(alert.resource)
    return alert.kind, named, alert.severity.label, alert.account_id, on, alert.status.value


def test_documents_have_every_attack() -> None:
    """At least 30 attacks are scored, each in a line of docs/attacks.md; README's table is made of these lines."""
    assert list(ROWS) == list(ATTACKS)
    assert len(ROWS) >= 30
    assert readme_table(list(ROWS.values())) in README.read_text("utf-8")


@pytest.mark.parametrize(
    ("attack", "expected"),
    [
        (
            "stop-logging",
            [
                ("canary.missing", VICTIM, "critical", "opened"),
                ("trail.coverage_lost", None, "critical", "opened"),
                ("trail.tampered", VICTIM, "critical", "opened"),
            ],
        ),
        (
            "silent",
            [
                *(("canary.unsure", each, "high", "opened") for each in (MEMBER, VICTIM, SECURITY)),
                ("ingest.silent", None, "critical", "opened"),
            ],
        ),
    ],
)
def test_command_raises_the_same(tmp_path: Path, attack: str, expected: list[tuple[str, ...]]) -> None:
    """From the command line to the summary: the same alerts, and a balance that closes."""
    source, lake = simulated(tmp_path / "in", attack), tmp_path / "lake"
    summary = run(source, lake, "--config", source / CONFIG, "--as-of", BEFORE_END)
    found = list(alerts(lake).values())
    assert kinds(each for each in found if each["severity"] not in ("low", "info")) == expected
    assert summary["faults"] == []
    assert summary["alerts"] == found


def test_quiet_bucket_raises_nothing_serious(tmp_path: Path) -> None:
    """Without an attack every slot is seen, and no alert is above low."""
    source, lake = simulated(tmp_path / "in", rate=600), tmp_path / "lake"
    summary = run(source, lake, "--config", source / CONFIG, "--as-of", BEFORE_END)
    assert summary["slots"] == {"seen": 72}
    assert [each for each in alerts(lake).values() if each["severity"] not in ("low", "info")] == []
