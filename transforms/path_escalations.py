"""Findings that were told as if elsewhere, and what they touched has proved to be on the log path since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby

import msgspec

from schemas.alerts import Alert, Evidence, content_id
from schemas.log_path import PathFact
from schemas.tampering import Tampering
from transforms.modification_incidents import incident_id_of
from transforms.modifications import alerts_of
from transforms.pending_findings import ESCALATED_WITHIN_US, finding_order


class Escalations:
    """Findings by what they touched."""

    def __init__(self) -> None:
        self._touching: dict[str, set[Tampering]] = defaultdict(set)

    def add(self, findings: Iterable[Tampering]) -> None:
        """Take in findings that are told as if elsewhere; others do no harm."""
        for each in findings:
            if each.own_severity is not None:
                for name in each.touched:
                    self._touching[name].add(each)

    def of(
        self,
        news: Mapping[str, PathFact],
        since_us: Mapping[str, int],
        at_us: int,
        is_undone: Callable[[str], bool],
    ) -> Iterator[Alert]:
        """The alerts of findings on what became known to be on the path at a time.

        Args:
            news: The names that did, and the fact that showed it.
            since_us: When any name did; a finding on one that was known before was told in full.
            at_us: The time. Findings that were delivered then or later are told in full.
            is_undone: Whether all harm of an incident is undone: then nothing is left to tell.
        """
        shown: dict[Tampering, PathFact] = {}
        for name, fact in news.items():
            for each in self._touching.pop(name, ()):
                first_us = min(since_us.get(other, at_us) for other in each.touched)
                if each.delivered_us < at_us <= each.delivered_us + ESCALATED_WITHIN_US and first_us == at_us:
                    shown.setdefault(each, fact)
        ordered = sorted(shown, key=lambda each: (incident_id_of(each), finding_order(each)))
        for incident_id, some in groupby(ordered, incident_id_of):
            if not is_undone(incident_id):
                found = list(some)
                yield from _escalated(found, shown[found[0]], at_us)


def _escalated(found: list[Tampering], fact: PathFact, at_us: int) -> Iterator[Alert]:
    full = [msgspec.structs.replace(each, severity=each.own_severity) for each in found]
    for alert in alerts_of(full, known=True):
        yield msgspec.structs.replace(
            alert,
            alert_id=content_id("escalated", alert.alert_id),
            title=f"On the log path, as {fact.event_name} shows: {alert.title}",
            detected_us=at_us,
            evidence=Evidence(
                (*alert.evidence.event_ids, fact.event_id), (*alert.evidence.object_keys, fact.object_key)
            ),
        )
