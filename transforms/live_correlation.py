"""Correlation in a stream: alerts wait until the watermark has passed them, but no page waits for that."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from schemas.alerts import CLOSING, Alert, Severity
from schemas.canaries import Canary
from transforms.bursts import Alike, Bursts, alike, may_burst
from transforms.correlation import Story, by_story, new_story, stories_of, tell_story
from transforms.silences import KINDS, expected_from
from transforms.waiting import Waiting

SETTLED = "settled"


class CorrelateLive(beam.PTransform[Alert, beam.pvalue.DoOutputsTuple]):
    """Alert → Alert, each with what makes it quiet, and those that stand for several; tagged `SETTLED`: Alert, again.

    Alerts are stamped with when they are known. A finding that nothing is known to have paged for does not wait: it
    pages, and if it turns out that another came before it, is told again, as quiet as in a bounded run. Silences wait:
    what they are part of is not known before. `raised` are those that the lake has; none of these comes again.
    `began_us` is when the stream began; what it had to raise from before counts from then.
    """

    def __init__(self, canaries: Iterable[Canary], raised: Iterable[Alert], began_us: int) -> None:
        super().__init__()
        self._canaries = tuple(canaries)
        self._raised = tuple(raised)
        self._began_us = began_us

    def expand(self, alerts: PCollection[Alert]) -> beam.pvalue.DoOutputsTuple:
        """Key by story, and tell."""
        keyed = alerts | "ByStory" >> beam.Map(by_story).with_output_types(Tuple[str, AnyType])
        tell = beam.ParDo(_Tell(self._canaries, self._raised, self._began_us))
        return keyed | "Tell" >> tell.with_outputs(SETTLED, main="alerts")


class _Tell(beam.DoFn):
    STORY = ReadModifyWriteStateSpec("story", PickleCoder())
    URGENT = ReadModifyWriteStateSpec("urgent", PickleCoder())  # of what waits and has paged: what it is, and its id
    WAITING = BagStateSpec("waiting", PickleCoder())
    FIRST = ReadModifyWriteStateSpec("first", PickleCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def __init__(self, canaries: Iterable[Canary], raised: Iterable[Alert], began_us: int) -> None:
        known = list(raised)
        self._expected = expected_from(canaries)
        self._stories = stories_of(known)
        self._raised = frozenset(alert.alert_id for alert in known)
        self._began_us = began_us

    def process(  # noqa: PLR0917 - states and timers come as arguments
        self,
        keyed: tuple[str, Alert],
        at: Any = beam.DoFn.TimestampParam,
        state: Any = beam.DoFn.StateParam(STORY),
        urgent: Any = beam.DoFn.StateParam(URGENT),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Alert]:
        """Let it wait, even if it has paged: then others are quiet because of it."""
        name, alert = keyed
        if alert.alert_id in self._raised:
            return
        Waiting[Alert](waiting, first, due).add(alert, at, self._began_us)
        if _is_certain(alert):
            yield alert
        elif may_burst(alert):
            paged: dict[Alike, str] = urgent.read() or {}
            story = self._story(name, state)
            if alike(alert) not in paged and isinstance(story, Bursts) and story.page_for(alert) is None:
                urgent.write({**paged, alike(alert): alert.alert_id})
                yield alert

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def tell(  # noqa: PLR0917 - states and timers come as arguments
        self,
        name: str = beam.DoFn.KeyParam,
        at: Any = beam.DoFn.TimestampParam,
        state: Any = beam.DoFn.StateParam(STORY),
        urgent: Any = beam.DoFn.StateParam(URGENT),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Alert | beam.pvalue.TaggedOutput]:
        """Tell what was known by then."""
        come = Waiting[Alert](waiting, first, due).take(at)
        if not come:
            return
        story, paged = self._story(name, state), urgent.read() or {}
        told = tell_story(story, come, self._expected)
        state.write(story)
        urgent.write({what: each for what, each in paged.items() if each not in {alert.alert_id for alert in come}})
        certain = {alert.alert_id for alert in come if _is_certain(alert)}
        for alert in told:
            if alert.alert_id not in certain and alert.alert_id not in paged.values():
                yield alert
            elif alert.alert_id not in certain and alert.suppressed_by is not None:
                yield beam.pvalue.TaggedOutput(SETTLED, alert)

    def _story(self, name: str, state: Any) -> Story:
        story: Story | None = state.read()
        if story is not None:
            return story
        return copy.deepcopy(self._stories[name]) if name in self._stories else new_story(name)


def _is_certain(alert: Alert) -> bool:
    """Whether nothing that may still come can make it quiet, nor wake it."""
    if alert.kind in KINDS:
        return False
    open_to_others = may_burst(alert) or alert.status in CLOSING
    return not open_to_others or alert.severity is Severity.CRITICAL or alert.suppressed_by is not None
