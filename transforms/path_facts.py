"""Facts of the log path, out of archive rows: few rows are promising, and only these become Python objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from schemas.alerts import Severity, content_id
from schemas.log_path import Aspect, PathFact, distinct_facts
from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.modification_incidents import incident_id_of
from transforms.path_calls import SAYS, Context, Said
from transforms.path_names import canonical
from transforms.readable_records import readable_records
from transforms.rules.derived import derive
from transforms.rules.members import at, text
from transforms.rules.resources import is_own, resources_of
from transforms.unicode_text import encodable

_NAMES = pa.array(sorted({name for _, name in SAYS}), pa.string())
_SOURCES = pa.array(sorted({source for source, _ in SAYS}), pa.string())
_BLOCKING = Severity.MEDIUM
_NAME_KEPT = 2048
_CLOUDTRAIL = "cloudtrail.amazonaws.com"
# What CloudTrail asks while it delivers: the bucket's ACL, and a data key for a log object of a trail (facts §6).
_OWN_CALLS = pa.array(["GetBucketAcl", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"], pa.string())


def path_facts(rows: pa.Table, found: Iterable[Tampering], log_path: LogPath) -> list[PathFact]:
    """What successful events of these rows (`ARCHIVE_SCHEMA`) say of the log path; each thing once.

    Args:
        rows: Any rows of the archive, in any order; hostile content is no fact, and never raises.
        found: What rules found in them; facts of the same events name the incidents, and what no fact stands for
            becomes one of `Aspect.OTHER`.
        log_path: What is declared.
    """
    severe: dict[tuple[int, str], list[Tampering]] = {}
    for tampering in found:
        if tampering.scope == "trail" and tampering.succeeded:
            severe.setdefault(_key_of(tampering), []).append(tampering)
    facts = list(_of_calls(rows, severe, log_path))
    covered = {(fact.event_us, fact.event_id) for fact in facts}
    facts += [_blocker(each) for key, some in severe.items() if key not in covered for each in some if _blocks(each)]
    return list(distinct_facts((*facts, *_heartbeats(rows))))


def _key_of(tampering: Tampering) -> tuple[int, str]:
    return tampering.event_us, _event_id(tampering.event_id, tampering.object_key, tampering.event_name)


def _event_id(event_id: str | None, object_key: str, event_name: str) -> str:
    return event_id if event_id is not None else content_id(object_key, event_name)


def _blocks(tampering: Tampering) -> bool:
    return tampering.severity >= _BLOCKING and tampering.resource is not None


def _blocker(tampering: Tampering) -> PathFact:
    event_us, event_id = _key_of(tampering)
    return PathFact(
        aspect=Aspect.OTHER,
        resource=canonical(tampering.resource or ""),
        name=(tampering.resource or "")[:_NAME_KEPT],
        sound=False,
        event_us=event_us,
        event_id=event_id,
        event_name=tampering.event_name,
        delivered_us=tampering.delivered_us,
        object_key=tampering.object_key,
        account_id=tampering.account_id,
        region=tampering.region,
        incident_id=incident_id_of(tampering),
        severity=tampering.severity,
    )


def _of_calls(
    rows: pa.Table, found: Mapping[tuple[int, str], list[Tampering]], log_path: LogPath
) -> Iterator[PathFact]:
    told = pc.and_(pc.is_in(rows["event_source"], value_set=_SOURCES), pc.is_in(rows["event_name"], value_set=_NAMES))
    succeeded = pc.fill_null(pc.equal(rows["error_code"], ""), fill_value=True)
    some = rows.filter(pc.and_(told, succeeded))
    for record, place in zip(readable_records(some), _places(some), strict=True):
        yield from _of_record(record, place, found, log_path)


def _of_record(
    event: Mapping[str, Any],
    place: tuple[int, int, str],
    found: Mapping[tuple[int, str], list[Tampering]],
    log_path: LogPath,
) -> Iterator[PathFact]:
    event_us, delivered_us, object_key = place
    source, name = event.get("eventSource"), event.get("eventName")
    say = SAYS.get((source, name)) if isinstance(source, str) and isinstance(name, str) else None
    touched = resources_of(event)
    if say is None or not touched or event_us is None:
        return
    event_id = _event_id(_text(event.get("eventID")), object_key, str(name))
    tamperings = found.get((event_us, event_id), [])
    named = max(tamperings, key=lambda each: (each.severity, each.rule), default=None)
    for said in say(Context(event, derive(event, log_path), event_us, is_own(event, log_path))):
        yield PathFact(
            aspect=said.aspect,
            resource=said.resource or canonical(touched[0].name),
            name=encodable(touched[0].name)[:_NAME_KEPT],
            sound=said.sound,
            event_us=event_us,
            event_id=event_id,
            event_name=str(name),
            delivered_us=delivered_us,
            object_key=object_key,
            account_id=_text(event.get("recipientAccountId")) or _text(at(event, "userIdentity", "accountId")),
            region=_text(event.get("awsRegion")),
            actor=_text(at(event, "userIdentity", "arn")),
            value=said.value,
            deadline_us=said.deadline_us,
            links=said.links,
            recorded=said.recorded,
            incident_id=incident_id_of(named) if named and not _is_plain(said) else None,
            severity=named.severity if named else Severity.INFO,
            own_severity=named.own_severity if named else None,
        )


def _is_plain(said: Said) -> bool:
    return said.aspect is Aspect.LINK or (said.sound and said.value is None)


def _text(value: Any) -> str | None:
    found = text(value)
    return encodable(found) if found else None


def _heartbeats(rows: pa.Table) -> Iterator[PathFact]:
    """CloudTrail's own calls while it delivers: which trail encrypts with which key, and into which bucket.

    Only AWS can say that a service calls, so nobody else can add to the path by asking for data keys.
    """
    by = pc.equal(pc.struct_field(rows["user_identity"], "invoked_by"), _CLOUDTRAIL)
    some = rows.filter(pc.fill_null(pc.and_(by, pc.is_in(rows["event_name"], value_set=_OWN_CALLS)), fill_value=False))
    if some.num_rows == 0:
        return
    for record, place in _distinct(some):
        bucket, keys = _text(at(record, "requestParameters", "bucketName")), _keys_of(record)
        context = at(record, "requestParameters", "encryptionContext")
        trail, path = _text(at(context, "aws:cloudtrail:arn")), _text(at(context, "aws:s3:arn"))
        if record.get("eventSource") == "s3.amazonaws.com" and bucket:
            yield _link(record, place, canonical(bucket), ())
        elif trail and keys:
            links = {canonical(name) for name in (keys[0], path) if name}
            yield _link(record, place, canonical(trail), tuple(sorted(links)))


def _keys_of(record: Mapping[str, Any]) -> list[str]:
    return [each.name for each in resources_of(record) if ":key/" in each.name]


def _distinct(some: pa.Table) -> Iterator[tuple[dict[str, Any], tuple[int, int, str]]]:
    """Of calls that ask for the same the first; an object's own name, which differs for each, is no matter."""
    asked = pc.replace_substring_regex(pc.fill_null(some["request_parameters"], ""), r"/AWSLogs/[^\"]*", "")
    firsts: dict[str, int] = {}
    for number, text_ in enumerate(asked.to_pylist()):
        firsts.setdefault(text_, number)
    kept = some.take(pa.array(firsts.values(), pa.int64()))
    yield from zip(readable_records(kept), _places(kept), strict=True)


def _places(rows: pa.Table) -> Iterator[tuple[int, int, str]]:
    """When each event happened, when it was delivered, and by which object."""
    columns = (rows["event_time"].cast(pa.int64()), rows["delivered_at"].cast(pa.int64()), rows["object_key"])
    yield from zip(*(column.to_pylist() for column in columns), strict=True)


def _link(record: Mapping[str, Any], place: tuple[int, int, str], resource: str, links: tuple[str, ...]) -> PathFact:
    event_us, delivered_us, object_key = place
    name = _text(record.get("eventName")) or ""
    return PathFact(
        aspect=Aspect.LINK,
        resource=resource,
        name=resource,
        sound=True,
        event_us=event_us,
        event_id=_event_id(_text(record.get("eventID")), object_key, name),
        event_name=name,
        delivered_us=delivered_us,
        object_key=object_key,
        links=links,
    )
