"""The log path in a process that goes on: what is new is folded into what is known, which may be much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schemas.alerts import Alert
from schemas.log_path import PathFact
from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.path_claims import Joined, claimed
from transforms.path_fold import Fold, tell
from transforms.pending_findings import pending

_NEVER_US = -(2**63)


class KnownPath:
    """What a process that goes on knows of the log path.

    It says what `transforms.path_fold.tell` says of all facts and findings. Those that come in order of delivery, as
    they do day by day, are taken in by themselves; after others everything is folded again. `findings` are those that
    may still be escalated.
    """

    def __init__(self, log_path: LogPath, facts: Iterable[PathFact], findings: Iterable[Tampering] = ()) -> None:
        self._log_path = log_path
        self._facts: dict[object, PathFact] = {}
        self.findings: tuple[Tampering, ...] = ()
        self._new: list[PathFact] = []
        self._newest_us = _NEVER_US
        self._is_news = True
        self._begin()
        self.learn(facts, findings)
        self.due_us = tell(self._facts.values(), log_path, 0).due_us

    @property
    def facts(self) -> tuple[PathFact, ...]:
        """All facts, as `schemas.log_path.distinct_facts` gives them."""
        return tuple(sorted(self._facts.values(), key=lambda each: each.identity))

    def learn(self, facts: Iterable[PathFact], findings: Iterable[Tampering] = ()) -> None:
        """Take in facts and findings, known or not."""
        new = [each for each in sorted(facts, key=lambda each: each.precedence) if self._is_new(each)]
        replaced = any(each.sameness in self._facts for each in new)
        self._facts.update((each.sameness, each) for each in reversed(new))
        new = [each for each in new if self._facts[each.sameness] is each]  # of copies that come together one
        known, unsure = self.findings, tuple(findings)
        self.findings = pending((*known, *unsure)) if unsure else known
        late = set(self.findings).difference(known)
        self._is_news = self._is_news or bool(new or late)
        if replaced or not self._follows(new, late):
            self._begin()
            new, late = list(self._facts.values()), set(self.findings)
        self._fold.note(late)
        self._joined.learn(new)
        self._new += new
        self._newest_us = max((each.delivered_us for each in new), default=self._newest_us)

    def claim(self, tamperings: Iterable[Tampering]) -> Iterator[Tampering]:
        """Findings at the severity that they have for what is known to be on the path."""
        return (claimed(each, self._joined.since_us) for each in tamperings)

    def tell(self, as_of_us: int) -> tuple[Alert, ...]:
        """Alerts up to a time, all that were not told before and perhaps others; none where nothing has changed."""
        if not self._is_news and (self.due_us is None or self.due_us > as_of_us):
            return ()
        alerts = tuple(self._fold.tell(self._new, as_of_us))
        self._new, self._is_news = [], False
        self.due_us = self._fold.due_us
        return alerts

    def _begin(self) -> None:
        self._fold = Fold(self._log_path)
        self._joined = Joined(self._log_path)
        self._new = []
        self._newest_us = _NEVER_US

    def _is_new(self, fact: PathFact) -> bool:
        known = self._facts.get(fact.sameness)
        return known is None or fact.precedence < known.precedence

    def _follows(self, facts: list[PathFact], findings: set[Tampering]) -> bool:
        """Whether facts come after all that is known, and nothing that findings touch has joined the path since."""
        if any(each.delivered_us <= self._newest_us for each in facts) or not self._fold.follows(facts):
            return False
        joined_us = self._joined.since_us
        return all(joined_us.get(name, 0) <= each.delivered_us for each in findings for name in each.touched)
