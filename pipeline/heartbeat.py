"""A watch's own heartbeat: an alert when no cycle is completed, from a thread that hangs with none of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from pipeline.alerts import write_fresh
from schemas.alerts import Alert
from schemas.errors import StorageError
from schemas.storage import Storage
from schemas.times import SECOND_US
from transforms.stalled_alerts import recovered, stalled
from transforms.tally import TALLY

_LONGEST_NAP_S = 5.0


class Heartbeat:
    """Raises `ingest.stalled` once for each time that no cycle is completed for `limit_us`; a later one resolves it.

    Objects that are read meanwhile count as life: to catch up with a month takes longer than any limit. `raised` hears
    of each alert that is written, `failed` of an alert that could not be; it is tried again. Alerts are written under
    `name`, and in the lake that the watch holds, while `lock` is held.
    """

    def __init__(
        self,
        lake: Storage,
        name: str,
        *,
        limit_us: int,
        clock: Callable[[], int],
        raised: Callable[[Alert], None],
        failed: Callable[[StorageError], None],
        lock: threading.Lock | None = None,
    ) -> None:
        self._lake = lake
        self._name = name
        self._limit_us = limit_us
        self._clock = clock
        self._raised = raised
        self._failed = failed
        self._lock = lock or threading.Lock()
        self._alive_us = clock()
        self._read = TALLY.counts
        self._open: dict[str, Alert] = {}

    @property
    def is_stalled(self) -> bool:
        """Whether an alert is open."""
        return bool(self._open)

    def completed(self, at_us: int, left_open: Iterable[Alert] = ()) -> list[Alert]:
        """A cycle was completed: resolve what is open, that of an earlier process too; return what was written.

        Raises:
            StorageError: the lake could not be written; the next cycle tries again.
        """
        with self._lock:
            self._alive_us = max(at_us, self._alive_us)
            for alert in left_open:
                self._open.setdefault(alert.incident_id, alert)
            if not self._open:
                return []
            ends = [recovered(alert, at_us) for alert in self._open.values()]
            written = write_fresh(self._lake, self._name, ends)
            opened, self._open = list(self._open.values()), {}
        for alert in written:
            self._raised(alert)
        return [*opened, *written]

    def check(self) -> None:
        """Raise the alert if it is time."""
        now_us = self._clock()
        with self._lock:
            if TALLY.counts != self._read:
                self._read, self._alive_us = TALLY.counts, now_us
            if self._open or now_us - self._alive_us < self._limit_us:
                return
            alert = stalled(self._lake.root, self._alive_us, self._limit_us)
            try:
                write_fresh(self._lake, self._name, [alert])
            except StorageError as error:
                self._failed(error)
                return
            self._open[alert.incident_id] = alert
        self._raised(alert)

    def start(self) -> threading.Event:
        """Check in a thread of its own, until the event that is returned is set."""
        ended = threading.Event()
        nap_s = min(_LONGEST_NAP_S, self._limit_us / SECOND_US / 4)

        def keep() -> None:
            while not ended.wait(nap_s):
                self.check()

        threading.Thread(target=keep, name="heartbeat", daemon=True).start()
        return ended
