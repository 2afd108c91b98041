"""Findings on what has shown to be on the log path count in full, in every way of running."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from path_worlds import KEY_ARN, TRAIL_ARN, archive_rows, call

from pipeline.run import load_rules
from schemas.alerts import Severity
from schemas.log_path import PathFact
from schemas.tampering import Tampering
from schemas.trails import LogPath, Ownership
from transforms.path_claims import ClaimFindings, claimed, joined
from transforms.path_facts import path_facts

RULES = load_rules(())
NOTHING = LogPath()
BY_CLOUDTRAIL = {"userIdentity": {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}}
KEY_ASKED = {"aws:cloudtrail:arn": TRAIL_ARN, "aws:s3:arn": "arn:aws:s3:::our-logs/AWSLogs/1"}
DELIVERING = call("kms", "GenerateDataKey", 0, {"keyId": KEY_ARN, "encryptionContext": KEY_ASKED}, **BY_CLOUDTRAIL)


def found(*records: dict[str, Any]) -> tuple[list[Tampering], list[PathFact]]:
    """Findings and facts of records, with nothing declared."""
    rows = archive_rows(*records)
    findings = RULES.evaluate(rows, NOTHING)
    return findings, path_facts(rows, findings, NOTHING)


@pytest.mark.parametrize(
    ("record", "severity"),
    [
        (call("s3", "DeleteBucket", 1, {"bucketName": "our-logs"}), Severity.CRITICAL),
        (call("s3", "DeleteBucket", 1, {"bucketName": "arn:aws:s3:::our-logs"}), Severity.CRITICAL),
        (call("s3", "DeleteBucket", 1, {"bucketName": "holiday-photos"}), Severity.LOW),
        (call("kms", "DisableKey", 1, {"keyId": KEY_ARN}), Severity.CRITICAL),
        (call("kms", "DisableKey", 1, {"keyId": KEY_ARN.rpartition("/")[2]}), Severity.CRITICAL),
        (call("kms", "DisableKey", 1, {"keyId": "99999999-2222-3333-4444-555555555555"}), Severity.LOW),
    ],
)
def test_learned_resource_counts_in_full(record: dict[str, Any], severity: Severity) -> None:
    """The same call is critical on the path and a trifle elsewhere, though nothing is declared."""
    findings, facts = found(DELIVERING, record)
    assert {each.severity for each in findings} == {Severity.LOW}
    since_us = joined(facts, NOTHING)
    assert max(claimed(each, since_us).severity for each in findings) == severity


def test_what_is_learned_later_changes_nothing() -> None:
    """Or a run over a year would say something else than a stream that saw it pass."""
    findings, facts = found(
        {**DELIVERING, "eventTime": "2026-11-02T00:00:00Z"}, call("kms", "DisableKey", 1, {"keyId": KEY_ARN})
    )
    assert [claimed(each, joined(facts, NOTHING)) for each in findings] == findings


def test_findings_are_claimed_in_a_pipeline() -> None:
    """With facts and without any."""
    findings, facts = found(DELIVERING, call("kms", "DisableKey", 1, {"keyId": KEY_ARN}))
    for known, ownership in ((facts, Ownership.OWN), ([], Ownership.UNKNOWN)):
        with test_pipeline.TestPipeline() as pipeline:
            inputs = {
                "tamperings": pipeline | "Findings" >> beam.Create(findings),
                "facts": pipeline | "Facts" >> beam.Create(known),
            }
            owners = inputs | ClaimFindings(NOTHING) | beam.Map(lambda each: each.ownership)
            assert_that(owners, equal_to([ownership] * len(findings)))
