"""From a URI to a `Storage`."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

from pipeline.local_storage import LocalStorage
from pipeline.s3_storage import S3Storage
from schemas.errors import UsageError
from schemas.storage import Storage

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


def open_storage(uri: str) -> Storage:
    """The storage that `uri` names: `s3://bucket[/prefix]`, a folder, `~/folder` or `file:///folder`.

    Touches neither disk nor network. Raises UsageError for anything else.
    """
    if "\0" in uri or not uri.strip() or not _is_utf8(uri):
        raise UsageError([f"not a folder or s3://bucket/prefix: {uri!r}"])
    parts = _SCHEME.fullmatch(uri)
    if parts is None:
        return _folder(uri, uri)
    scheme, rest = parts[1].lower(), parts[2]
    if scheme == "s3":
        return _bucket(uri, rest)
    if scheme == "file":
        host, slash, path = rest.partition("/")
        if host not in ("", "localhost") or not slash:
            raise UsageError([f"{uri}: a file URI names an absolute folder, file:///folder"])
        return _folder(uri, "/" + urllib.parse.unquote(path))
    raise UsageError([f"{uri}: unknown scheme {parts[1]}://; use a folder or s3://bucket/prefix"])


def _bucket(uri: str, rest: str) -> S3Storage:
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError([f"{uri}: {bucket!r} is not the name of a bucket"])
    return S3Storage(bucket, prefix.strip("/"))


def _folder(uri: str, path: str) -> LocalStorage:
    try:
        folder = Path(path).expanduser()
    except RuntimeError as error:  # ~somebody, and nobody has that name
        raise UsageError([f"{uri}: {error}"]) from error
    return LocalStorage(str(folder.absolute()))


def _is_utf8(uri: str) -> bool:
    try:
        uri.encode()
    except UnicodeEncodeError:  # bytes of the command line that are no text
        return False
    return True
