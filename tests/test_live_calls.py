"""Incidents of canaries' calls in a stream: what a bounded run says of the same calls, also after a new beginning."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam
import pytest
from apache_beam.coders import PickleCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline, test_stream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from call_worlds import END_US, found, heard_of, refused
from canary_worlds import CANARY, START_US

from schemas.alerts import Alert, Status
from schemas.canaries import Sighting
from schemas.tampering import Tampering
from schemas.times import DAY_US, HOUR_US
from transforms.bundle_writer import BundleReport
from transforms.canary_calls import CallIncidents, call_incidents
from transforms.live_calls import FollowCanaryCallsLive
from transforms.modifications import alerts_of_all
from transforms.sightings import ALLOWED, FORGED

Call = Tampering | Sighting

FIRST = found(FORGED, START_US)
STORIES: dict[str, list[Call]] = {
    "imitated, quiet for a day, and imitated again": [
        FIRST,
        found(FORGED, START_US + HOUR_US),
        found(FORGED, START_US + 3 * DAY_US),
    ],
    "allowed until it is refused, twice": [
        refused(START_US),
        found(ALLOWED, START_US + HOUR_US),
        found(ALLOWED, START_US + 2 * HOUR_US),
        refused(START_US + 3 * HOUR_US),
        refused(START_US + 4 * HOUR_US),
        found(ALLOWED, START_US + 5 * HOUR_US),
    ],
    "a copy of a call, delivered a minute later": [FIRST, found(FORGED, START_US, FIRST.delivered_us + 60_000_000)],
}


def told(calls: Sequence[Call], as_of_us: int) -> list[Alert]:
    """What a bounded run says."""
    alerts = alerts_of_all((each for each in calls if isinstance(each, Tampering)), lambda _: True)
    return list(CallIncidents((), {}).tell(alerts, heard_of(calls), [CANARY], as_of_us))


def streamed(calls: Sequence[Call], before: Sequence[Alert], began_us: int, expected: Sequence[Alert]) -> None:
    """A stream over a lake that has alerts, which takes in each call as it is delivered, and hears of nothing else."""
    stream = test_stream.TestStream(coder=PickleCoder())
    stream = stream.add_elements([TimestampedValue(BundleReport(), Timestamp(micros=began_us))])  # what the lake had
    at_us = began_us
    for each in sorted(calls, key=lambda each: each.delivered_us):
        for between_us in (*range(at_us + DAY_US // 2, each.delivered_us, DAY_US // 2), each.delivered_us):
            stream = stream.advance_watermark_to(Timestamp(micros=between_us))
        at_us = each.delivered_us
        findings = (each,) if isinstance(each, Tampering) else ()
        report = BundleReport(sightings=tuple(heard_of([each])), tamperings=findings)
        stream = stream.add_elements([TimestampedValue(report, Timestamp(micros=at_us))])
    for days in range(1, 6):
        stream = stream.advance_watermark_to(Timestamp(micros=at_us + days * DAY_US // 2))
    options = PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])
    with test_pipeline.TestPipeline(options=options) as pipeline:
        reports = pipeline | stream.advance_watermark_to_infinity()
        alerts = reports | FollowCanaryCallsLive([CANARY], (), before, began_us)
        assert_that(alerts | beam.Map(lambda alert: alert), equal_to(list(expected)))


@pytest.mark.parametrize("name", STORIES)
def test_stream_says_what_a_run_says(name: str) -> None:
    """Each call as it comes, and what ends of itself by a timer."""
    calls = STORIES[name]
    streamed(calls, (), START_US, told(calls, END_US))


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("first", [1, 2])
def test_stream_that_begins_anew_goes_on(name: str, first: int) -> None:
    """With what the lake says, it tells the rest; what is due of itself needs no news."""
    calls = sorted(STORIES[name], key=lambda each: each.delivered_us)
    before = told(calls[:first], calls[first - 1].delivered_us)
    known = {alert.alert_id for alert in before}
    rest = [alert for alert in told(calls, END_US) if alert.alert_id not in known]
    streamed(calls[first:], before, calls[first - 1].delivered_us, rest)


def test_nothing_is_told_of_refused_calls() -> None:
    """As long as none was allowed."""
    streamed([refused(START_US + hour * HOUR_US) for hour in range(3)], (), START_US, [])


def test_lake_says_what_the_stories_come_to() -> None:
    """The stories are about incidents that end."""
    ends = {
        name: [alert.status for alert in told(calls, END_US)].count(Status.RESOLVED) for name, calls in STORIES.items()
    }
    assert list(ends.values()) == [2, 1, 1]
    assert all(each.closed_us for each in call_incidents(told([FIRST], END_US)).values())
