"""Digests in a process that goes on: each account and region is judged when there is news, or something is due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from schemas.alerts import Alert
from schemas.digest_proofs import LogObject
from schemas.digests import Digest
from transforms.absence_confidence import PlaceSight
from transforms.bundle_writer import BundleReport
from transforms.digest_book import DigestPlace
from transforms.digest_judge import DigestCheck, DigestJudge
from transforms.digest_tables import log_objects


class KnownDigests:
    """What a process that goes on knows of digests: a book for each place that has any. It begins with the lake.

    Without a `check` nothing is verified.
    """

    def __init__(self, check: DigestCheck | None) -> None:
        self._check = check
        self._judge = None if check is None else DigestJudge(check)
        self._books = {} if check is None else {book.place: book for book in check.read_books(None)}
        self._due_us: dict[DigestPlace, int | None] = dict.fromkeys(self._books, 0)
        self._covered_us: dict[DigestPlace, int | None] = {}
        self.sights: dict[DigestPlace, PlaceSight] = {}
        self._new: set[DigestPlace] = set()

    @property
    def due_us(self) -> int | None:
        """When something is due of itself."""
        return min((us for us in self._due_us.values() if us is not None), default=None)

    @property
    def has_any(self) -> bool:
        """Whether any place has digests that are verified: then the lake says what is proved of it."""
        return bool(self.sights)

    def hear(self, reports: Iterable[BundleReport]) -> None:
        """Take in what committed bundles say. A place that had no digests is read from the lake: it has all logs."""
        for place, (digests, objects) in news_of(reports if self._check else ()).items():
            book = self._books.get(place)
            if book is not None:
                self._books[place] = book.add(digests, objects)
                covered_us = self._covered_us.get(place)
                if is_news(digests, objects, covered_us):
                    self._due_us[place] = 0
            elif digests:
                self._new.add(place)

    def tell(self, as_of_us: int, opened: Iterable[Alert]) -> list[Alert]:
        """Alerts of the places that there is news of, or where something is due; told before or not."""
        if self._check is None or self._judge is None:
            return []
        if self._new:
            books = {book.place: book for book in self._check.read_books(self._new)}
            self._books |= books
            self._due_us |= dict.fromkeys(books, 0)
            self._new = set()
        opened, alerts = tuple(opened), list[Alert]()
        for place, due_us in sorted(self._due_us.items()):
            if due_us is not None and due_us <= as_of_us:
                verdict = self._judge.judge(self._books[place], opened, as_of_us)
                self._books[place], self._due_us[place] = verdict.book, verdict.due_us
                self._covered_us[place], self.sights[place] = verdict.covered_us, verdict.sight
                alerts += verdict.alerts
        return alerts


def news_of(reports: Iterable[BundleReport]) -> dict[DigestPlace, tuple[list[Digest], list[LogObject]]]:
    """Digests and logs of bundles, by account and region."""
    news: dict[DigestPlace, tuple[list[Digest], list[LogObject]]] = defaultdict(lambda: ([], []))
    for report in reports:
        for digest in report.digests:
            news[digest.chain.account_id, digest.chain.region][0].append(digest)
        for place, each in log_objects(report.rows, report.unread):
            news[place][1].append(each)
    return news


def is_news(digests: Iterable[Digest], objects: Iterable[LogObject], covered_us: int | None) -> bool:
    """Whether they may change a verdict now: logs do where a digest covers their time already."""
    return any(True for _ in digests) or covered_us is None or any(each.delivered_us <= covered_us for each in objects)
