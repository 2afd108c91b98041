"""Event selectors: which management events a trail or event data store would still record after the call.

Several selectors add up: what any of them records is recorded. So ReadOnly and WriteOnly together are All, and
management events are off only if no selector has them. Source: AWS CloudTrail API reference, EventSelector,
AdvancedEventSelector and AdvancedFieldSelector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.trails import LogPath, Ownership
from transforms.rules.lifecycle import RETENTION_FLOOR_DAYS, is_early
from transforms.rules.members import at, elements, parameters, sent, text, texts, truth
from transforms.rules.resources import parameters_missing

_HALVES = {"all": frozenset({"read", "write"}), "readonly": frozenset({"read"}), "writeonly": frozenset({"write"})}
_EVERYTHING = _HALVES["all"]
# Categories of event data stores that hold no CloudTrail events at all; they cannot be mixed with others.
_FOREIGN_CATEGORIES = frozenset({"configurationitem", "evidence", "activityauditlog"})
_INSIGHTS = frozenset({"ApiCallRateInsight", "ApiErrorRateInsight"})
_CONTEXT_KEYS = frozenset({"TagContext", "RequestContext"})


def describe_event_selectors(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """PutEventSelectors: what its basic and advanced selectors leave out. All False where the call shows neither."""
    basic = elements(parameters(event, "eventSelectors"))
    advanced = elements(parameters(event, "advancedEventSelectors"))
    return {
        "derived.selectors_empty": not basic and not advanced and not parameters_missing(event),
        "derived.management_events_off": any(map(_is_management_off, basic)) and _recorded(basic) != _EVERYTHING,
        "derived.read_write_narrowed": bool(basic) and _read_write(basic) != _EVERYTHING,
        "derived.management_sources_excluded": bool(basic) and _excludes_sources(basic),
        "derived.advanced_selectors_narrowed": bool(advanced) and _is_narrowed(advanced),
        "derived.data_events_dropped": bool(basic or advanced) and not _selects_data(basic, advanced),
    }


def recorded_halves(event: Mapping[str, Any]) -> frozenset[str]:
    """Which of "read" and "write" PutEventSelectors leaves of the management events, be it without some sources."""
    basic = elements(parameters(event, "eventSelectors"))
    advanced = elements(parameters(event, "advancedEventSelectors"))
    return _recorded(basic).union(*(_partly_recorded(selector) for selector in advanced))


def describe_data_store(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """UpdateEventDataStore: whether it records less, or under another key than the declared ones."""
    members = sent(event)
    advanced = elements(members.get("advancedEventSelectors"))
    narrowed = "advancedEventSelectors" in members and _is_narrowed(advanced) and not _is_foreign(advanced)
    key = text(members.get("kmsKeyId"))
    rekeyed = "kmsKeyId" in members and (key is None or log_path.owns_key(key) is not Ownership.OWN)
    reduced = any(truth(members.get(name)) is False for name in ("multiRegionEnabled", "organizationEnabled"))
    return {
        "derived.data_store_narrowed": narrowed or reduced or rekeyed,
        "derived.retention_short": is_early(members.get("retentionPeriod"), None, event, RETENTION_FLOOR_DAYS),
        "derived.termination_protection_off": truth(members.get("terminationProtectionEnabled")) is False,
    }


def describe_insights(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """PutInsightSelectors: True unless both types stay on for management events (an absent category means those)."""
    kept = {
        text(at(selector, "insightType"))
        for selector in elements(parameters(event, "insightSelectors"))
        if "Management" in (texts(at(selector, "eventCategories")) or ["Management"])
    }
    return {"derived.insights_narrowed": not kept >= _INSIGHTS}


def describe_event_configuration(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """PutEventConfiguration: True if events shrink below Large, or a context key type is left without a key."""
    members = sent(event)
    if "maxEventSize" not in members and "contextKeySelectors" not in members:
        return {"derived.event_content_reduced": False}
    keys = {
        text(at(each, "type")) for each in elements(members.get("contextKeySelectors")) if texts(at(each, "equals"))
    }
    return {"derived.event_content_reduced": members.get("maxEventSize") != "Large" or not keys >= _CONTEXT_KEYS}


def _is_management_off(selector: Any) -> bool:
    return truth(at(selector, "includeManagementEvents")) is False


def _halves(selector: Any) -> frozenset[str]:
    """Which of reads and writes a basic selector records; the default is All, an unknown type counts as none."""
    kind = at(selector, "readWriteType")
    return _EVERYTHING if kind is None else _HALVES.get((text(kind) or "").lower(), frozenset())


def _recorded(basic: list[Any]) -> frozenset[str]:
    """Which halves of the management events basic selectors record together."""
    return frozenset().union(*(_halves(each) for each in basic if not _is_management_off(each)))


def _read_write(basic: list[Any]) -> frozenset[str]:
    """Which halves the selectors of management events name; of all selectors where none has management events."""
    if all(map(_is_management_off, basic)):
        return frozenset().union(*map(_halves, basic))
    return _recorded(basic)


def _excludes_sources(basic: list[Any]) -> bool:
    """Whether for reads or for writes some source is excluded by every selector that records them."""
    for half in _EVERYTHING:
        recording = [each for each in basic if not _is_management_off(each) and half in _halves(each)]
        excluded = [set(texts(at(each, "excludeManagementEventSources"))) for each in recording]
        if excluded and set.intersection(*excluded):
            return True
    return False


def _categories(selector: Any) -> set[str]:
    fields = elements(at(selector, "fieldSelectors"))
    named = [texts(at(each, "equals")) for each in fields if at(each, "field") == "eventCategory"]
    return {category.lower() for values in named for category in values}


def _is_narrowed(advanced: list[Any]) -> bool:
    """Whether the unfiltered management selectors leave reads or writes out."""
    return frozenset().union(*map(_recorded_by_advanced, advanced)) != _EVERYTHING


def _recorded_by_advanced(selector: Any) -> frozenset[str]:
    """Halves of the management events that a selector records whole: any filter but readOnly makes it partial."""
    if "management" not in _categories(selector):
        return frozenset()
    halves = _EVERYTHING
    for each in elements(at(selector, "fieldSelectors")):
        match at(each, "field"), texts(at(each, "equals")):
            case "eventCategory", _:
                continue
            case "readOnly", [value] if value.lower() in ("true", "false"):
                halves = halves & _HALVES["readonly" if value.lower() == "true" else "writeonly"]
            case _:
                return frozenset()
    return halves


def _partly_recorded(selector: Any) -> frozenset[str]:
    """Halves of the management events of which a selector records something."""
    if "management" not in _categories(selector):
        return frozenset()
    halves = _EVERYTHING
    for each in elements(at(selector, "fieldSelectors")):
        values = [value.lower() for value in texts(at(each, "equals"))]
        if at(each, "field") == "readOnly" and values in (["true"], ["false"]):
            halves = halves & _HALVES["readonly" if values == ["true"] else "writeonly"]
    return halves


def _selects_data(basic: list[Any], advanced: list[Any]) -> bool:
    """Whether any selector still has data events or network activity."""
    if any(elements(at(selector, "dataResources")) for selector in basic):
        return True
    return any(_categories(selector) & {"data", "networkactivity"} for selector in advanced)


def _is_foreign(advanced: list[Any]) -> bool:
    return bool(advanced) and all(_categories(selector) & _FOREIGN_CATEGORIES for selector in advanced)
