"""Facts of what belongs to the log path: what CloudTrail's own calls show, and where other calls say that it leads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from schemas.alerts import content_id
from schemas.log_path import Aspect, PathFact
from transforms.path_links import Link, trail_key_links
from transforms.path_names import canonical
from transforms.readable_records import readable_records
from transforms.rules.members import at, text
from transforms.rules.resources import resources_of
from transforms.unicode_text import encodable

Place = tuple[int, int, str]
"""When an event happened, when it was delivered, and by which object."""

_CLOUDTRAIL = "cloudtrail.amazonaws.com"
_CONTEXT = "aws:cloudtrail:arn"
# What CloudTrail asks while it delivers: the bucket's ACL, and a data key for a log object of a trail (facts §6).
_OWN_CALLS = pa.array(["GetBucketAcl", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"], pa.string())
_READING = "Decrypt"  # what S3 asks for whoever reads such an object, with the same encryption context


def link_facts(rows: pa.Table) -> Iterator[PathFact]:
    """What CloudTrail's own calls show while it delivers: which trail encrypts with which key, into which bucket.

    Only AWS can say that a service calls, so nobody else can add to the path by asking for data keys. What was
    decrypted with a trail's encryption context leads from that trail to the key, if the trail is on the path.
    """
    by = pc.equal(pc.struct_field(rows["user_identity"], "invoked_by"), _CLOUDTRAIL)
    own = pc.fill_null(pc.and_(by, pc.is_in(rows["event_name"], value_set=_OWN_CALLS)), fill_value=False)
    for record, place in _distinct(rows.filter(own)):
        bucket, (trail, key, path) = text_of(at(record, "requestParameters", "bucketName")), _context_of(record)
        if record.get("eventSource") == "s3.amazonaws.com" and bucket:
            yield _link(record, place, canonical(bucket), ())
        elif trail and key:
            links = {canonical(name) for name in (key, path) if name}
            yield _link(record, place, canonical(trail), tuple(sorted(links)))
    read = rows.filter(pc.equal(rows["event_name"], _READING))
    read = read.filter(pc.fill_null(pc.match_substring(read["request_parameters"], _CONTEXT), fill_value=False))
    for record, place in _distinct(read):
        if record.get("eventSource") == "kms.amazonaws.com" and not record.get("errorCode"):
            yield from (leading(record, place, link) for link in trail_key_links(*_context_of(record)))


def leading(record: Mapping[str, Any], place: Place, link: Link) -> PathFact:
    """The fact that an event shows a link."""
    return msgspec.structs.replace(_link(record, place, encodable(link.resource), (link.to,)), aspect=Aspect.LEADS)


def places(rows: pa.Table) -> Iterator[Place]:
    """The place of each row."""
    columns = (rows["event_time"].cast(pa.int64()), rows["delivered_at"].cast(pa.int64()), rows["object_key"])
    yield from zip(*(column.to_pylist() for column in columns), strict=True)


def event_id_of(event: Mapping[str, Any], object_key: str) -> str:
    """The event's id; of one that has none, its object and name."""
    found = event.get("eventID")
    return text_of(found) or content_id(object_key, text_of(event.get("eventName")) or "")


def text_of(value: Any) -> str | None:
    """A text that any output can encode; None where there is none."""
    found = text(value)
    return encodable(found) if found else None


def _context_of(record: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """The trail, the key and the object that a call on a key is for."""
    context = at(record, "requestParameters", "encryptionContext")
    key = next((each.name for each in resources_of(record) if ":key/" in each.name), None)
    return text_of(at(context, _CONTEXT)), key, text_of(at(context, "aws:s3:arn"))


def _distinct(some: pa.Table) -> Iterator[tuple[dict[str, Any], Place]]:
    """Of calls that ask for the same the first; an object's own name, which differs for each, is no matter."""
    if some.num_rows == 0:
        return
    asked = pc.replace_substring_regex(pc.fill_null(some["request_parameters"], ""), r"/AWSLogs/[^\"]*", "")
    firsts: dict[str, int] = {}
    for number, text_ in enumerate(asked.to_pylist()):
        firsts.setdefault(text_, number)
    kept = some.take(pa.array(firsts.values(), pa.int64()))
    yield from zip(readable_records(kept), places(kept), strict=True)


def _link(record: Mapping[str, Any], place: Place, resource: str, links: tuple[str, ...]) -> PathFact:
    event_us, delivered_us, object_key = place
    return PathFact(
        aspect=Aspect.LINK,
        resource=resource,
        name=resource,
        sound=True,
        event_us=event_us,
        event_id=event_id_of(record, object_key),
        event_name=text_of(record.get("eventName")) or "",
        delivered_us=delivered_us,
        object_key=object_key,
        links=links,
    )
