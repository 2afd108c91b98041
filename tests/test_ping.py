"""Pings against a server on loopback."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.ping import Pinger
from schemas.errors import UsageError

SECRET = "0a1b2c3d-secret"


class Switch(ThreadingHTTPServer):
    """A dead man's switch that notes what it is asked, and answers as a test says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: queue.Queue[str] = queue.Queue()
        self.status = 200

    @property
    def url(self) -> str:
        """Where to ping it."""
        return f"http://127.0.0.1:{self.server_port}/ping/{SECRET}"


class _Handler(BaseHTTPRequestHandler):
    server: Switch

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.end_headers()
        self.server.asked.put(self.path)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def switch() -> Iterator[Switch]:
    """A server on a free port."""
    server = Switch()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_each_ping_is_a_request(switch: Switch) -> None:
    """A GET of the URL as it was given, and no warning."""
    warnings: list[str] = []
    pinger = Pinger(switch.url, warnings.append, rest=lambda: None)
    for _ in range(3):
        pinger.ping()
        assert switch.asked.get(timeout=10) == f"/ping/{SECRET}"
    assert warnings == []


def test_rests_after_each(switch: Switch) -> None:
    """Cycles of a second must not call a service every second: what is asked for in a rest is one call after it."""
    rested: queue.Queue[None] = queue.Queue()
    pinger = Pinger(switch.url, print, rest=lambda: rested.get(timeout=10))
    for _ in range(2):
        for _ in range(3):
            pinger.ping()
        switch.asked.get(timeout=10)
        for _ in range(3):
            pinger.ping()
        assert switch.asked.empty()
        rested.put(None)
        switch.asked.get(timeout=10)
        rested.put(None)


def test_failing_ping_is_one_warning_without_the_secret(switch: Switch) -> None:
    """Told when it changes, and never with the URL."""
    told: queue.Queue[str] = queue.Queue()
    pinger = Pinger(switch.url, told.put, rest=lambda: None)
    switch.status = 404
    for _ in range(3):
        pinger.ping()
        switch.asked.get(timeout=10)
    assert told.get(timeout=10) == "ping of 127.0.0.1 failed: status 404"
    switch.status = 503
    pinger.ping()
    assert told.get(timeout=10) == "ping of 127.0.0.1 failed: status 503"
    assert told.empty()


def test_nobody_there() -> None:
    """A refused connection is a warning too."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as free:
        port = free.server_port
    told: queue.Queue[str] = queue.Queue()
    Pinger(f"http://127.0.0.1:{port}/{SECRET}", told.put).ping()
    assert told.get(timeout=10) == "ping of 127.0.0.1 failed: ConnectionRefusedError"


@pytest.mark.parametrize(
    "url", ["", "ftp://example.com/x", "example.com", "file:///etc/passwd", "http://", "http://[x"]
)
def test_no_url(url: str) -> None:
    """Only http and https, and the message does not repeat what may be a secret."""
    with pytest.raises(UsageError, match=r"^--ping: not an http:// or https:// URL$"):
        Pinger(url, print)
