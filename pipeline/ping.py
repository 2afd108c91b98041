"""A URL that is called after each completed cycle: somebody outside hears of silence, even when this machine dies."""

from __future__ import annotations

import http.client
import queue
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable

from schemas.errors import UsageError

_TIMEOUT_S = 5.0
_REST_S = 15.0  # services refuse more than some calls a minute, and a folder's cycles last a second


def _rest() -> None:
    threading.Event().wait(_REST_S)


class Pinger:
    """GETs a URL from a thread of its own, so that no cycle waits for it, and takes a `rest` after each call.

    Calls that are asked for meanwhile are one. The URL often is a secret: `warn` is told the host and what went wrong,
    when that changes.

    Raises:
        UsageError: neither http:// nor https://.
    """

    def __init__(self, url: str, warn: Callable[[str], None], rest: Callable[[], object] = _rest) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            host = parts.hostname
        except ValueError:
            host = None
        if host is None or parts.scheme not in ("http", "https"):
            raise UsageError(["--ping: not an http:// or https:// URL"])
        self._url, self._host, self._warn, self._rest = url, host, warn, rest
        self._wanted: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._trouble = ""
        threading.Thread(target=self._keep, name="ping", daemon=True).start()

    def ping(self) -> None:
        """Ask for a call, soon."""
        self._wanted.put(None)

    def _keep(self) -> None:
        while True:
            self._wanted.get()
            while not self._wanted.empty():
                self._wanted.get()
            trouble = self._call()
            if trouble and trouble != self._trouble:
                self._warn(f"ping of {self._host} failed: {trouble}")
            self._trouble = trouble
            self._rest()

    def _call(self) -> str:
        request = urllib.request.Request(self._url, headers={"User-Agent": "trailcanary"})  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                answer.read(1024)
        except urllib.error.HTTPError as error:
            error.close()
            return f"status {error.code}"
        except (OSError, http.client.HTTPException, ValueError) as error:  # their texts may name the URL
            reason = getattr(error, "reason", error)
            return type(reason).__name__ if isinstance(reason, Exception) else type(error).__name__
        return ""
