"""What successful events say of the log path: small facts that travel and are kept like findings."""

from __future__ import annotations

import enum

import msgspec

from schemas.alerts import Severity

MANAGEMENT = ("management_read", "management_write")
"""The two halves of management events."""


class Aspect(enum.Enum):
    """What of a resource a fact is about. Each aspect of each resource is sound or harmed, as its last fact says."""

    LOGGING = "logging"
    MANAGEMENT_SELECTORS = "management_selectors"
    DATA_SELECTORS = "data_selectors"
    MULTI_REGION = "multi_region"
    GLOBAL_EVENTS = "global_events"
    ORGANIZATION = "organization"
    VALIDATION = "validation"
    BUCKET = "bucket"  # the trail's; where it delivers
    KEY = "key"  # the trail's; what it encrypts with
    KEY_USE = "key_use"
    KEY_DELETION = "key_deletion"
    KEY_MATERIAL = "key_material"
    KEY_MATERIAL_EXPIRY = "key_material_expiry"
    KEY_POLICY = "key_policy"
    BUCKET_POLICY = "bucket_policy"
    LIFECYCLE = "lifecycle"
    STORE_DELETION = "store_deletion"
    STORE_INGESTION = "store_ingestion"
    LINK = "link"  # it is on the path, and so is what it delivers through; never harmed
    LEADS = "leads"  # what is on the path if it is: its queue, its key, what it stands for; never harmed
    OTHER = "other"  # harmed, and no call is known that undoes it


class PathFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event left one aspect of one resource sound or harmed. Times are microseconds.

    `resource` and `links` are spelled as `transforms.path_names.canonical` does, `name` as the event had it. `value` is
    what a setting was set to, `deadline_us` when harm becomes final, `recorded` what selectors leave of `MANAGEMENT`.
    `incident_id` and `severity` are those of what rules found in the event, `own_severity` what it is if the resource
    proves to be ours.
    """

    aspect: Aspect
    resource: str
    sound: bool
    event_us: int
    event_id: str
    event_name: str
    delivered_us: int
    object_key: str
    account_id: str | None = None
    region: str | None = None
    actor: str | None = None
    value: str | None = None
    deadline_us: int | None = None
    links: tuple[str, ...] = ()
    recorded: tuple[str, ...] = ()
    name: str = ""
    incident_id: str | None = None
    severity: Severity = Severity.INFO
    own_severity: Severity | None = None

    @property
    def identity(self) -> tuple[int, str, str, str]:
        """The same for every copy of the event; sorts by event time."""
        return self.event_us, self.event_id, self.resource, self.aspect.value

    @property
    def sameness(self) -> object:
        """The same for facts of which one is enough: copies of an event, and events that show the same links."""
        linked = self.aspect in (Aspect.LINK, Aspect.LEADS)
        return (self.aspect, self.resource, self.links) if linked else self.identity

    @property
    def precedence(self) -> tuple[int, str, tuple[int, str, str, str]]:
        """Of facts of which one is enough, that which was delivered first counts."""
        return self.delivered_us, self.object_key, self.identity


def distinct_facts(facts: tuple[PathFact, ...]) -> tuple[PathFact, ...]:
    """Facts by event time, of copies the first that was delivered; of equal links only the first to be delivered."""
    kept: dict[object, PathFact] = {}
    for fact in sorted(facts, key=lambda each: each.precedence):
        kept.setdefault(fact.sameness, fact)
    return tuple(sorted(kept.values(), key=lambda each: each.identity))
