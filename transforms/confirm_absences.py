"""Silences of canaries and what digests prove of their time, brought together in a bounded run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from schemas.alerts import Alert
from transforms.absence_confidence import CANARY_MISSING, PlaceSight, confidences, place_of
from transforms.digest_book import DigestPlace


class ConfirmAbsences(beam.PTransform[Any, PCollection[Alert]]):
    """A dict of `silences` (Alert of canaries, one run's) and `sight` (PlaceSight) → Alert that updates them.

    `raised` are the alerts that the lake has; none comes again.
    """

    def __init__(self, raised: Iterable[Alert]) -> None:
        super().__init__()
        self._raised = tuple(alert for alert in raised if alert.kind == CANARY_MISSING)

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[Alert]:
        """Join by account and region, and tell."""
        types = Tuple[Tuple[str, str], AnyType]
        keyed = {
            "silences": inputs["silences"] | "ByPlace" >> beam.Map(_by_place).with_output_types(types),
            "sight": inputs["sight"] | "OfPlace" >> beam.Map(_of_place).with_output_types(types),
        }
        joined = keyed | "JoinByPlace" >> beam.CoGroupByKey()
        alerts: PCollection[Alert] = joined | "Tell" >> beam.FlatMap(_told, self._raised)
        return alerts


def _by_place(alert: Alert) -> tuple[DigestPlace, Alert]:
    return place_of(alert), alert


def _of_place(sight: PlaceSight) -> tuple[DigestPlace, PlaceSight]:
    return sight.place, sight


def _told(joined: tuple[DigestPlace, Mapping[str, Iterable[Any]]], raised: tuple[Alert, ...]) -> Iterator[Alert]:
    known = {alert.alert_id for alert in raised}
    for sight in joined[1]["sight"]:
        silences = {alert.alert_id: alert for alert in (*raised, *joined[1]["silences"])}
        yield from (alert for alert in confidences(silences.values(), sight) if alert.alert_id not in known)
