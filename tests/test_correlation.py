"""Correlation in a bounded run, in a stream, and in a process that goes on: the same, and never a page too many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import apache_beam as beam
import msgspec
from apache_beam.coders import PickleCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_stream
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from direct_runner import direct_runner
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bursts import found
from test_silences import EAST, NOON_US, WEST, A, B, again, at, canary, silent

from schemas.alerts import CLOSING, Alert, Severity, Status, alert_order
from schemas.canaries import Canary
from schemas.times import MINUTE_US
from transforms.canary_alerts import KINDS
from transforms.correlation import Correlate, Correlation
from transforms.live_correlation import SETTLED, CorrelateLive

CANARIES = (canary(A, B), canary(B, name="drum", regions=(EAST,)))
PLACES = [(account, region, "song") for account in (A, B) for region in (EAST, WEST)] + [(B, EAST, "drum")]


WRITTEN: list[Alert] = []
"""What a pipeline writes, in order: it runs in this process."""


def write(alert: Alert) -> None:
    """Write one."""
    WRITTEN.append(alert)


def bounded(calls: Iterable[Sequence[Alert]], canaries: Sequence[Canary] = CANARIES) -> list[Alert]:
    """What runs write, one after the other; each reads the lake."""
    lake: list[Alert] = []
    for alerts in calls:
        lake += Correlation(canaries, lake).tell(alerts)
    return lake


def watched(calls: Iterable[Sequence[Alert]], canaries: Sequence[Canary] = CANARIES) -> list[Alert]:
    """What a process that goes on writes."""
    correlation = Correlation(canaries, ())
    return [alert for alerts in calls for alert in correlation.tell(alerts)]


def streamed(calls: Iterable[Sequence[Alert]], raised: Sequence[Alert] = ()) -> list[Alert]:
    """What a stream writes: one call a minute, the last first."""
    WRITTEN.clear()
    stream = test_stream.TestStream(coder=PickleCoder())
    for number, alerts in enumerate(calls):
        now = Timestamp(micros=NOON_US + number * MINUTE_US)
        stream = stream.add_elements([TimestampedValue(alert, now) for alert in reversed(alerts)])
        stream = stream.advance_watermark_to(now + 1)
    with direct_runner() as options, beam.Pipeline(options=options) as pipeline:
        told = pipeline | stream.advance_watermark_to_infinity() | CorrelateLive(CANARIES, raised, NOON_US)
        _ = (told.alerts, told[SETTLED]) | beam.Flatten() | beam.Map(write)
    return list(WRITTEN)


def lake_of(alerts: Iterable[Alert]) -> dict[str, Alert]:
    """As a stream leaves them: a file each, the last that is written."""
    return {alert.alert_id: alert for alert in alerts}


def by_id(alerts: Iterable[Alert]) -> dict[str, Alert]:
    """As a lake has them, each id once."""
    alerts = list(alerts)
    found = {alert.alert_id: alert for alert in alerts}
    assert len(found) == len(alerts)
    return found


def incidents_of(alerts: Iterable[Alert]) -> list[list[Alert]]:
    """The alerts of each incident, in order."""
    ordered = sorted(alerts, key=lambda alert: (alert.incident_id, alert_order(alert)))
    return [list(incident) for _, incident in groupby(ordered, key=lambda alert: alert.incident_id)]


def stands_for(page: Alert, silence: Alert) -> bool:
    """Whether it is the same place's, its account's, or everybody's."""
    of_place = (page.canary, page.region) in {(None, None), (silence.canary, silence.region)}
    return page.account_id is None or (page.account_id == silence.account_id and of_place)


@st.composite
def stories(draw: st.DrawFn) -> list[Alert]:
    """Silences that come and go at every place, of both kinds, and findings."""
    alerts: list[Alert] = []
    for (account, region, name), kind in [(place, kind) for place in PLACES for kind in KINDS]:
        minutes = sorted(draw(st.sets(st.sampled_from(range(0, 60, 5)), max_size=4)))
        for start, end in zip(minutes[::2], [*minutes[1::2], None], strict=False):
            opening = silent(account, region, start, kind, name)
            if draw(st.booleans()) and draw(st.booleans()):
                opening = msgspec.structs.replace(opening, suppressed_by="maintenance:move")
            alerts += [opening] if end is None else [opening, again(opening, end)]
    findings = st.builds(found, st.sampled_from("abc"), st.integers(0, 60), severity=st.sampled_from(Severity))
    return alerts + draw(st.lists(findings, max_size=5, unique_by=lambda alert: alert.incident_id))


def cut(alerts: Sequence[Alert], minutes: Iterable[int]) -> list[list[Alert]]:
    """Alerts in order of detection, cut at some minutes."""
    edges = sorted(at(each) for each in minutes)
    calls: list[list[Alert]] = [[] for _ in range(len(edges) + 1)]
    for alert in alerts:
        calls[sum(edge <= alert.detected_us for edge in edges)].append(alert)
    return calls


@given(stories(), st.sets(st.integers(0, 65), max_size=5))
def test_cuts_do_not_matter(alerts: list[Alert], cuts: set[int]) -> None:
    """Runs, and a process that goes on, write the same alerts wherever they are cut, each with the same suppressor."""
    once = by_id(bounded([alerts]))
    assert by_id(bounded(cut(alerts, cuts))) == once
    assert by_id(watched(cut(alerts, cuts))) == once


@given(stories(), st.sets(st.integers(0, 65), max_size=5))
def test_one_page_for_each_incident_and_transition(alerts: list[Alert], cuts: set[int]) -> None:
    """An incident pages once when it opens and once when it ends; what suppresses is there, and nothing is dropped."""
    written = by_id(bounded(cut(alerts, cuts)))
    assert {alert.alert_id for alert in alerts} <= set(written)
    for incident in incidents_of(written.values()):
        told = False
        assert len([each for each in incident if each.canary is None and each.status is Status.UPDATED]) <= 1
        for alert in incident:
            pages = alert.suppressed_by is None
            if alert.status is Status.OPENED:
                assert not told
            if alert.status in CLOSING:
                assert pages == told
            told = (told or pages) and alert.status not in CLOSING
    incidents = {alert.incident_id for alert in written.values()}
    suppressors = {alert.suppressed_by for alert in written.values()} - {None, "maintenance:move"}
    assert suppressors <= incidents


@given(stories())
def test_who_is_silent_has_been_told_of(alerts: list[Alert]) -> None:
    """At any time, for every place that is silent something has paged that is open: itself, its account or all."""
    written = bounded([alerts])
    maintained = {each.incident_id for each in alerts if each.suppressed_by is not None}
    for minutes in range(0, 65, 5):
        so_far = incidents_of(each for each in written if each.detected_us <= at(minutes))
        going_on = [incident for incident in so_far if incident[-1].status not in CLOSING]
        pages = [each[0] for each in going_on if any(alert.suppressed_by is None for alert in each)]
        silent_at = [each[0] for each in going_on if each[0].canary and each[0].incident_id not in maintained]
        assert [each for each in silent_at if not any(stands_for(page, each) for page in pages)] == []


@settings(max_examples=6, deadline=None)
@given(stories(), st.sets(st.integers(0, 65), max_size=3))
def test_a_stream_says_the_same(alerts: list[Alert], cuts: set[int]) -> None:
    """As the watermark passes, the same is written as by one run."""
    assert lake_of(streamed(cut(alerts, cuts))) == by_id(bounded([alerts]))


def test_a_stream_goes_on_where_the_lake_is() -> None:
    """What the lake has is known, and does not come again."""
    before = bounded([[silent(A), found("a")]])
    after = [silent(A, WEST, 5), found("b", 5)]
    told = streamed([[*before, *after]], before)
    assert lake_of([*before, *told]) == by_id(bounded([[*before, *after]]))


def test_no_page_waits() -> None:
    """A finding pages when it comes; what is alike waits, and what turns out not to be the first is settled."""
    critical, first, second, third = found("d", severity=Severity.CRITICAL), found("a"), found("b", 1), found("c", 1)
    written = streamed([[third, first, second, critical]])
    said = [(alert.incident_id, alert.suppressed_by or "") for alert in written]
    assert (said[:2], sorted(said[2:])) == ([("d", ""), ("b", "")], [("a", ""), ("b", "a"), ("c", "a")])


def test_what_pages_is_written_before_what_it_makes_quiet() -> None:
    """A stream that is killed in between and begins anew finds the page, and not quiet silences alone."""
    quiet = [alert.suppressed_by is not None for alert in streamed([[silent(A), silent(A, WEST)]])]
    assert quiet == [False, True, True]


def test_a_bounded_run_says_the_same() -> None:
    """As a step of a run's graph, with what the lake has."""
    before = bounded([[silent(A), found("a")]])
    alerts = [*before, silent(A, WEST, 5), found("b", 5), silent(B, EAST, 5)]
    WRITTEN.clear()
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        _ = pipeline | beam.Create(alerts, reshuffle=False) | Correlate(CANARIES, before) | beam.Map(write)
    assert by_id([*before, *WRITTEN]) == by_id(bounded([alerts]))
