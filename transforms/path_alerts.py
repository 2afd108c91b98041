"""The alerts of the log path's state: recovery from harm, and harm that becomes final at a deadline."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.alerts import Alert, Evidence, Severity, Status, content_id
from schemas.log_path import Aspect, PathFact
from schemas.runbooks import runbook_of
from schemas.times import format_duration_us, format_us
from transforms.path_courses import Harm
from transforms.path_coverage import EVERY

TIME_BOMB = "trail.time_bomb"
COVERAGE_LOST = "trail.coverage_lost"
_MITRE = ("T1562.008",)
_NAME_KEPT = 200
_FINAL = {
    Aspect.KEY_DELETION: ("the key is deleted", "CancelKeyDeletion, then EnableKey"),
    Aspect.KEY_MATERIAL_EXPIRY: ("the key's material expires", "ImportKeyMaterial without an expiry"),
    Aspect.LIFECYCLE: ("logs begin to expire", "DeleteBucketLifecycle, or a rule that keeps them"),
    Aspect.STORE_DELETION: ("the event data store is deleted", "RestoreEventDataStore"),
}
_LOST = "nothing that was logged before can be read after that"


class Gap(msgspec.Struct, frozen=True):
    """What nobody records any more: where (`*`: everywhere), since which fact, and which parts are still recorded."""

    account_id: str
    region: str
    lost: tuple[str, ...]
    since: PathFact
    but_for: tuple[str, ...] = ()

    @property
    def incident_id(self) -> str:
        """By where and since when."""
        return content_id(COVERAGE_LOST, self.account_id, self.region, *self.since.identity[:3])


class Bomb(msgspec.Struct, frozen=True):
    """Harm with a deadline: since which fact, by which it was last set, and when it is final."""

    first: PathFact
    last: PathFact
    deadline_us: int

    @property
    def incident_id(self) -> str:
        """By what set it first."""
        return content_id(TIME_BOMB, *self.first.identity)


def recovered(
    incident_id: str, harms: Sequence[Harm], detected_us: int, *, own: bool, place: tuple[str | None, str | None]
) -> Alert:
    """An incident's harm is undone: blind at most from the first harm to the last remedy, which were both still seen.

    `harms` are runs of harm with remedies, those that belong together; `own` says that the resource is on the path;
    `place` is the incident's account and region, whoever made the call that undid it.
    """
    first = min((harm.first for harm in harms), key=lambda each: each.identity)
    remedies = sorted((harm.remedy for harm in harms if harm.remedy), key=lambda each: each.identity)
    last = remedies[-1]
    newest = max((harm.last for harm in harms), key=lambda each: (each.delivered_us, each.identity))
    length = format_duration_us(last.event_us - first.event_us)
    by = f" by {_name(last.actor)}" if last.actor else ""
    return Alert(
        alert_id=content_id(incident_id, "recovered", *last.identity, *newest.identity),
        incident_id=incident_id,
        kind="trail.tampered",
        status=Status.RESOLVED,
        severity=max((own and harm.last.own_severity) or harm.last.severity for harm in harms),
        title=f"Undone after {length}: {last.event_name} on {_name(last.name)}{by}; {_unseen(first, last)}",
        account_id=place[0],
        region=place[1],
        window_start_us=first.event_us,
        window_end_us=last.event_us,
        detected_us=detected_us,
        confidence="certain",
        actor=last.actor,
        resource=last.name,
        evidence=_evidence([first, *remedies]),
        mitre=_MITRE,
        runbook=runbook_of("trail.tampered"),
    )


def _unseen(first: PathFact, last: PathFact) -> str:
    """The two calls are themselves in the log: they are the last and the first proof of sight."""
    return (
        f"last proof of sight {first.event_name} at {format_us(first.event_us)}, "
        f"first after it {last.event_name} at {format_us(last.event_us)}, perhaps blind in between"
    )


def coverage_lost(gap: Gap, detected_us: int) -> Alert:
    """The last trail that was known to record something no longer does."""
    lost = _listed([each.replace("_", " ") for each in gap.lost])
    but_for = f", but for {_listed(list(gap.but_for))}" if gap.but_for else ""
    by = f" by {_name(gap.since.actor)}" if gap.since.actor else ""
    what = f"{gap.since.event_name} on {_name(gap.since.name)}{by}"
    title = f"No known trail records {lost} events of {_where(gap)} any more{but_for}: {what}"
    return _gap_alert(gap, Status.OPENED, title, gap.since.event_us, detected_us)


def coverage_regained(gap: Gap, fact: PathFact, detected_us: int) -> Alert:
    """All of a gap is recorded again."""
    length = format_duration_us(max(0, fact.event_us - gap.since.event_us))
    title = f"Trails record all of {_where(gap)} again after {length}: {fact.event_name} on {_name(fact.name)}"
    return _gap_alert(gap, Status.RESOLVED, title, fact.event_us, detected_us)


def _gap_alert(gap: Gap, status: Status, title: str, end_us: int, detected_us: int) -> Alert:
    return Alert(
        alert_id=content_id(gap.incident_id, status.value),
        incident_id=gap.incident_id,
        kind=COVERAGE_LOST,
        status=status,
        severity=Severity.CRITICAL,
        title=title,
        account_id=None if gap.account_id == EVERY else gap.account_id,
        region=None if gap.region == EVERY else gap.region,
        window_start_us=gap.since.event_us,
        window_end_us=max(end_us, gap.since.event_us),
        detected_us=detected_us,
        confidence="certain",
        actor=gap.since.actor,
        resource=gap.since.name,
        evidence=_evidence([gap.since]),
        mitre=_MITRE,
        runbook=runbook_of(COVERAGE_LOST),
    )


def _where(gap: Gap) -> str:
    account = "all accounts of the organization" if gap.account_id == EVERY else _name(gap.account_id)
    return f"{account} in {'all regions' if gap.region == EVERY else _name(gap.region)}"


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def armed(bomb: Bomb, detected_us: int, *, near: bool) -> Alert:
    """A call that becomes final later was made; `near` where its deadline is already within the first warning."""
    title = (
        f"{_happens(bomb)} at {format_us(bomb.deadline_us)}, in {_in(bomb, detected_us)}: {_by(bomb)}; {_undo(bomb)}"
    )
    return _bomb_alert(
        bomb, Status.OPENED, title, detected_us, severity=Severity.CRITICAL if near else Severity.HIGH, what=("armed",)
    )


def moved(bomb: Bomb, detected_us: int, *, near: bool) -> Alert:
    """The deadline is another one now."""
    title = f"{_happens(bomb)} at {format_us(bomb.deadline_us)} instead, in {_in(bomb, detected_us)}: {_by(bomb)}"
    what = ("moved", *bomb.last.identity)
    return _bomb_alert(
        bomb, Status.UPDATED, title, detected_us, severity=Severity.CRITICAL if near else Severity.HIGH, what=what
    )


def nearing(bomb: Bomb, warning_us: int) -> Alert:
    """The deadline is `warning_us` away and nobody has cancelled; 0: it has passed."""
    at, left = format_us(bomb.deadline_us), format_duration_us(warning_us)
    when = f"in {left}, at {at}" if warning_us else f"since {at}"
    title = f"{_happens(bomb)} {when}: {_by(bomb)}; {_undo(bomb) if warning_us else 'nobody cancelled it'}"
    what = ("nearing", warning_us, bomb.deadline_us)
    detected_us = bomb.deadline_us - warning_us
    return _bomb_alert(bomb, Status.UPDATED, title, detected_us, severity=Severity.CRITICAL, what=what)


def disarmed(bomb: Bomb, remedy: PathFact, detected_us: int) -> Alert:
    """The cancelling call was made."""
    by = f" by {_name(remedy.actor)}" if remedy.actor else ""
    left = format_duration_us(max(0, bomb.deadline_us - remedy.event_us))
    title = f"Cancelled {left} before {format_us(bomb.deadline_us)}: {remedy.event_name} on {_name(remedy.name)}{by}"
    alert = _bomb_alert(
        bomb, Status.RESOLVED, title, detected_us, severity=Severity.HIGH, what=("disarmed", *remedy.identity)
    )
    evidence = _evidence([bomb.first, remedy])
    return msgspec.structs.replace(alert, window_end_us=remedy.event_us, actor=remedy.actor, evidence=evidence)


def _bomb_alert(
    bomb: Bomb, status: Status, title: str, detected_us: int, *, severity: Severity, what: tuple[object, ...]
) -> Alert:
    return Alert(
        alert_id=content_id(bomb.incident_id, *what),
        incident_id=bomb.incident_id,
        kind=TIME_BOMB,
        status=status,
        severity=severity,
        title=title,
        account_id=bomb.last.account_id,
        region=bomb.last.region,
        window_start_us=bomb.first.event_us,
        window_end_us=bomb.deadline_us,
        detected_us=detected_us,
        confidence="certain",
        actor=bomb.last.actor,
        resource=bomb.last.name,
        evidence=_evidence([bomb.first, bomb.last]),
        mitre=("T1485",),
        runbook=runbook_of(TIME_BOMB),
    )


def _happens(bomb: Bomb) -> str:
    final = _FINAL[bomb.last.aspect][0]
    return f"{_name(bomb.last.name)}: {final}"


def _by(bomb: Bomb) -> str:
    by = f" by {_name(bomb.last.actor)}" if bomb.last.actor else ""
    return f"{bomb.last.event_name}{by} of {format_us(bomb.last.event_us)}"


def _in(bomb: Bomb, detected_us: int) -> str:
    return format_duration_us(max(0, bomb.deadline_us - detected_us))


def _undo(bomb: Bomb) -> str:
    lost = f"{_LOST}; " if bomb.last.aspect in {Aspect.KEY_DELETION, Aspect.KEY_MATERIAL_EXPIRY} else ""
    return f"{lost}undone by {_FINAL[bomb.last.aspect][1]}"


def _evidence(facts: Sequence[PathFact]) -> Evidence:
    distinct = dict.fromkeys(facts)
    ids = tuple(dict.fromkeys(fact.event_id for fact in distinct))
    return Evidence(ids, tuple(dict.fromkeys(fact.object_key for fact in distinct)))


def _name(text: str | None) -> str:
    """A name on one line, without control characters, of bounded length: actors and resources can be hostile."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text or "").split())
    return line if len(line) <= _NAME_KEPT else f"{line[: _NAME_KEPT - 1]}…"
