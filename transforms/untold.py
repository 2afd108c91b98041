"""What earlier runs left of the stories of canaries' incidents, from the lake's alerts and verdicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from schemas.alerts import CLOSING, Alert, Status
from schemas.canaries import Canary, Place, Verdict
from schemas.maintenance import MAINTENANCE
from transforms.canary_alerts import KINDS, OpenIncident
from transforms.canary_stories import Misses, Untold
from transforms.expected import Judged
from transforms.time_spans import Span, TimeSpans

_ABSENT = frozenset({Verdict.MISSING, Verdict.UNSURE})


def untold(canaries: Iterable[Canary], alerts: Iterable[Alert], judged: Iterable[Judged]) -> list[Untold]:
    """Incidents that go on, and absent slots that may still open one.

    `alerts` are all of the lake's, or as many as `RaisedAlerts.of_canaries` keeps.
    """
    alerts, judged = list(alerts), list(judged)
    incidents = open_incidents(alerts, judged)
    return [*incidents, *_misses(canaries, alerts, judged, {(each.kind, each.place) for each in incidents})]


def open_incidents(alerts: Iterable[Alert], judged: Iterable[Judged]) -> list[OpenIncident]:
    """Rebuild what earlier runs left open from their alerts and from what they said of each place."""
    told: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if alert.kind in KINDS:
            told[alert.incident_id].append(alert)
    states: dict[Place, list[Judged]] = defaultdict(list)
    for state in judged:
        states[state.place].append(state)
    left = (some for _, some in sorted(told.items()) if not any(alert.status in CLOSING for alert in some))
    return [
        _reopened(alert, states[place_of(alert)], some)
        for some in left
        for alert in some
        if alert.status is Status.OPENED
    ]


def place_of(alert: Alert) -> Place:
    """Where the canary sings that an alert is about."""
    return Place(alert.canary or "", alert.account_id or "", alert.region or "")


def _reopened(alert: Alert, states: Iterable[Judged], told: Sequence[Alert]) -> OpenIncident:
    since_us, kind = alert.window_start_us, KINDS[alert.kind]
    unseen = [
        (max(first * state.period_us, since_us), (last + 1) * state.period_us, each)
        for state in states
        for first, last, each in state.unseen
        if (last + 1) * state.period_us > since_us
    ]
    outstanding = TimeSpans((start_us, end_us) for start_us, end_us, each in unseen if each is kind.verdict).spans()
    return OpenIncident(
        alert.incident_id,
        alert.kind,
        place_of(alert),
        since_us,
        outstanding,
        late=any(each is Verdict.LATE for _, _, each in unseen),
        uncalled=all(each.severity < kind.severity for each in told),
        opened_us=alert.detected_us,
        suppressed_by=alert.suppressed_by if all(map(_is_maintained, told)) else None,
    )


def _is_maintained(alert: Alert) -> bool:
    return alert.suppressed_by is not None and alert.suppressed_by.startswith(MAINTENANCE)


def _misses(
    canaries: Iterable[Canary], alerts: Iterable[Alert], judged: Iterable[Judged], opened: set[tuple[str, Place]]
) -> Iterator[Misses]:
    """Absent slots that may still count: not those from before an incident was resolved, nor of another period."""
    patient = {canary.name: canary for canary in canaries if canary.open_after.slots > 1}
    states: dict[Place, list[Judged]] = defaultdict(list)
    for state in judged:
        canary = patient.get(state.place.canary)
        if canary is not None and canary.period_us == state.period_us:
            states[state.place].append(state)
    if not states:
        return
    resolved_us: dict[tuple[str, Place], int] = defaultdict(int)
    for alert in alerts:
        if alert.kind in KINDS and alert.status is Status.RESOLVED:
            key = alert.kind, place_of(alert)
            resolved_us[key] = max(resolved_us[key], alert.window_end_us)
    for place, some in states.items():
        for kind in KINDS.values():
            absent = _absent(some, resolved_us[kind.name, place], patient[place.canary].open_after.slots)
            own = () if (kind.name, place) in opened else absent[kind.verdict]
            (other,) = _ABSENT - {kind.verdict}
            if own or absent[other]:
                yield Misses(kind.name, place, own, absent[other])


def _absent(states: Sequence[Judged], from_us: int, slots: int) -> dict[Verdict, tuple[Span, ...]]:
    """Spans of slots that begin at `from_us` or later, and are among the last of so many when the next is judged."""
    period_us = states[0].period_us
    from_us = max(from_us, max(state.through_us for state in states) - (slots - 1) * period_us)
    spans = {verdict: TimeSpans() for verdict in _ABSENT}
    for state in states:
        for first, last, verdict in state.unseen:
            start_us, end_us = max(first * period_us, from_us), (last + 1) * period_us
            if verdict in spans and start_us < end_us:
                spans[verdict].add(start_us, end_us)
    return {verdict: each.spans() for verdict, each in spans.items()}
