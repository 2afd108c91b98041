"""Silences of canaries that are one: of all canaries of an account, and of all canaries everywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

from schemas.alerts import CLOSING, Alert, Status, quietly
from schemas.canaries import Canary, Place
from transforms.expected import places
from transforms.silence_state import SilenceState
from transforms.silent_groups import (
    MISSING,
    SILENT,
    UNSURE,
    Group,
    account_silent,
    all_silent,
    heard_again,
    less_silent,
    place_of,
    remains,
)

KINDS = frozenset({MISSING, UNSURE, SILENT})

ExpectedFrom: TypeAlias = Mapping[str, Mapping[Place, int]]
"""By account, all places of canaries, and the deadline of the first slot of each."""


def expected_from(canaries: Iterable[Canary]) -> ExpectedFrom:
    """When places are first expected to have been heard.

    A canary without a `since` counts from the beginning of time: what is not known to be silent is taken for heard.
    """
    first_us: dict[str, dict[Place, int]] = defaultdict(dict)
    for canary in canaries:
        since_us = canary.since_us
        due_us = 0 if since_us is None else canary.deadline_us(-(-since_us // canary.period_us))
        for place in places(canary):
            first_us[place.account_id][place] = due_us
    return dict(first_us)


class Silences:
    """What of the silences of canaries is one incident.

    Of the alerts that are told, all of one time belong together. When all places in which an account is expected to be
    heard are missing, two or more, a group of the account opens; when all places are absent everywhere, one of all. A
    group of an account is updated once, when the first of its places is heard, and resolved with the last. The group
    of all is resolved when any place is heard; what is silent then and was never told is a group of its account, or
    where that is a single place, is told of by itself. An incident is quiet as a whole: what ends it pages if anything
    of it has. Places in maintenance are neither expected nor silent.

    All that is kept follows from the alerts told (`learn`): it does not matter where a run ends and the next begins.
    """

    def __init__(self) -> None:
        self._state = SilenceState()

    def learn(self, alert: Alert) -> None:
        """Take in an alert as it is written; in order."""
        self._state.learn(alert)

    def tell(self, alerts: Iterable[Alert], expected: ExpectedFrom) -> list[Alert]:
        """Alerts of places, in order, each with what makes it quiet, and those of groups before them."""
        told: list[Alert] = []
        for at_us, some in groupby(alerts, key=lambda alert: alert.detected_us):
            told += self._tell_at(at_us, list(some), expected)
        return told

    def _tell_at(self, at_us: int, alerts: Sequence[Alert], expected: ExpectedFrom) -> list[Alert]:
        known = {each.incident_id: self._state.silences.get(each.incident_id) for each in alerts}
        quiet = {each: silence.quiet_by for each, silence in known.items() if silence is not None}
        for alert in alerts:
            self.learn(alert)
        told = []
        for group in self._groups(at_us, alerts, expected):
            self.learn(group)
            told.append(group)
        for alert in alerts:
            told.append(self._told(alert, quiet))
            self._hush(told[-1], quiet)
        return told

    def _groups(self, at_us: int, alerts: Sequence[Alert], expected: ExpectedFrom) -> Iterator[Alert]:
        """Alerts of groups; each is learned before the next is told."""
        state = self._state
        opening = {each.account_id or "" for each in alerts if each.status not in CLOSING}
        if state.everywhere is not None and state.everywhere.shrunk:
            yield heard_again(state.everywhere, at_us, len(state.silent))
        elif state.everywhere is None and opening and self._is_all_silent(at_us, expected):
            yield all_silent(state.of(state.silent), at_us)
        for account_id in sorted(state.accounts):
            yield from self._of_account(state.accounts[account_id], at_us)
        for account_id in sorted(opening - set(state.accounts)):
            due = self._due(at_us, expected.get(account_id, {}))
            if len(due) > 1 and all(any(each.opening.kind == MISSING for each in state.of([place])) for place in due):
                by = None if state.everywhere is None else state.everywhere.opening.incident_id
                yield quietly(account_silent(state.of(due), at_us, len(due)), by)
        yield from self._adopted(at_us, expected)

    def _of_account(self, group: Group, at_us: int) -> Iterator[Alert]:
        everywhere = self._state.everywhere
        living = None if everywhere is None else everywhere.opening.incident_id
        if not group.members:
            yield quietly(heard_again(group, at_us, 0), group.quiet_by)
        elif group.quiet_by not in {None, living}:
            yield less_silent(group, at_us)
        elif group.shrunk and not group.told:
            yield quietly(less_silent(group, at_us), group.quiet_by)

    def _adopted(self, at_us: int, expected: ExpectedFrom) -> Iterator[Alert]:
        """What was quiet because of a group that has ended."""
        orphans = sorted(self._state.orphans(), key=lambda place: (place.account_id, place))
        for account_id, group in groupby(orphans, key=lambda place: place.account_id):
            members = list(group)
            if len(members) > 1:
                among = max(len(members), len(self._due(at_us, expected.get(account_id, {}))))
                yield account_silent(self._state.of(members), at_us, among)
            else:
                yield remains(self._state.of(members)[0], at_us)

    def _is_all_silent(self, at_us: int, expected: ExpectedFrom) -> bool:
        """Of one account whose canaries are missing while others deliver, the account's group says more."""
        due = [place for some in expected.values() for place in self._due(at_us, some)]
        if len(due) < 2 or not all(place in self._state.silent for place in due):
            return False
        several = len({place.account_id for place in due}) > 1
        return several or any(each.opening.kind == UNSURE for each in self._state.of(due))

    def _due(self, at_us: int, first_us: Mapping[Place, int]) -> list[Place]:
        """Of an account's places those that are expected to be heard by then."""
        return [place for place, us in first_us.items() if us <= at_us and not self._state.is_maintained(place)]

    def _told(self, alert: Alert, quiet: Mapping[str, str | None]) -> Alert:
        """An alert of a place with what makes it quiet; `quiet` says it of incidents that had been told of."""
        if alert.suppressed_by is not None:
            return alert
        if alert.status in CLOSING:
            return quietly(alert, quiet.get(alert.incident_id))
        account, everywhere = self._state.accounts.get(alert.account_id or ""), self._state.everywhere
        group = everywhere or (account if account is not None and place_of(alert) in account.members else None)
        paged = quiet.get(alert.incident_id, "") is None
        if group is None or paged or alert.severity > group.opening.severity:
            return alert
        return quietly(alert, group.opening.incident_id)

    def _hush(self, told: Alert, quiet: dict[str, str | None]) -> None:
        paged = quiet.get(told.incident_id, "") is None and told.status is not Status.OPENED
        quiet[told.incident_id] = None if paged else told.suppressed_by
        self._state.hush(told.incident_id, quiet[told.incident_id])
