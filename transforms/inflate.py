"""Gunzip that trusts nothing: not the size, not the trailer, not what follows."""

from __future__ import annotations

from isal import igzip_lib, isal_zlib

from schemas.dead_letters import Reason
from schemas.errors import UnreadableContent

_GZIP_WBITS = 31
_MAGIC = b"\x1f\x8b"


def inflate(data: bytes, max_bytes: int) -> bytes:
    """Inflate one gzip member, whole, of at most `max_bytes`.

    A truncated stream, a wrong trailer and anything behind the first member are refused: AWS writes one member, and
    readers that disagree about the rest would see different records.

    Raises:
        UnreadableContent: not_gzip, truncated_gzip, corrupt_gzip, wrong_gzip_trailer, too_large, second_gzip_member
            or trailing_bytes.
    """
    if not data.startswith(_MAGIC):
        raise UnreadableContent(Reason.NOT_GZIP, f"{len(data)} bytes that start with {data[:4].hex() or 'nothing'}")
    stream = isal_zlib.decompressobj(wbits=_GZIP_WBITS)
    try:
        body: bytes = stream.decompress(data, max_bytes + 1)
    except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub does not say that it is an exception
        checksum = "checksum" in str(error)
        raise UnreadableContent(Reason.WRONG_TRAILER if checksum else Reason.CORRUPT_GZIP, str(error)) from None
    if len(body) > max_bytes:
        raise UnreadableContent(Reason.TOO_LARGE, f"inflates to more than {max_bytes:,} bytes")
    if not stream.eof:
        raise UnreadableContent(Reason.TRUNCATED_GZIP, f"ends after {len(body):,} inflated bytes")
    if stream.unused_data.startswith(_MAGIC):
        raise UnreadableContent(Reason.SECOND_MEMBER, f"{len(stream.unused_data):,} bytes of a second gzip member")
    if stream.unused_data:
        raise UnreadableContent(Reason.TRAILING_BYTES, f"{len(stream.unused_data):,} bytes behind the gzip stream")
    return body
