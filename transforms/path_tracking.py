"""Alerts of the log path's state in a bounded run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection

from schemas.alerts import Alert, open_incident_ids
from schemas.log_path import PathFact
from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.modification_incidents import is_call
from transforms.modifications import DetectTrailModifications
from transforms.path_claims import ClaimFindings
from transforms.path_fold import tell
from transforms.reopened import TellReopened


class FollowLogPath(beam.PTransform[Any, PCollection[Alert]]):
    """What rules found, and what that means for the log path, to alerts.

    Input: a dict of `tamperings` (Tampering), `facts` (PathFact, all that is known) and `as_of` (one time, or None).
    Output: Alert of findings and of the path's state. `raised` are the alerts that the lake has; none of the state's
    comes again. `told` are findings of earlier runs that may be escalated.
    """

    def __init__(self, log_path: LogPath, raised: Iterable[Alert], told: Iterable[Tampering] = ()) -> None:
        super().__init__()
        known = list(raised)
        self._told = tuple(told)
        self._log_path = log_path
        self._open_incidents = open_incident_ids(known)
        self._raised = frozenset(alert.alert_id for alert in known)

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[Alert]:
        """Claim and detect, track, and tell what opens again. What was found in canaries' calls is not of the path."""
        of_rules = inputs["tamperings"] | "OfRules" >> beam.Filter(lambda each: not is_call(each))
        inputs = {**inputs, "tamperings": of_rules}
        alerts = (
            inputs | ClaimFindings(self._log_path) | DetectTrailModifications(self._open_incidents),
            inputs | TrackLogPath(self._log_path, self._raised, self._told),
        ) | "Alerts" >> beam.Flatten()
        told: PCollection[Alert] = alerts | TellReopened()
        return told


class TrackLogPath(beam.PTransform[Any, PCollection[Alert]]):
    """A dict as that of `FollowLogPath` → Alert of the path's state that is not `raised`."""

    def __init__(self, log_path: LogPath, raised: frozenset[str], told: tuple[Tampering, ...]) -> None:
        super().__init__()
        self._log_path = log_path
        self._raised = raised
        self._told = told

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[Alert]:
        """Bring all facts together, and the findings whose severity may change: they are few."""
        keyed = (
            inputs["facts"] | "Facts" >> beam.Map(_together).with_output_types(tuple[int, Any]),
            inputs["tamperings"]
            | "Unsure" >> beam.Filter(lambda each: each.own_severity is not None)
            | "Findings" >> beam.Map(_together).with_output_types(tuple[int, Any]),
        ) | "Together" >> beam.Flatten()
        as_of = beam.pvalue.AsSingleton(inputs["as_of"])
        told: PCollection[Alert] = (
            keyed
            | "Group" >> beam.GroupByKey()
            | "Tell" >> beam.FlatMap(_told, as_of, self._log_path, self._raised, self._told)
        )
        return told


def _together(each: PathFact | Tampering) -> tuple[int, Any]:
    return 0, each


def _told(
    grouped: tuple[int, Iterable[PathFact | Tampering]],
    as_of_us: int | None,
    log_path: LogPath,
    raised: frozenset[str],
    told: tuple[Tampering, ...],
) -> Iterator[Alert]:
    known = list(grouped[1])
    facts = [each for each in known if isinstance(each, PathFact)]
    findings = [*told, *(each for each in known if isinstance(each, Tampering))]
    yield from (alert for alert in tell(facts, log_path, as_of_us, findings).alerts if alert.alert_id not in raised)
