"""Facts of the log path, out of archive rows: few rows are promising, and only these become Python objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from schemas.alerts import Severity
from schemas.log_path import Aspect, PathFact, distinct_facts
from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.modification_incidents import incident_id_of
from transforms.path_calls import SAYS, Context, Said
from transforms.path_link_facts import Place, event_id_of, leading, link_facts, places, text_of
from transforms.path_links import SHOWS, links_of
from transforms.path_names import canonical
from transforms.readable_records import readable_records
from transforms.rules.derived import derive
from transforms.rules.members import at
from transforms.rules.resources import is_own, resources_of
from transforms.unicode_text import encodable

_CALLS = {*SAYS, *SHOWS}
_NAMES = pa.array(sorted({name for _, name in _CALLS}), pa.string())
_SOURCES = pa.array(sorted({source for source, _ in _CALLS}), pa.string())
_BLOCKING = Severity.MEDIUM
_NAME_KEPT = 2048


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
    return list(distinct_facts((*facts, *link_facts(rows))))


def _key_of(tampering: Tampering) -> tuple[int, str]:
    event = {"eventID": tampering.event_id, "eventName": tampering.event_name}
    return tampering.event_us, event_id_of(event, tampering.object_key)


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
    for record, place in zip(readable_records(some), places(some), strict=True):
        yield from _of_record(record, place, found, log_path)
        yield from (leading(record, place, link) for link in links_of(record))


def _of_record(
    event: Mapping[str, Any],
    place: Place,
    found: Mapping[tuple[int, str], list[Tampering]],
    log_path: LogPath,
) -> Iterator[PathFact]:
    event_us, delivered_us, object_key = place
    source, name = event.get("eventSource"), event.get("eventName")
    say = SAYS.get((source, name)) if isinstance(source, str) and isinstance(name, str) else None
    touched = resources_of(event)
    if say is None or not touched or event_us is None:
        return
    event_id = event_id_of(event, object_key)
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
            account_id=text_of(event.get("recipientAccountId")) or text_of(at(event, "userIdentity", "accountId")),
            region=text_of(event.get("awsRegion")),
            actor=text_of(at(event, "userIdentity", "arn")),
            value=said.value,
            deadline_us=said.deadline_us,
            links=said.links,
            recorded=said.recorded,
            incident_id=incident_id_of(named) if named and not _is_plain(said) else None,
            severity=named.severity if named else Severity.INFO,
            own_severity=named.own_severity if named else None,
        )


def _is_plain(said: Said) -> bool:
    return said.aspect in (Aspect.LINK, Aspect.LEADS) or (said.sound and said.value is None)
