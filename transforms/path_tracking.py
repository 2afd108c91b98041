"""Alerts of the log path's state, in a bounded run and in a process that goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection

from schemas.alerts import Alert, open_incident_ids
from schemas.log_path import PathFact, distinct_facts
from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.modifications import DetectTrailModifications
from transforms.path_claims import ClaimFindings, claimed, joined
from transforms.path_state import tell
from transforms.reopened import TellReopened


class FollowLogPath(beam.PTransform[Any, PCollection[Alert]]):
    """What rules found, and what that means for the log path, to alerts.

    Input: a dict of `tamperings` (Tampering), `facts` (PathFact, all that is known) and `as_of` (one time, or None).
    Output: Alert of findings and of the path's state. `raised` are the alerts that the lake has; none of the state's
    comes again.
    """

    def __init__(self, log_path: LogPath, raised: Iterable[Alert]) -> None:
        super().__init__()
        known = list(raised)
        self._log_path = log_path
        self._open_incidents = open_incident_ids(known)
        self._raised = frozenset(alert.alert_id for alert in known)

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[Alert]:
        """Claim and detect, track, and tell what opens again."""
        alerts = (
            inputs | ClaimFindings(self._log_path) | DetectTrailModifications(self._open_incidents),
            inputs | TrackLogPath(self._log_path, self._raised),
        ) | "Alerts" >> beam.Flatten()
        told: PCollection[Alert] = alerts | TellReopened()
        return told


class TrackLogPath(beam.PTransform[Any, PCollection[Alert]]):
    """A dict of `facts` (PathFact, all that is known) and `as_of` (one time, or None) → Alert that is not `raised`."""

    def __init__(self, log_path: LogPath, raised: frozenset[str]) -> None:
        super().__init__()
        self._log_path = log_path
        self._raised = raised

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[Alert]:
        """Bring all facts together: they are few."""
        keyed = inputs["facts"] | "Together" >> beam.Map(_together).with_output_types(tuple[int, PathFact])
        as_of = beam.pvalue.AsSingleton(inputs["as_of"])
        told: PCollection[Alert] = (
            keyed | "Group" >> beam.GroupByKey() | "Tell" >> beam.FlatMap(_told, as_of, self._log_path, self._raised)
        )
        return told


def _together(fact: PathFact) -> tuple[int, PathFact]:
    return 0, fact


def _told(
    grouped: tuple[int, Iterable[PathFact]], as_of_us: int | None, log_path: LogPath, raised: frozenset[str]
) -> Iterator[Alert]:
    told = tell(grouped[1], log_path, as_of_us)
    yield from (alert for alert in told.alerts if alert.alert_id not in raised)


class KnownPath:
    """What a process that goes on knows of the log path."""

    def __init__(self, log_path: LogPath, facts: Iterable[PathFact]) -> None:
        self._log_path = log_path
        self.facts = distinct_facts(tuple(facts))
        self.due_us = tell(self.facts, log_path, 0).due_us
        self._since_us = joined(self.facts, log_path)
        self._is_news = True

    def learn(self, facts: Iterable[PathFact]) -> None:
        """Take in facts, known or not."""
        known = distinct_facts((*self.facts, *facts))
        if known != self.facts:
            self._is_news, self.facts, self._since_us = True, known, joined(known, self._log_path)

    def claim(self, tamperings: Iterable[Tampering]) -> Iterator[Tampering]:
        """Findings at the severity that they have for what is known to be on the path."""
        return (claimed(each, self._since_us) for each in tamperings)

    def tell(self, as_of_us: int) -> tuple[Alert, ...]:
        """All alerts up to a time, told before or not; none where nothing has changed since."""
        if not self._is_news and (self.due_us is None or self.due_us > as_of_us):
            return ()
        told = tell(self.facts, self._log_path, as_of_us)
        self._is_news, self.due_us = False, told.due_us
        return told.alerts
