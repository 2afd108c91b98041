"""Public keys: fetched from CloudTrail, pinned in the lake, read back; nothing that contradicts a pin gets in."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.__main__ import main
from pipeline.key_source import list_public_keys
from pipeline.local_storage import LocalStorage
from pipeline.public_keys import add_keys, handed_keys, lake_keys
from schemas.digests import PublicKey
from schemas.errors import LakeDamaged, PublicKeyError
from schemas.public_keys import decode_key, encode_key, is_key_path, key_path, public_key
from schemas.times import DAY_US, SECOND_US, parse_iso_us

START_US = parse_iso_us("2026-11-01T00:00:00Z")


def key(der: bytes = b"der", region: str = "us-east-1", fingerprint: str | None = None) -> PublicKey:
    """A key of thirty days."""
    named = fingerprint or hashlib.md5(der, usedforsecurity=False).hexdigest()
    return public_key(region, named, der, START_US, START_US + 30 * DAY_US)


@pytest.fixture
def lake(tmp_path: Path) -> LocalStorage:
    """A lake that is not there yet."""
    return LocalStorage(str(tmp_path / "lake"))


class CloudTrail:
    """Answers `ListPublicKeys` for each region with what `answers` has: pages, or the code of an error."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, list[list[dict[str, Any]]] | str] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def give(self, region: str, *pages: list[PublicKey]) -> None:
        """Answer with these keys."""
        self.answers[region] = [[_as_aws(each) for each in page] for page in pages]

    def answer(self, region: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body."""
        self.asked.append((region, sent))
        given = self.answers.get(region, [[]])
        if isinstance(given, str):
            return 400, {"__type": given, "message": "no"}
        page = int(sent.get("NextToken", "0"))
        more = {"NextToken": str(page + 1)} if page + 1 < len(given) else {}
        return 200, {"PublicKeyList": given[page], **more}


def _as_aws(each: PublicKey) -> dict[str, Any]:
    return {
        "Value": base64.b64encode(each.der).decode(),
        "Fingerprint": each.fingerprint,
        "ValidityStartTime": each.valid_from_us // SECOND_US,
        "ValidityEndTime": each.valid_until_us // SECOND_US,
    }


@pytest.fixture
def cloudtrail(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudTrail]:
    """A server on loopback that the environment leads to."""
    aws: CloudTrail

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            region = self.headers["Authorization"].split("/")[2]
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = aws.answer(region, sent)
            encoded = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    aws = CloudTrail(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDTRAIL", aws.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield aws
    server.shutdown()
    server.server_close()
    thread.join()


@given(st.binary(min_size=1), st.text("0123456789abcdef", min_size=1), st.integers(0, 1 << 50), st.integers(0, 1 << 50))
def test_a_key_is_read_as_it_was_written(der: bytes, fingerprint: str, from_us: int, until_us: int) -> None:
    """Whatever its bytes are; its path names it."""
    there = public_key("eu-west-1", fingerprint, der, from_us, until_us)
    assert decode_key(key_path(there), encode_key(there)) == there
    assert is_key_path(key_path(there))


def test_keys_are_written_once_and_never_replaced(lake: LocalStorage) -> None:
    """A key that is given again, with another validity even, changes nothing."""
    assert add_keys(lake, lake_keys(lake), [key(), key(b"other"), key(), key(region="eu-west-1")]) == 3
    before = {stat.path: lake.read(stat.path).body for stat in lake.list()}
    longer = public_key("us-east-1", key().fingerprint, b"der", START_US, START_US + 99 * DAY_US)
    assert add_keys(lake, lake_keys(lake), [longer]) == 0
    assert {stat.path: lake.read(stat.path).body for stat in lake.list()} == before
    assert sorted(before) == sorted(f"keys/{key_path(each)}" for each in lake_keys(lake))


def test_another_key_under_a_pinned_fingerprint_is_refused(lake: LocalStorage) -> None:
    """MD5 is no proof: the SHA-256 decides, and nothing is written. In another region it is another key."""
    add_keys(lake, (), [key()])
    twin = key(b"forged", fingerprint=key().fingerprint)
    with pytest.raises(PublicKeyError, match="refused"):
        add_keys(lake, lake_keys(lake), [key(b"new"), twin])
    assert lake_keys(lake) == (key(),)
    assert add_keys(lake, lake_keys(lake), [key(b"x", "eu-west-1", key().fingerprint)]) == 1


def test_twins_in_one_answer_are_refused(lake: LocalStorage) -> None:
    """Nothing is pinned yet, and still only one of them can be CloudTrail's."""
    with pytest.raises(PublicKeyError, match="refused"):
        add_keys(lake, (), [key(), key(b"forged", fingerprint=key().fingerprint)])
    assert lake_keys(lake) == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.replace(b"ZGVy", b"ZGVz"),
        lambda body: body.replace(b"us-east-1", b"us-west-1"),
        lambda _: b"{}",
        lambda _: b"\xff",
    ],
)
def test_a_file_that_is_not_its_key_is_told(lake: LocalStorage, spoil: Callable[[bytes], bytes]) -> None:
    """A key is what its name says, or the lake is damaged: nothing verifies under it."""
    lake.write(f"keys/{key_path(key())}", spoil(encode_key(key())))
    with pytest.raises(LakeDamaged, match=key().sha256):
        lake_keys(lake)


def test_a_twin_that_was_put_into_the_lake_is_told(lake: LocalStorage) -> None:
    """Two files that claim one fingerprint in one region."""
    for each in (key(), key(b"forged", fingerprint=key().fingerprint)):
        lake.write(f"keys/{key_path(each)}", encode_key(each))
    with pytest.raises(LakeDamaged, match="fingerprint"):
        lake_keys(lake)


def test_keys_are_handed_over_as_a_lake_or_as_a_folder(lake: LocalStorage) -> None:
    """What else lies beside them is left alone."""
    add_keys(lake, (), [key()])
    lake.write("keys/README", b"not a key")
    assert handed_keys(lake) == handed_keys(LocalStorage(f"{lake.root}/keys")) == lake_keys(lake) == (key(),)


def test_keys_come_from_the_region_that_signs(cloudtrail: CloudTrail) -> None:
    """All pages of the answer; DER as bytes, times as CloudTrail gives them."""
    cloudtrail.give("us-east-1", [key(), key(b"second")], [key(b"third")])
    assert list_public_keys("us-east-1", START_US, START_US + DAY_US) == (key(), key(b"second"), key(b"third"))
    assert [region for region, _ in cloudtrail.asked] == ["us-east-1", "us-east-1"]
    sent = cloudtrail.asked[0][1]
    assert (sent["StartTime"], sent["EndTime"]) == (START_US // SECOND_US, (START_US + DAY_US) // SECOND_US)


@pytest.mark.parametrize("given", ["AccessDeniedException", [[]], [[{"Fingerprint": "00"}]]])
def test_what_is_no_key_is_an_error_that_names_the_region(cloudtrail: CloudTrail, given: Any) -> None:
    """CloudTrail refuses, has none, or answers with what is none."""
    cloudtrail.answers["us-east-1"] = given
    with pytest.raises(PublicKeyError, match=r"us-east-1: ListPublicKeys: "):
        list_public_keys("us-east-1", START_US, START_US + DAY_US)


def test_fetch_keeps_what_regions_give(
    cloudtrail: CloudTrail, lake: LocalStorage, capsys: pytest.CaptureFixture[str]
) -> None:
    """One region that refuses costs the exit code, and not the keys of the others; the next call adds what is new."""
    cloudtrail.give("us-east-1", [key()])
    cloudtrail.answers["eu-west-1"] = "AccessDeniedException"
    fetch = ["keys", "fetch", "--output", lake.root, "--region", "eu-west-1", "--region", "us-east-1"]
    assert main(fetch) == 1
    out, err = capsys.readouterr()
    assert "us-east-1: 1 keys, 1 new, valid 2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z" in out
    assert "eu-west-1: ListPublicKeys: AccessDeniedException: no" in err
    cloudtrail.give("eu-west-1", [key(region="eu-west-1"), key(b"second", "eu-west-1")])
    assert main(fetch) == 0
    assert len(lake_keys(lake)) == 3


def test_fetch_refuses_loudly(cloudtrail: CloudTrail, lake: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    """A key under a pinned fingerprint that is another one: exit 1, and the pin stays."""
    add_keys(lake, (), [key()])
    cloudtrail.give("us-east-1", [key(b"forged", fingerprint=key().fingerprint)])
    assert main(["keys", "fetch", "--output", lake.root, "--region", "us-east-1"]) == 1
    assert "refused" in capsys.readouterr().err
    assert lake_keys(lake) == (key(),)


def test_list_says_what_the_lake_has(lake: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each key, or JSON; without keys it says so."""
    assert main(["keys", "list", "--output", lake.root]) == 0
    assert capsys.readouterr().out == "no keys\n"
    add_keys(lake, (), [key(), key(region="eu-west-1")])
    assert main(["keys", "list", "--output", lake.root]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["eu-west-1", "us-east-1"]
    assert all(key().sha256 in line for line in lines)
    assert main(["keys", "list", "--output", lake.root, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed[0] == {
        "region": "eu-west-1",
        "valid_from": "2026-11-01T00:00:00Z",
        "valid_until": "2026-12-01T00:00:00Z",
        "fingerprint": key().fingerprint,
        "sha256": key().sha256,
    }


def test_regions_and_times_are_checked(lake: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    """All problems at once, before anybody is asked."""
    span = ["--start", "2026-11-02T00:00:00Z", "--end", "2026-11-01T00:00:00Z"]
    assert main(["keys", "fetch", "--output", lake.root, "--region", "nowhere", *span]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "trailcanary: --region nowhere: not the name of a region",
        "trailcanary: --start comes after --end",
    ]
