"""Which alerts a lake has, for a job that goes on for months: in little memory, and added to."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.alerts import CLOSING, Alert, Status, alert_order
from schemas.canaries import Place
from transforms.canary_alerts import KINDS
from transforms.object_index import HashSet
from transforms.untold import place_of

_ENDING = ("canary.", "digest.", "ingest.stalled")
_RECOVERING = "trail."


class RaisedAlerts:
    """Ids of all alerts and of all incidents of rules, and the alerts of those which end and have not yet.

    Of incidents of rules only some are ever closed, by recovery. `key` is any secret, such as random bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._ids = HashSet(key)
        self._of_rules = HashSet(key)
        self._closed: set[str] = set()
        self._open: dict[str, list[Alert]] = {}
        self._resolved: dict[tuple[str, Place], Alert] = {}

    def add(self, alerts: Iterable[Alert]) -> None:
        """Take in what the lake has; in whatever order, as long as all are told at once or as they were raised."""
        alerts = list(alerts)
        self._ids.add(alert.alert_id for alert in alerts)
        self._of_rules.add(alert.incident_id for alert in alerts if alert.rule is not None)
        for alert in sorted((each for each in alerts if each.kind.startswith(_RECOVERING)), key=alert_order):
            (self._closed.add if alert.status in CLOSING else self._closed.discard)(alert.incident_id)
        others = [alert for alert in alerts if alert.rule is None and alert.kind.startswith(_ENDING)]
        for alert in sorted(others, key=alert_order):
            if alert.status in CLOSING:
                self._open.pop(alert.incident_id, None)
                self._resolve(alert)
            elif alert not in (told := self._open.setdefault(alert.incident_id, [])):
                told.append(alert)

    def _resolve(self, alert: Alert) -> None:
        if alert.kind in KINDS and alert.status is Status.RESOLVED:
            key = alert.kind, place_of(alert)
            known = self._resolved.get(key, alert)
            self._resolved[key] = max(known, alert, key=lambda each: (each.window_end_us, each.alert_id))

    def fresh(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Those that the lake does not have."""
        alerts = list(alerts)
        known = self._ids.has(alert.alert_id for alert in alerts)
        return [alert for alert, there in zip(alerts, known, strict=True) if not there]

    def is_known(self, incident_id: str) -> bool:
        """Whether a rule has opened the incident, and nothing has closed it since."""
        return self._of_rules.has([incident_id])[0] and incident_id not in self._closed

    def open(self, kind: str) -> list[Alert]:
        """The alerts of incidents of a kind, or kinds (`canary.`), that go on, by incident."""
        return [alert for _, some in sorted(self._open.items()) for alert in some if alert.kind.startswith(kind)]

    def of_canaries(self) -> list[Alert]:
        """What `untold` must know: alerts of silences that go on, and the last that resolved one in each place."""
        return [*self.open("canary."), *(alert for _, alert in sorted(self._resolved.items()))]
