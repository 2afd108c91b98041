"""Correlation: which alerts page, and which are quiet because another incident stands for them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TypeAlias

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from schemas.alerts import Alert, Status
from schemas.canaries import Canary
from transforms.bursts import Bursts
from transforms.silences import KINDS, ExpectedFrom, Silences, expected_from

Story: TypeAlias = Silences | Bursts

_SILENCES = "silences"
_STATUSES = list(Status)


def story_of(alert: Alert) -> str:
    """Alerts of different stories do not concern each other: all silences are one, the rest is told by account."""
    return _SILENCES if alert.kind in KINDS else f"account {alert.account_id or ''}"


def new_story(name: str) -> Story:
    """One of which nothing has been told."""
    return Silences() if name == _SILENCES else Bursts()


def tell_story(story: Story, alerts: Iterable[Alert], expected: ExpectedFrom) -> list[Alert]:
    """Alerts of one story, each with what makes it quiet, and alerts that stand for several.

    It does not depend on the order in which they are given, nor on where they are cut into calls, if those come in
    order of `detected_us`.
    """
    ordered = sorted(alerts, key=_order)
    return story.tell(ordered, expected) if isinstance(story, Silences) else story.tell(ordered)


def stories_of(raised: Iterable[Alert]) -> dict[str, Story]:
    """What is known from the alerts that a lake has, as far as it matters for those to come."""
    stories: dict[str, Story] = {}
    for alert in sorted(raised, key=_order):
        stories.setdefault(story_of(alert), new_story(story_of(alert))).learn(alert)
    return stories


def _order(alert: Alert) -> tuple[int, bool, str, int, str]:
    """By the times in the data; what stands for several after those."""
    stands = alert.kind in KINDS and alert.canary is None
    return alert.detected_us, stands, alert.incident_id, _STATUSES.index(alert.status), alert.alert_id


class Correlation:
    """What a process that goes on knows of all stories."""

    def __init__(self, canaries: Iterable[Canary], raised: Iterable[Alert]) -> None:
        self._expected = expected_from(canaries)
        self._stories = stories_of(raised)

    def tell(self, alerts: Iterable[Alert]) -> list[Alert]:
        """`tell_story` for alerts of any stories that the lake does not have, which it then must get."""
        told: list[Alert] = []
        for name, some in groupby(sorted(alerts, key=story_of), key=story_of):
            told += tell_story(self._stories.setdefault(name, new_story(name)), some, self._expected)
        return told


class Correlate(beam.PTransform[Alert, PCollection[Alert]]):
    """Alert → Alert, all that a bounded run raises: each with what makes it quiet, and those that stand for several.

    `raised` are the alerts that the lake has; none of these comes again.
    """

    def __init__(self, canaries: Iterable[Canary], raised: Iterable[Alert]) -> None:
        super().__init__()
        known = list(raised)
        self._expected = expected_from(canaries)
        self._stories = stories_of(known)
        self._raised = frozenset(alert.alert_id for alert in known)

    def expand(self, alerts: PCollection[Alert]) -> PCollection[Alert]:
        """Key by story, and tell."""
        keyed = alerts | "ByStory" >> beam.Map(by_story).with_output_types(Tuple[str, AnyType])
        told: PCollection[Alert] = (
            keyed
            | "Group" >> beam.GroupByKey()
            | "Tell" >> beam.FlatMap(_told, self._stories, self._raised, self._expected)
        )
        return told


def by_story(alert: Alert) -> tuple[str, Alert]:
    """Keyed."""
    return story_of(alert), alert


def _told(
    grouped: tuple[str, Iterable[Alert]],
    stories: Mapping[str, Story],
    raised: frozenset[str],
    expected: ExpectedFrom,
) -> Iterator[Alert]:
    name, alerts = grouped
    story = copy.deepcopy(stories[name]) if name in stories else new_story(name)
    fresh = {alert.alert_id: alert for alert in alerts if alert.alert_id not in raised}
    yield from tell_story(story, fresh.values(), expected)
