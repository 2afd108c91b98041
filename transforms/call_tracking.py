"""Incidents of canaries' calls in a bounded run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection

from schemas.alerts import Alert
from schemas.canaries import Canary, Place, Sighting
from schemas.maintenance import Maintenance
from schemas.tampering import Tampering
from transforms.canary_calls import KINDS, CallIncidents, call_incidents
from transforms.modification_incidents import is_call
from transforms.modifications import alerts_of_all
from transforms.sightings import ALLOWED


class FollowCanaryCalls(beam.PTransform[Any, PCollection[Alert]]):
    """What was found in canaries' calls, to alerts; and the ends of incidents.

    Input: a dict of `tamperings` (Tampering, of which calls count), `sightings` (Sighting) and `as_of` (one time, or
    None).
    Output: Alert that is not among `raised`, the lake's. All are brought together: what is found is little.
    """

    def __init__(self, canaries: Iterable[Canary], windows: Sequence[Maintenance], raised: Iterable[Alert]) -> None:
        super().__init__()
        self._canaries = tuple(canaries)
        self._windows = tuple(windows)
        self._raised = tuple(alert for alert in raised if alert.kind in KINDS)

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[Alert]:
        """Leave out sightings of places of which nothing was found, and tell the rest."""
        awaited = CallIncidents((), call_incidents(self._raised)).awaited
        calls = inputs["tamperings"] | "Calls" >> beam.Filter(is_call)
        places = calls | "Allowed" >> beam.FlatMap(_allowed).with_output_types(tuple[Place, None])
        refused = inputs["sightings"] | "Refused" >> beam.Filter(_matters, awaited, beam.pvalue.AsDict(places))
        told: PCollection[Alert] = inputs["as_of"] | "Tell" >> beam.FlatMap(
            self._told, beam.pvalue.AsList(calls), beam.pvalue.AsList(refused)
        )
        return told

    def _told(self, as_of_us: int | None, found: Iterable[Tampering], heard: Iterable[Sighting]) -> Iterator[Alert]:
        known = {alert.alert_id for alert in self._raised}
        calls = (call for call in alerts_of_all(found, lambda _incident_id: True) if call.alert_id not in known)
        incidents = CallIncidents(self._windows, call_incidents(self._raised))
        yield from incidents.tell(calls, heard, self._canaries, as_of_us or 0)


def _allowed(found: Tampering) -> Iterator[tuple[Place, None]]:
    if found.rule == ALLOWED:
        yield Place(found.canary or "", found.account_id or "", found.region or ""), None


def _matters(sighting: Sighting, awaited: frozenset[Place], allowed: Mapping[Place, None]) -> bool:
    return sighting.place in awaited or sighting.place in allowed
