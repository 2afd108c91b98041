"""The log path's state in a stream: told as the watermark passes, at the severity that a bounded run gives."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import msgspec
import pytest
from apache_beam.coders import PickleCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline, test_stream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from path_worlds import KEY_ARN, TRAIL_ARN, archive_rows, at_us, call

from pipeline.run import load_rules
from schemas.alerts import Alert
from schemas.times import DAY_US
from schemas.trails import LogPath
from transforms.bundle_writer import BundleReport
from transforms.live_alerts import RaiseAlerts
from transforms.live_log_path import TrackLogPathLive
from transforms.path_facts import path_facts

NOTHING = LogPath()
RULES = load_rules(())
CONTEXT = {"aws:cloudtrail:arn": TRAIL_ARN, "aws:s3:arn": "arn:aws:s3:::our-logs/AWSLogs/1"}
DELIVERING = call(
    "kms",
    "GenerateDataKey",
    0,
    {"keyId": KEY_ARN, "encryptionContext": CONTEXT},
    userIdentity={"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"},
)


def report(record: dict[str, Any]) -> BundleReport:
    """What a bundle of one event says."""
    rows = archive_rows(record)
    found = RULES.evaluate(rows, NOTHING)
    return BundleReport(tamperings=tuple(found), facts=tuple(path_facts(rows, found, NOTHING)))


def key_call(name: str, minute: float) -> BundleReport:
    """A call on the key."""
    return report(call("kms", name, minute, {"keyId": KEY_ARN}))


def raised(*reports: tuple[float, BundleReport], expected: list[tuple[str, str, str, int]]) -> None:
    """A stream of reports, by the minute in which each is taken in, raises kinds, severities, statuses at minutes."""
    stream = test_stream.TestStream(coder=PickleCoder())
    for number, (minute, each) in enumerate(reports, 1):
        at = Timestamp(micros=at_us(minute))
        stream = stream.add_elements([TimestampedValue(each, at)]).advance_watermark_to(at + number)
    for days in range(1, 41):
        stream = stream.advance_watermark_to(Timestamp(micros=at_us(60) + days * DAY_US))
    options = PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])
    with test_pipeline.TestPipeline(options=options) as pipeline:
        taken = pipeline | stream.advance_watermark_to_infinity()
        path = taken | TrackLogPathLive(NOTHING, at_us(0))
        alerts = {"reports": taken, "path": path} | RaiseAlerts(frozenset(), frozenset())
        assert_that(alerts | beam.Map(_said), equal_to(expected))


def _said(alert: Alert) -> tuple[str, str, str, int]:
    return alert.kind, alert.severity.label, alert.status.value, (alert.detected_us - at_us(0)) // 60_000_000


def test_learned_path_recovery_and_reopening() -> None:
    """A key that nobody declared is ours by the time that it is disabled; enabling it closes, disabling it reopens."""
    raised(
        (5, report(DELIVERING)),
        (15, key_call("DisableKey", 10)),
        (25, key_call("EnableKey", 20)),
        (25, key_call("EnableKey", 20)),
        (35, key_call("DisableKey", 30)),
        expected=[
            ("trail.tampered", "critical", "opened", 15),
            ("trail.tampered", "critical", "resolved", 25),
            ("trail.tampered", "critical", "opened", 35),
        ],
    )


def test_deadline_is_a_timer() -> None:
    """Nothing arrives, and the warnings come; after they are cancelled none does."""
    day = DAY_US // 60_000_000
    begun = (("trail.tampered", "critical", "opened", 15), ("trail.time_bomb", "high", "opened", 15))
    raised(
        (5, report(DELIVERING)),
        (15, key_call("ScheduleKeyDeletion", 10)),
        expected=[*begun, *(("trail.time_bomb", "critical", "updated", 10 + days * day) for days in (23, 29, 30))],
    )
    raised(
        (5, report(DELIVERING)),
        (15, key_call("ScheduleKeyDeletion", 10)),
        (25, key_call("CancelKeyDeletion", 20)),
        expected=[*begun, ("trail.time_bomb", "high", "resolved", 25)],
    )


def test_finding_elsewhere_is_told_too() -> None:
    """Low, and once, although it waits for the path."""
    other = msgspec.structs.replace(key_call("DisableKey", 10), facts=())
    raised((15, other), (15, other), expected=[("trail.tampered", "low", "opened", 15)])


def test_what_is_learned_later_escalates() -> None:
    """The finding was told low as it came; the delivery that shows whose key it was tells it again, once."""
    shown = msgspec.structs.replace(report(DELIVERING), facts=tuple(
        msgspec.structs.replace(each, delivered_us=at_us(25)) for each in report(DELIVERING).facts
    ))  # fmt: skip
    raised(
        (15, key_call("DisableKey", 10)),
        (25, shown),
        (35, shown),
        expected=[("trail.tampered", "low", "opened", 15), ("trail.tampered", "critical", "updated", 25)],
    )


def test_state_is_kept_in_few_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is written as one, the story is the same."""
    monkeypatch.setattr("transforms.live_log_path.ENTRIES_KEPT", 1)
    test_learned_path_recovery_and_reopening()
    test_what_is_learned_later_escalates()
