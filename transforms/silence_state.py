"""Which canaries are silent, and which of these silences are one incident, as alerts tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from schemas.alerts import CLOSING, Alert, Status
from schemas.canaries import Place
from schemas.maintenance import MAINTENANCE
from transforms.silent_groups import Group, Silence, place_of


class SilenceState:
    """A fold over alerts of canaries' silences (`transforms.silences.KINDS`), as they are written.

    They come in order of `detected_us`, at one time those of places before those of groups. One that comes after a
    later one changes what follows.
    """

    def __init__(self) -> None:
        self.silences: dict[str, Silence] = {}  # by incident
        self.silent: dict[Place, frozenset[str]] = {}  # the incidents of each place
        self._silent_of: dict[str, set[Place]] = {}  # by account
        self.accounts: dict[str, Group] = {}
        self.everywhere: Group | None = None

    def learn(self, alert: Alert) -> None:
        """Take in an alert."""
        if alert.canary is None:
            self._learn_group(alert)
        elif alert.status is Status.OPENED:
            self.silences[alert.incident_id] = Silence(alert, alert.suppressed_by)
            place = place_of(alert)
            self.silent[place] = self.silent.get(place, frozenset()) | {alert.incident_id}
            self._silent_of.setdefault(place.account_id, set()).add(place)
        elif alert.incident_id in self.silences and alert.status is Status.UPDATED:
            known = self.silences[alert.incident_id]
            self.hush(alert.incident_id, None if known.quiet_by is None else alert.suppressed_by)
        elif alert.incident_id in self.silences:
            self._learn_end(alert)

    def hush(self, incident_id: str, quiet_by: str | None) -> None:
        """A place's incident that goes on is as quiet as that."""
        if incident_id in self.silences:
            self.silences[incident_id] = msgspec.structs.replace(self.silences[incident_id], quiet_by=quiet_by)

    def of(self, places: Iterable[Place]) -> list[Silence]:
        """The silences of places."""
        return [self.silences[each] for place in places for each in sorted(self.silent.get(place, ()))]

    def is_maintained(self, place: Place) -> bool:
        """Whether maintenance is all that is known of a place's silence."""
        quiet = [each.quiet_by or "" for each in self.of([place])]
        return bool(quiet) and all(each.startswith(MAINTENANCE) for each in quiet)

    def orphans(self) -> Iterator[Place]:
        """Silent places nobody has been told of, whose group has ended."""
        living = set() if self.everywhere is None else {self.everywhere.opening.incident_id}
        for place in self.silent:
            account = self.accounts.get(place.account_id)
            if account is None or place not in account.members:
                quiet = [each.quiet_by for each in self.of([place])]
                if all(each is not None and each not in living for each in quiet) and not self.is_maintained(place):
                    yield place

    def _learn_end(self, alert: Alert) -> None:
        place = self.silences.pop(alert.incident_id).place
        left = self.silent.pop(place) - {alert.incident_id}
        if left:
            self.silent[place] = left
            return
        self._silent_of[place.account_id].discard(place)
        account = self.accounts.get(place.account_id)
        if account is not None and place in account.members:
            self.accounts[place.account_id] = _shrunk(account, place, alert)
        if self.everywhere is not None:
            self.everywhere = _shrunk(self.everywhere, place, alert)

    def _learn_group(self, alert: Alert) -> None:
        known = self.everywhere if alert.account_id is None else self.accounts.get(alert.account_id)
        group: Group | None = known
        if alert.status is Status.OPENED:
            members = frozenset(self._silent_of.get(alert.account_id or "", ()))
            group = Group(alert, members, quiet_by=alert.suppressed_by)
        elif alert.status in CLOSING:
            group = None
        elif known is not None:
            quiet_by = None if known.quiet_by is None else alert.suppressed_by
            group = msgspec.structs.replace(known, told=True, quiet_by=quiet_by)
        if alert.account_id is None:
            self.everywhere = group
        elif group is None:
            self.accounts.pop(alert.account_id, None)
        else:
            self.accounts[alert.account_id] = group


def _shrunk(group: Group, place: Place, ending: Alert) -> Group:
    return msgspec.structs.replace(
        group,
        members=group.members - {place},
        shrunk=True,
        proved=group.proved or ending.status is Status.RESOLVED,
        end_us=max(group.end_us, ending.window_end_us),
    )
