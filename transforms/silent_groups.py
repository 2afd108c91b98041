"""Alerts of silences that are one: all of an account's canaries, and all canaries everywhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from schemas.alerts import Alert, Evidence, Severity, Status, content_id
from schemas.canaries import Place
from schemas.runbooks import runbook_of
from schemas.times import format_duration_us, format_us
from transforms.calibration import CAVEAT
from transforms.canary_alerts import KINDS

MISSING, UNSURE = "canary.missing", "canary.unsure"
SILENT = "ingest.silent"
_PLACES_KEPT = 100
_PLACES_NAMED = 5


class Silence(msgspec.Struct, frozen=True):
    """An absence that goes on at one place: the alert that opened it; `quiet_by` unless any of its alerts paged."""

    opening: Alert
    quiet_by: str | None = None

    @property
    def place(self) -> Place:
        """Where."""
        return place_of(self.opening)


class Group(msgspec.Struct, frozen=True):
    """Silences that are one incident, of an account or of all.

    `members` are an account's places that have been silent all along; `shrunk` says that places have been heard since,
    `told` that this has been said, `proved` that it was so, and not only taken back; `end_us` is where the silences end
    that are over. `quiet_by` unless it has paged.
    """

    opening: Alert
    members: frozenset[Place] = frozenset()
    shrunk: bool = False
    told: bool = False
    proved: bool = False
    end_us: int = 0
    quiet_by: str | None = None


def place_of(alert: Alert) -> Place:
    """The place that a canary's alert is about."""
    return Place(alert.canary or "", alert.account_id or "", alert.region or "")


def account_silent(silences: Collection[Silence], detected_us: int, among: int) -> Alert:
    """An account's canaries are silent: `silences` of so many places as are expected there."""
    account_id = min(each.place.account_id for each in silences)
    kind = MISSING if any(each.opening.kind == MISSING for each in silences) else UNSURE
    places = {each.place for each in silences}
    since = format_us(min(each.opening.window_start_us for each in silences))
    what = {MISSING: "are silent", UNSURE: "cannot be judged"}[kind]
    which = f"All canaries of account {account_id} {what}, in {len(places)} places,"
    if len(places) < among:
        which = f"Canaries of account {account_id} {what} in {len(places)} of {among} places,"
    title = f"{which} since {since}: {_named(places)}{_told_before(silences, detected_us)}"
    if kind == MISSING and _worst(silences) < KINDS[MISSING].severity:
        title += "; by the emitter's receipts no call was made: look at the emitter first"
    return _opened(kind, title + _caveat(silences), silences, detected_us)


def all_silent(silences: Collection[Silence], detected_us: int) -> Alert:
    """Every canary is absent everywhere."""
    places = {each.place for each in silences}
    accounts = len({each.account_id for each in places})
    since = format_us(min(each.opening.window_start_us for each in silences))
    where = f"{len(places)} places of {accounts} {'account' if accounts == 1 else 'accounts'}"
    doubt = any(each.opening.kind == UNSURE for each in silences)
    why = "nothing arrives, or none of it can be read" if doubt else "others deliver"
    title = f"Every canary is silent, in {where}, since {since}: {why}{_told_before(silences, detected_us)}"
    return _opened(SILENT, title + _caveat(silences), silences, detected_us)


def less_silent(group: Group, detected_us: int) -> Alert:
    """Some of the group's places are heard again, or what had made it quiet is over; its members remain silent."""
    since = format_us(group.opening.window_start_us)
    account_id = group.opening.account_id
    count = f"{len(group.members)} {'place' if len(group.members) == 1 else 'places'}"
    title = f"Canaries of account {account_id} remain silent in {count} since {since}: {_named(group.members)}"
    return _changed(group, Status.UPDATED, title, detected_us)


def heard_again(group: Group, detected_us: int, left: int) -> Alert:
    """A group's silence is over; `left` places of others are still silent."""
    proved = group.proved
    length = format_duration_us(max(0, group.end_us - group.opening.window_start_us))
    whose = "Canaries" if group.opening.account_id is None else f"All canaries of account {group.opening.account_id}"
    how = f"are heard again after {length}" if proved else "were not silent: their calls were read late"
    rest = f"; {left} {'place remains' if left == 1 else 'places remain'} silent" if left else ""
    return _changed(group, Status.RESOLVED if proved else Status.RETRACTED, f"{whose} {how}{rest}", detected_us)


def remains(silence: Silence, detected_us: int) -> Alert:
    """One place remains silent while what had made it quiet is over."""
    opening = silence.opening
    return msgspec.structs.replace(
        opening,
        alert_id=content_id(opening.incident_id, Status.UPDATED.value, "remains", detected_us),
        status=Status.UPDATED,
        title=f"{opening.title}; remains silent while others are heard again",
        detected_us=detected_us,
        suppressed_by=None,
    )


def _worst(silences: Iterable[Silence]) -> Severity:
    return max(each.opening.severity for each in silences)


def _opened(kind: str, title: str, silences: Collection[Silence], detected_us: int) -> Alert:
    account_id = None if kind == SILENT else min(each.place.account_id for each in silences)
    incident_id = content_id(kind, "group", account_id, detected_us)
    names = sorted(_name(place) for place in {each.place for each in silences})
    return Alert(
        alert_id=content_id(incident_id, Status.OPENED.value, detected_us),
        incident_id=incident_id,
        kind=kind,
        status=Status.OPENED,
        severity=Severity.CRITICAL if kind == SILENT else _worst(silences),
        title=title,
        account_id=account_id,
        region=None,
        window_start_us=min(each.opening.window_start_us for each in silences),
        window_end_us=max(each.opening.window_end_us for each in silences),
        detected_us=detected_us,
        confidence="provisional",
        evidence=Evidence(places=tuple(names[:_PLACES_KEPT])),
        mitre=() if kind == UNSURE else KINDS[MISSING].mitre,
        runbook=runbook_of(kind),
    )


def _changed(group: Group, status: Status, title: str, at_us: int) -> Alert:
    opening = group.opening
    detected_us = max(at_us, opening.detected_us)  # what is read late may be about a time before
    return msgspec.structs.replace(
        opening,
        alert_id=content_id(opening.incident_id, status.value, detected_us),
        status=status,
        title=title,
        window_end_us=max(opening.window_end_us, group.end_us),
        detected_us=detected_us,
        evidence=Evidence(places=tuple(sorted(map(_name, group.members))[:_PLACES_KEPT])),
        suppressed_by=None,
    )


def _told_before(silences: Iterable[Silence], us: int) -> str:
    before = len({each.place for each in silences if each.quiet_by is None and each.opening.detected_us < us})
    return f"; {before} of them {'was' if before == 1 else 'were'} told before" if before else ""


def _caveat(silences: Iterable[Silence]) -> str:
    """If it holds for all of them, it does for the group."""
    return CAVEAT if all(each.opening.title.endswith(CAVEAT) for each in silences) else ""


def _named(places: Iterable[Place]) -> str:
    names = sorted(f"{place.canary} {place.region}" for place in places)
    more = len(names) - _PLACES_NAMED
    return ", ".join(names[:_PLACES_NAMED]) + (f" and {more} more" if more > 0 else "")


def _name(place: Place) -> str:
    return f"{place.canary} {place.account_id} {place.region}"
