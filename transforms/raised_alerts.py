"""Which alerts a lake has, for a job that goes on for months: in little memory, and added to."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.alerts import Alert, Status
from transforms.object_index import HashSet

_ENDING = ("canary.", "ingest.stalled")
_CLOSED = {Status.RESOLVED, Status.RETRACTED}


class RaisedAlerts:
    """Ids of all alerts and of all incidents of rules, and the alerts that opened those which end and have not yet.

    Incidents of rules are closed by nobody. `key` is any secret, such as random bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._ids = HashSet(key)
        self._of_rules = HashSet(key)
        self._open: dict[str, Alert] = {}

    def add(self, alerts: Iterable[Alert]) -> None:
        """Take in what the lake has; in whatever order, as long as all are told at once or as they were raised."""
        alerts = list(alerts)
        self._ids.add(alert.alert_id for alert in alerts)
        self._of_rules.add(alert.incident_id for alert in alerts if alert.rule is not None)
        others = [alert for alert in alerts if alert.rule is None and alert.kind.startswith(_ENDING)]
        self._open.update((alert.incident_id, alert) for alert in others if alert.status is Status.OPENED)
        for alert in others:
            if alert.status in _CLOSED:
                self._open.pop(alert.incident_id, None)

    def fresh(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Those that the lake does not have."""
        alerts = list(alerts)
        known = self._ids.has(alert.alert_id for alert in alerts)
        return [alert for alert, there in zip(alerts, known, strict=True) if not there]

    def is_known(self, incident_id: str) -> bool:
        """Whether a rule has opened the incident."""
        return self._of_rules.has([incident_id])[0]

    def open(self, kind: str) -> list[Alert]:
        """The opening alerts of incidents of a kind, or kinds (`canary.`), that go on, by incident."""
        return [alert for _, alert in sorted(self._open.items()) if alert.kind.startswith(kind)]
