"""A Google service account's way to an AWS role, with a metadata server and an STS on loopback."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import boto3
import pytest
from botocore.exceptions import CredentialRetrievalError

PROGRAM = Path(__file__).parent.parent / "deploy" / "dataflow" / "aws_credentials.py"
ROLE = "arn:aws:iam::111122223333:role/trailcanary"


class Metadata(BaseHTTPRequestHandler):
    """Google's metadata server, as far as tokens go."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        """A token."""
        self.asked.append((self.path, self.headers["Metadata-Flavor"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"header.claims.signature")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str | None]]]:
    """What the metadata server was asked, which the environment leads to."""
    server = HTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{server.server_port}")
    Metadata.asked.clear()
    yield Metadata.asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def configured(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of a worker: no keys, and the image's AWS configuration."""
    config = tmp_path / "aws-config"
    process = f"{sys.executable} {PROGRAM} {ROLE} trailcanary eu-west-1"
    config.write_text(f"[default]\nregion = eu-west-1\ncredential_process = {process}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("configured")
def test_boto3_finds_the_role(metadata: list[tuple[str, str | None]]) -> None:
    """Without any key in its environment boto3 acts as the role, in the image's region."""
    session = boto3.session.Session()
    keys = session.get_credentials()
    assert keys is not None
    assert (keys.method, keys.access_key[:4], session.region_name) == ("custom-process", "ASIA", "eu-west-1")
    assert "trailcanary" in session.client("sts").get_caller_identity()["Arn"]
    assert metadata == [
        ("/computeMetadata/v1/instance/service-accounts/default/identity?audience=trailcanary&format=full", "Google")
    ]


@pytest.mark.usefixtures("configured")
def test_no_metadata_server(metadata: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason reaches whoever asks boto3; nothing asks for ever."""
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
    with pytest.raises(CredentialRetrievalError, match=f"no keys of {ROLE}: .*refused"):
        boto3.session.Session().get_credentials()
    assert metadata == []
