"""Findings: from rules that held for events, and from canaries' calls, to alerts, one for each event and scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import apache_beam as beam

from schemas.alerts import Alert, Evidence, Severity, Status, content_id
from schemas.runbooks import runbook_of
from schemas.tampering import RECOVERY, Tampering
from transforms.modification_incidents import CANARY, incident_id_of, kind_of

_EVIDENCE_KEPT = 20
_NAME_KEPT = 200  # characters of a name that a title repeats; actors and resources can be hostile
_DRY_RUN = "Client.DryRunOperation"
_REFUSALS = ("denied", "unauthorized", "notauthorized", "forbidden")


def alerts_of(found: Iterable[Tampering], *, known: bool) -> list[Alert]:
    """The alerts of one incident, by event time and id; the same for any order and repetition of `found`.

    Args:
        found: All that was found of one incident (`incident_id_of`), by any rules, in any copies of its events.
        known: Whether an earlier run opened the incident: then all are updates, otherwise all but the first.

    What a recovering call was found by (`RECOVERY`) raises nothing: it ends an incident, it is none.
    """
    by_event = sorted({each for each in found if each.scope != RECOVERY}, key=_event_of)
    events = [list(copies) for _, copies in groupby(by_event, key=_event_of)]
    return [
        _alert(copies, Status.UPDATED if known or number else Status.OPENED) for number, copies in enumerate(events)
    ]


def alerts_of_all(found: Iterable[Tampering], known: Callable[[str], bool]) -> list[Alert]:
    """`alerts_of` for findings of any incidents, in order of incident; `known` tells of the id of one."""
    ordered = sorted(found, key=incident_id_of)
    incidents = ((each, list(group)) for each, group in groupby(ordered, key=incident_id_of))
    return [alert for each, group in incidents for alert in alerts_of(group, known=known(each))]


class DetectTrailModifications(beam.PTransform[Tampering, Alert]):
    """Turn findings into alerts, one an event and scope, however many rules and copies of the event there are.

    Input: `Tampering`. Output: `Alert`, with status opened for the first event of an incident that is not among
    `open_incidents`, otherwise updated. Groups by incident within the window of the input.
    """

    def __init__(self, open_incidents: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._open_incidents = open_incidents

    def expand(self, pcoll: beam.PCollection[Tampering]) -> beam.PCollection[Alert]:
        """Key by incident, group, judge."""
        return (
            pcoll
            | "KeyByIncident" >> beam.Map(_keyed).with_output_types(tuple[str, Tampering])
            | "GroupByIncident" >> beam.GroupByKey()
            | "RaiseAlerts" >> beam.FlatMap(_raised, self._open_incidents).with_output_types(Alert)
        )


def _keyed(tampering: Tampering) -> tuple[str, Tampering]:
    return incident_id_of(tampering), tampering


def _raised(incident: tuple[str, Iterable[Tampering]], open_incidents: frozenset[str]) -> Iterator[Alert]:
    incident_id, found = incident
    yield from alerts_of(found, known=incident_id in open_incidents)


def _event_of(tampering: Tampering) -> tuple[int, str]:
    """What makes two findings one event: time and id, or else time, place and name; sorts by time."""
    if tampering.event_id is not None:
        return tampering.event_us, tampering.event_id
    return tampering.event_us, content_id(tampering.object_key, tampering.event_name)


def _alert(copies: list[Tampering], status: Status) -> Alert:
    """The alert of one event, named by its most severe rule; of equal ones by the first name, then the first copy."""
    named, *_ = sorted(copies, key=lambda item: (-item.severity, item.rule, item.delivered_us, item.object_key))
    kind, incident_id = kind_of(named), incident_id_of(named)
    lowered = not named.succeeded and named.scope != CANARY  # a canary's call is refused where all is well
    return Alert(
        alert_id=content_id("alert", incident_id, *_event_of(named)),
        incident_id=incident_id,
        kind=kind,
        status=status,
        severity=Severity(max(named.severity - 1, Severity.INFO)) if lowered else named.severity,
        title=_title(named, sorted({item.rule for item in copies} - {named.rule})),
        account_id=named.account_id,
        region=named.region,
        window_start_us=named.event_us,
        window_end_us=named.event_us,
        detected_us=min(item.delivered_us for item in copies),
        confidence="certain",
        canary=named.canary,
        rule=named.rule,
        actor=named.actor,
        resource=named.resource,
        evidence=Evidence(
            tuple(sorted({item.event_id for item in copies if item.event_id is not None}))[:_EVIDENCE_KEPT],
            tuple(sorted({item.object_key for item in copies}))[:_EVIDENCE_KEPT],
        ),
        mitre=tuple(sorted({technique for item in copies for technique in item.mitre})),
        runbook=runbook_of(kind),
    )


def _title(named: Tampering, others: list[str]) -> str:
    """What happened, to what, where, by whom, from where, and whether it worked."""
    words = [f"{named.rule_title}: {_name(named.event_name) or 'an event'}"]
    words += [f"on {_name(named.resource)}"] if named.resource else []
    words += [f"in {_name(named.account_id)}"] if named.account_id else []
    words += [f"by {_name(named.actor)}"] if named.actor else []
    words += [f"from {_name(named.source_ip_address)}"] if named.source_ip_address else []
    if not named.succeeded:
        words.append(_failure(named.error_code))
    sentence = " ".join(words)
    return f"{sentence} (also {', '.join(others)})" if others else sentence


def _failure(error_code: str | None) -> str:
    if error_code is None:
        return "failed"
    if error_code == _DRY_RUN:
        return f"would have succeeded ({_DRY_RUN})"
    refused = any(word in error_code.lower() for word in _REFUSALS)
    return f"{'was refused' if refused else 'failed'} ({_name(error_code)})"


def _name(text: str | None) -> str:
    """A name on one line, without control characters, of bounded length."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text or "").split())
    return line if len(line) <= _NAME_KEPT else f"{line[: _NAME_KEPT - 1]}…"
