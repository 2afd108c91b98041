"""Bursts of findings: many that are alike are one page, and a Terraform apply over 50 buckets is one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from schemas.alerts import CLOSING, Alert, Severity, Status, quietly
from schemas.times import MINUTE_US

BURST_US = 15 * MINUTE_US
"""A finding pages for those that are like it and are detected within so long after it: CloudTrail delivers what was
done at once within about as long."""

_REMEMBERED_US = 4 * BURST_US
_QUIET_KEPT = 1000

Alike: TypeAlias = tuple[str, str | None, str | None, str | None, Severity]


class Bursts:
    """What is known of the findings of an account: which of late have paged, and which incidents never did.

    It is a fold over alerts: what it has told, or what a lake has of it, may be learned again. Alerts are told in order
    of `correlation_order`. One that is told after a later one pages, unless another has for it; so nothing is quiet
    for which nothing has paged, in whatever order they come.
    """

    def __init__(self) -> None:
        self._paged: dict[Alike, list[tuple[int, str]]] = {}  # by time: when detected, and the incident
        self._quiet: dict[str, str] = {}  # open incidents that opened quietly, and by what

    def tell(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Alerts in order, each with what makes it quiet. What is quiet already, or is critical, stays as it is.

        What closes an incident that never paged is as quiet as what opened it.
        """
        told = []
        for alert in alerts:
            told.append(self._told(alert))
            self.learn(told[-1])
        self._forget()
        return told

    def learn(self, alert: Alert) -> None:
        """Take in an alert as it is written; in order."""
        if alert.status is Status.OPENED and alert.suppressed_by is not None:
            self._quiet[alert.incident_id] = alert.suppressed_by
            if len(self._quiet) > _QUIET_KEPT:  # the oldest end with a page
                del self._quiet[next(iter(self._quiet))]
        elif alert.suppressed_by is None or alert.status in CLOSING:
            self._quiet.pop(alert.incident_id, None)
        if alert.suppressed_by is None and may_burst(alert):
            paged = [*self._paged.get(alike(alert), ()), (alert.detected_us, alert.incident_id)]
            self._paged[alike(alert)] = sorted(paged)

    def _forget(self) -> None:
        """Drop what is older than any burst of what was detected last."""
        newest_us = max((paged[-1][0] for paged in self._paged.values()), default=0)
        for key, paged in list(self._paged.items()):
            kept = [each for each in paged if each[0] >= newest_us - _REMEMBERED_US]
            self._paged[key] = kept
            if not kept:
                del self._paged[key]

    def _told(self, alert: Alert) -> Alert:
        if alert.suppressed_by is not None or alert.severity is Severity.CRITICAL:
            return alert
        if alert.status in CLOSING:
            return quietly(alert, self._quiet.get(alert.incident_id))
        return quietly(alert, self.page_for(alert)) if may_burst(alert) else alert

    def page_for(self, alert: Alert) -> str | None:
        """The incident that has paged for a finding."""
        paged = self._paged.get(alike(alert), ())
        covering = [each for at_us, each in paged if at_us <= alert.detected_us <= at_us + BURST_US]
        return covering[-1] if covering else None


def may_burst(alert: Alert) -> bool:
    """What rules found; a canary's calls are incidents that are quiet by themselves."""
    by_rule = alert.rule is not None and alert.canary is None
    return by_rule and alert.status not in CLOSING and alert.severity is not Severity.CRITICAL


def alike(alert: Alert) -> Alike:
    """What is the same of all findings of a burst."""
    return alert.kind, alert.rule, alert.actor, alert.account_id, alert.severity
