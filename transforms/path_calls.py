"""What a successful call says of the log path: which aspects of which resource it leaves sound or harmed.

Members are those of facts §4 and §6; all of them may be missing or of any type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from schemas.log_path import MANAGEMENT, Aspect
from schemas.times import DAY_US
from transforms.path_names import canonical
from transforms.rules.lifecycle import RETENTION_FLOOR_DAYS, is_early
from transforms.rules.members import at, elements, moment_us, number, parameters, text, truth
from transforms.rules.named_resources import resource_arn
from transforms.rules.policies import mentions
from transforms.rules.selectors import recorded_halves

_DELETION_DAYS = (7, 30)  # of pendingWindowInDays, which may be left out: 30 (KMS API reference, ScheduleKeyDeletion)
_STORE_DAYS = 7  # between DeleteEventDataStore and the end (CloudTrail user guide)
_FARTHEST_US = 100 * 366 * DAY_US
_NARROWED = (
    "selectors_empty",
    "management_events_off",
    "read_write_narrowed",
    "management_sources_excluded",
    "advanced_selectors_narrowed",
)
_FLAGS = {  # UpdateTrail's and CreateTrail's members, and what the response calls them
    "isMultiRegionTrail": (Aspect.MULTI_REGION, "isMultiRegionTrail"),
    "includeGlobalServiceEvents": (Aspect.GLOBAL_EVENTS, "includeGlobalServiceEvents"),
    "isOrganizationTrail": (Aspect.ORGANIZATION, "isOrganizationTrail"),
    "enableLogFileValidation": (Aspect.VALIDATION, "logFileValidationEnabled"),
}
_DELIVERS_TO = (
    "s3BucketName",
    "kmsKeyId",
    "snsTopicARN",
    "snsTopicName",
    "cloudWatchLogsLogGroupArn",
    "cloudWatchLogsRoleArn",
)
_TOPIC_NAME = "snsTopicName"  # bare, or an ARN


class Said(NamedTuple):
    """One aspect after the call; of the resource that the call touched, unless it names another."""

    aspect: Aspect
    sound: bool
    value: str | None = None
    deadline_us: int | None = None
    links: tuple[str, ...] = ()
    recorded: tuple[str, ...] = ()
    resource: str | None = None


class Context(NamedTuple):
    """A record, what is derived of it, when it happened, and whether what it touches is declared."""

    event: Mapping[str, Any]
    derived: Mapping[str, Any]
    event_us: int
    own: bool

    def flag(self, name: str) -> bool:
        """Whether a derived field holds."""
        return self.derived.get(f"derived.{name}") is True


_Say = Callable[[Context], Iterator[Said]]


def _sound(*aspects: Aspect) -> _Say:
    return lambda _context: (Said(aspect, sound=True) for aspect in aspects)


def _harmed(*aspects: Aspect) -> _Say:
    return lambda _context: (Said(aspect, sound=False) for aspect in aspects)


def _trail_settings(context: Context) -> Iterator[Said]:
    """CreateTrail and UpdateTrail: flags that were sent, where the trail delivers, and what it is linked to."""
    event = context.event
    for member, (aspect, answered) in _FLAGS.items():
        sent = truth(parameters(event, member))
        if sent is not None or truth(at(event, "responseElements", answered)):
            yield Said(aspect, sound=sent is not False)
    for member, aspect, changed in (
        ("s3BucketName", Aspect.BUCKET, "trail_diverted"),
        ("kmsKeyId", Aspect.KEY, "trail_key_changed"),
    ):
        sent_name = text(parameters(event, member))
        if sent_name is not None:
            yield Said(aspect, sound=not context.flag(changed), value=canonical(sent_name))
    links = tuple(sorted({canonical(name) for name in _delivers_to(event) if name}))
    yield Said(Aspect.LINK, sound=True, links=links)


def _creation(context: Context) -> Iterator[Said]:
    """A new trail records all management events, and is whole by what it says; it does not log before it is started."""
    yield from _trail_settings(context)
    yield Said(Aspect.MANAGEMENT_SELECTORS, sound=True, recorded=MANAGEMENT)
    yield Said(Aspect.DATA_SELECTORS, sound=False)


def _delivers_to(event: Mapping[str, Any]) -> Iterator[str | None]:
    for member in _DELIVERS_TO:
        name = text(at(event, "responseElements", member)) or text(parameters(event, member))
        bare = member == _TOPIC_NAME and name and not name.startswith("arn:")
        yield resource_arn(event, "sns", str(name)) if bare else name


def _selectors(context: Context) -> Iterator[Said]:
    if context.flag("parameters_missing"):
        return
    halves = recorded_halves(context.event)
    recorded = tuple(each for each in MANAGEMENT if each.rpartition("_")[2] in halves)
    yield Said(Aspect.MANAGEMENT_SELECTORS, sound=not any(map(context.flag, _NARROWED)), recorded=recorded)
    dropped = context.flag("data_events_dropped")
    yield Said(Aspect.DATA_SELECTORS, sound=not dropped, value=None if dropped else "selected")


def _key_deletion(context: Context) -> Iterator[Said]:
    window = number(parameters(context.event, "pendingWindowInDays"))
    least, most = _DELETION_DAYS
    days = most if window is None else min(max(window, least), most)
    told = _within(context, moment_us(at(context.event, "responseElements", "deletionDate")))
    yield Said(Aspect.KEY_USE, sound=False)
    yield Said(Aspect.KEY_DELETION, sound=False, deadline_us=told or context.event_us + days * DAY_US)


def _key_material(context: Context) -> Iterator[Said]:
    """Imported material that says when it expires, unless the model says that it does not."""
    model = text(parameters(context.event, "expirationModel")) or ""
    expires_us = _within(context, moment_us(parameters(context.event, "validTo")))
    expires = expires_us is not None and model != "KEY_MATERIAL_DOES_NOT_EXPIRE"
    yield Said(Aspect.KEY_MATERIAL, sound=True)
    yield Said(Aspect.KEY_MATERIAL_EXPIRY, sound=not expires, deadline_us=expires_us if expires else None)


def _store_deletion(context: Context) -> Iterator[Said]:
    yield Said(Aspect.STORE_DELETION, sound=False, deadline_us=context.event_us + _STORE_DAYS * DAY_US)


def _key_policy(context: Context) -> Iterator[Said]:
    yield from _policy(context, Aspect.KEY_POLICY, parameters(context.event, "policy"))


def _bucket_policy(context: Context) -> Iterator[Said]:
    yield from _policy(context, Aspect.BUCKET_POLICY, parameters(context.event, "bucketPolicy"))


def _policy(context: Context, aspect: Aspect, policy: Any) -> Iterator[Said]:
    """Sound only where it can be said: a policy that does not mention CloudTrail is judged for declared ones alone."""
    locked = context.flag("policy_locks_out")
    if locked or context.own or mentions(policy, "cloudtrail"):
        yield Said(aspect, sound=not locked)


def _lifecycle(context: Context) -> Iterator[Said]:
    """A rule in days hits what is old enough at the next midnight UTC (S3 user guide, lifecycle); one by date, then."""
    early = context.flag("lifecycle_expires_early")
    yield Said(Aspect.LIFECYCLE, sound=not early, deadline_us=_first_expiry_us(context) if early else None)


def _first_expiry_us(context: Context) -> int | None:
    configuration = parameters(context.event, "LifecycleConfiguration")
    rules = [*elements(at(configuration, "Rule")), *elements(at(configuration, "Rules"))]
    expirations = [
        each for rule in rules if at(rule, "Status") == "Enabled" for each in elements(at(rule, "Expiration"))
    ]
    midnight_us = (context.event_us // DAY_US + 1) * DAY_US
    found = [
        midnight_us if at(each, "Date") is None else _within(context, moment_us(at(each, "Date")))
        for each in expirations
        if is_early(at(each, "Days"), at(each, "Date"), context.event, RETENTION_FLOOR_DAYS)
    ]
    return min((us for us in found if us is not None), default=None)


def _within(context: Context, us: int | None) -> int | None:
    """A time that is later than the event, within what anyone means by a deadline."""
    return us if us is not None and 0 < us - context.event_us < _FARTHEST_US else None


def _alias(context: Context) -> Iterator[Said]:
    target = text(parameters(context.event, "targetKeyId"))
    alias = next((each for each in _arns(context.event) if ":alias/" in each), None)
    if target and alias:
        key = target if "key/" in target else f"key/{target}"
        yield Said(Aspect.LEADS, sound=True, links=(canonical(key),), resource=canonical(alias))


def _arns(event: Mapping[str, Any]) -> list[str]:
    return [arn for arn in (text(at(each, "ARN")) for each in elements(event.get("resources"))) if arn]


SAYS: Mapping[tuple[str, str], _Say] = {
    ("cloudtrail.amazonaws.com", "StartLogging"): _sound(Aspect.LOGGING),
    ("cloudtrail.amazonaws.com", "StopLogging"): _harmed(Aspect.LOGGING),
    ("cloudtrail.amazonaws.com", "DeleteTrail"): _harmed(Aspect.LOGGING),
    ("cloudtrail.amazonaws.com", "CreateTrail"): _creation,
    ("cloudtrail.amazonaws.com", "UpdateTrail"): _trail_settings,
    ("cloudtrail.amazonaws.com", "PutEventSelectors"): _selectors,
    ("cloudtrail.amazonaws.com", "DeleteEventDataStore"): _store_deletion,
    ("cloudtrail.amazonaws.com", "RestoreEventDataStore"): _sound(Aspect.STORE_DELETION),
    ("cloudtrail.amazonaws.com", "StopEventDataStoreIngestion"): _harmed(Aspect.STORE_INGESTION),
    ("cloudtrail.amazonaws.com", "StartEventDataStoreIngestion"): _sound(Aspect.STORE_INGESTION),
    ("kms.amazonaws.com", "DisableKey"): _harmed(Aspect.KEY_USE),
    ("kms.amazonaws.com", "EnableKey"): _sound(Aspect.KEY_USE),
    ("kms.amazonaws.com", "ScheduleKeyDeletion"): _key_deletion,
    ("kms.amazonaws.com", "CancelKeyDeletion"): _sound(Aspect.KEY_DELETION),
    ("kms.amazonaws.com", "ImportKeyMaterial"): _key_material,
    ("kms.amazonaws.com", "DeleteImportedKeyMaterial"): _harmed(Aspect.KEY_MATERIAL),
    ("kms.amazonaws.com", "PutKeyPolicy"): _key_policy,
    ("kms.amazonaws.com", "CreateAlias"): _alias,
    ("kms.amazonaws.com", "UpdateAlias"): _alias,
    ("s3.amazonaws.com", "PutBucketPolicy"): _bucket_policy,
    ("s3.amazonaws.com", "DeleteBucketPolicy"): _harmed(Aspect.BUCKET_POLICY),
    ("s3.amazonaws.com", "PutBucketLifecycle"): _lifecycle,
    ("s3.amazonaws.com", "PutBucketLifecycleConfiguration"): _lifecycle,
    ("s3.amazonaws.com", "DeleteBucketLifecycle"): _sound(Aspect.LIFECYCLE),
}
"""eventSource and eventName of each call that says something, and what."""
