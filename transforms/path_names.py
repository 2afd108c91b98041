"""One spelling for each resource of the log path, whatever a call names it by."""

from __future__ import annotations

import re

from transforms.unicode_text import encodable

_KEPT = 2048
_PARTITION = re.compile(r"^arn:[\w-]*:")


def canonical(name: str) -> str:
    """The one spelling of a resource.

    Keys are `key/ID`, whatever region and account an ARN names (an id is unique); buckets, also of an object's or an
    ARN's, their bare name; all else (trails, aliases, data stores, topics) the ARN that it is. Partitions are not told
    apart: account ids, buckets and keys are of one.
    """
    text = encodable(name)[:_KEPT]
    if ":key/" in text or text.startswith("key/"):
        return f"key/{text.rpartition('key/')[2]}"
    if ":::" in text:
        return text.rpartition(":::")[2].partition("/")[0]
    if text.startswith(("arn:", "alias/")):
        return _PARTITION.sub("arn:aws:", text)
    return text.partition("/")[0]
