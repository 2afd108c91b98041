"""A world for emitters: a server that answers as AWS does, a clock that moves when somebody waits, a configuration."""

from __future__ import annotations

import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from canary_worlds import START_US

from pipeline.config import load_config
from schemas.settings import Config
from schemas.times import MINUTE_US

SECRET = b"s" * 64
ACCOUNTS = ("111122223333", "444455556666")
REGIONS = ("eu-west-1", "us-east-1")
CANARY = """
[[canary]]
name     = "c"
accounts = ["111122223333", "444455556666"]
regions  = ["eu-west-1", "us-east-1"]
period   = "5m"
grace    = "15m"
[canary.match]
event_name = "RunInstances"
[canary.code]
carrier     = "request_parameters.clientToken"
secret_file = "key"
[canary.emit]
role        = "canary"
external_id = "tc"
"""
UNAUTHORIZED, DRY_RUN = "UnauthorizedOperation", "DryRunOperation"


class Request(msgspec.Struct, frozen=True):
    """What came over the socket."""

    service: str
    region: str
    key_id: str
    path: str
    agent: str
    sent: dict[str, str]
    body: str

    @property
    def place(self) -> tuple[str, str]:
        """The account whose role signed, and the region."""
        return self.key_id.removeprefix("KEY"), self.region


class Aws:
    """Answers as STS, EC2 and S3 do; `code_of` says with which error, None for success."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.code_of: Callable[[Request], str | None] = lambda _: UNAUTHORIZED
        self.status = 403
        self._lock = threading.Lock()

    def answer(self, request: Request) -> tuple[int, str]:
        """Status and XML."""
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
        role = re.fullmatch(r"arn:aws[a-z-]*:iam::(\d{12}):role/canary", request.sent.get("RoleArn", ""))
        if request.service == "sts" and role:
            return 200, _ASSUMED.format(account=role[1])
        code = self.code_of(request)
        if code is None:
            return 200, "<RunInstancesResponse><requestId>r</requestId></RunInstancesResponse>"
        form = {"ec2": _EC2, "s3": _S3, "sts": _STS}[request.service]
        return self.status, form.format(code=code, number=number)

    def made(self, service: str = "ec2") -> list[Request]:
        """Requests to one service, those that assume a role aside."""
        return [
            each
            for each in self.requests
            if each.service == service and not each.sent.get("RoleArn", "").endswith("/canary")
        ]


_ASSUMED = (
    "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>KEY{account}</AccessKeyId><SecretAccessKey>s"
    "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-11-01T01:00:00Z</Expiration></Credentials>"
    "</AssumeRoleResult></AssumeRoleResponse>"
)
_EC2 = (
    "<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors>"
    "<RequestID>request-{number}</RequestID></Response>"
)
_S3 = "<Error><Code>{code}</Code><Message>no</Message><RequestId>request-{number}</RequestId></Error>"
_STS = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error>"
    "<RequestId>request-{number}</RequestId></ErrorResponse>"
)


def _handler(aws: Aws) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            signed = re.search(r"Credential=(\w+)/\d+/([\w-]+)/(\w+)/", self.headers["Authorization"])
            assert signed is not None
            sent = dict(urllib.parse.parse_qsl(body))
            agent = self.headers["User-Agent"]
            status, text = aws.answer(Request(signed[3], signed[2], signed[1], self.path, agent, sent, body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_PUT = do_POST  # noqa: N815 - the server's name for it

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler


@contextmanager
def served(answers: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server on loopback, and an environment that leads to it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(answers)) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEYOWN")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "own")
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield
        server.shutdown()
        serving.join()


class Hours:
    """A clock that stands, and moves when somebody waits; it may stop the emitter at some time."""

    def __init__(self, now_us: int = START_US + MINUTE_US, end_us: int = 1 << 62) -> None:
        self.now_us = now_us
        self.end_us = end_us

    @property
    def stopping(self) -> bool:
        """Whether the end has come."""
        return self.now_us >= self.end_us

    def wait(self, length_us: int) -> None:
        """Time passes."""
        self.now_us += length_us

    def clock(self) -> int:
        """Now."""
        return self.now_us


def config(tmp_path: Path, text: str = CANARY) -> Config:
    """A configuration, with a secret beside it."""
    (tmp_path / "key").write_bytes(SECRET)
    return load_config(text, str(tmp_path / "c.toml"))


class Inline(Executor):
    """Makes each call before the clock moves on."""

    def submit(self, make: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """At once."""
        future: Future[Any] = Future()
        try:
            future.set_result(make(*args, **kwargs))
        except AssertionError as error:
            future.set_exception(error)
        return future
