"""Gunzip that trusts nothing."""

from __future__ import annotations

import gzip
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letters import Reason
from schemas.errors import UnreadableContent
from transforms.inflate import inflate

BODY = b'{"Records":[' + b",".join(b'{"eventID":"%d"}' % number for number in range(500)) + b"]}"
STREAM = gzip.compress(BODY, mtime=0)
LIMIT = 1_000_000


def reason(data: bytes, max_bytes: int = LIMIT) -> Reason:
    """Why bytes are refused."""
    with pytest.raises(UnreadableContent) as caught:
        inflate(data, max_bytes)
    return caught.value.reason


def with_trailer(crc: int, size: int) -> bytes:
    """The stream under another trailer."""
    return STREAM[:-8] + struct.pack("<II", crc, size)


@given(st.binary(max_size=5000), st.integers(0, 9))
def test_gzip_of_anything_comes_back(body: bytes, level: int) -> None:
    """Whatever was compressed, at any level, is what is inflated."""
    assert inflate(gzip.compress(body, level), LIMIT) == body


@given(st.binary(max_size=2000), st.data())
def test_every_cut_is_refused(body: bytes, data: st.DataObject) -> None:
    """A stream that lost its end, be it one byte, is no body."""
    stream = gzip.compress(body)
    cut = stream[: data.draw(st.integers(0, len(stream) - 1))]
    assert reason(cut) is (Reason.TRUNCATED_GZIP if len(cut) > 1 else Reason.NOT_GZIP)


@pytest.mark.parametrize("length", [2, 3, 9, 10, 11, len(STREAM) // 2, *range(len(STREAM) - 9, len(STREAM))])
def test_truncated_is_said_wherever_the_cut_is(length: int) -> None:
    """In the header, the data, or the trailer."""
    assert reason(STREAM[:length]) is Reason.TRUNCATED_GZIP


@pytest.mark.parametrize("data", [b"", b"\x1f", b"{}", b"PK\x03\x04", b"\x00" * 50, zlib.compress(BODY)])
def test_what_is_no_gzip_is_called_so(data: bytes) -> None:
    """Nothing, plain JSON, a zip archive and a bare zlib stream are not gzip."""
    assert reason(data) is Reason.NOT_GZIP


@pytest.mark.parametrize("position", [2, 10, 11])
def test_impossible_blocks_are_corrupt(position: int) -> None:
    """An unknown method, and block types that do not exist."""
    assert reason(STREAM[:position] + b"\xff\xff\xff" + STREAM[position + 3 :]) is Reason.CORRUPT_GZIP


@pytest.mark.parametrize(
    "data",
    [
        with_trailer(zlib.crc32(BODY) ^ 1, len(BODY)),
        with_trailer(zlib.crc32(BODY), len(BODY) + 1),
        with_trailer(0, 0),
    ],
    ids=["crc", "isize", "zeros"],
)
def test_a_wrong_trailer_is_refused(data: bytes) -> None:
    """The checksum and the length must both be those of the body."""
    assert reason(data) is Reason.WRONG_TRAILER


@given(st.integers(10, len(STREAM) - 10), st.integers(1, 255))
def test_a_changed_byte_never_passes(position: int, flip: int) -> None:
    """One byte of the data changed is found out (in the last one there may be bits that say nothing)."""
    broken = bytearray(STREAM)
    broken[position] ^= flip
    with pytest.raises(UnreadableContent):
        inflate(bytes(broken), LIMIT)


@pytest.mark.parametrize("second", [b"", BODY], ids=["empty", "full"])
def test_a_second_member_is_refused(second: bytes) -> None:
    """Readers disagree about what follows the first member."""
    assert reason(STREAM + gzip.compress(second)) is Reason.SECOND_MEMBER


@pytest.mark.parametrize("tail", [b"\0", b"\n", b"\x1f", b"garbage", b"\0" * 512])
def test_bytes_behind_the_stream_are_refused(tail: bytes) -> None:
    """Zeros too: no writer of log objects pads."""
    assert reason(STREAM + tail) is Reason.TRAILING_BYTES


def test_a_bomb_stops_at_the_cap() -> None:
    """A thousandfold expansion is refused by size, not inflated first."""
    assert reason(gzip.compress(bytes(50_000_000)), 1000) is Reason.TOO_LARGE


def test_the_cap_is_exact() -> None:
    """A body of the cap's size passes; one byte more does not."""
    assert inflate(STREAM, len(BODY)) == BODY
    assert reason(STREAM, len(BODY) - 1) is Reason.TOO_LARGE


def test_optional_header_fields_are_read() -> None:
    """A file name in the header is part of gzip."""
    named = STREAM[:3] + b"\x08" + STREAM[4:10] + b"log.json\0" + STREAM[10:]
    assert inflate(named, LIMIT) == BODY
