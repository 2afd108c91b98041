"""Attacks on trails and event data stores: what they record, where they deliver it, how it can be verified."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.simulation.attack import Attack, Effect
from transforms.simulation.template import Call


def _trail(name: str, parameters: str, response: str = "null") -> Call:
    return Call("cloudtrail", name, parameters=parameters, response=response, version="1.11")


def _selectors(selectors: str) -> tuple[Call, ...]:
    return (
        _trail(
            "PutEventSelectors",
            '{"trailName":"<trail_arn>",' + selectors + "}",
            '{"trailARN":"<trail_arn>",' + selectors + "}",
        ),
    )


def _basic(sort: str, data: str, excluded: str) -> tuple[Call, ...]:
    return _selectors(
        f'"eventSelectors":[{{"readWriteType":"{sort}","includeManagementEvents":true,"dataResources":[{data}],'
        f'"excludeManagementEventSources":[{excluded}]}}]'
    )


def _update(sent: str, **state: str) -> tuple[Call, ...]:
    """UpdateTrail: the members that were sent, and the state of the trail after it."""
    after = {
        "includeGlobalServiceEvents": "true",
        "isMultiRegionTrail": "true",
        "isOrganizationTrail": "true",
        "kmsKeyId": '"<kms_key>"',
        "logFileValidationEnabled": "true",
        "name": '"<trail>"',
        "s3BucketName": '"<bucket>"',
        "snsTopicARN": '"<topic>"',
        "snsTopicName": '"<topic>"',
        "trailARN": '"<trail_arn>"',
        **state,
    }
    response = ",".join(f'"{name}":{value}' for name, value in after.items() if value)
    return (_trail("UpdateTrail", '{"name":"<trail_arn>",' + sent + "}", "{" + response + "}"),)


_STOP = _trail("StopLogging", '{"name":"<trail_arn>"}')
_REFUSED = (
    "User: arn:aws:sts::<account>:assumed-role/admin/mallory is not authorized to perform: cloudtrail:StopLogging on "
    "resource: <trail_arn> with an explicit deny in a service control policy"
)
_OBJECTS = '{"type":"AWS::S3::Object","values":["arn:aws:s3"]}'
_ADVANCED = (
    '"advancedEventSelectors":[{"name":"data only","fieldSelectors":[{"field":"eventCategory","equals":["Data"]},'
    '{"field":"resources.type","equals":["AWS::S3::Object"]}]}]'
)
_STORE = "arn:aws:cloudtrail:<region>:<account>:eventdatastore/<uuid#store>"
_SHADOW = '"name":"backup-trail","s3BucketName":"elsewhere-<hex:12#to>","isMultiRegionTrail":true'

TRAIL_ATTACKS: Mapping[str, Attack] = {
    "stop-logging": Attack(
        "StopLogging on the trail; the account's later events are not recorded.", Effect.EVENTS, (_STOP,)
    ),
    "delete-trail": Attack(
        "DeleteTrail; the account's later events are not recorded.",
        Effect.EVENTS,
        (_trail("DeleteTrail", '{"name":"<trail_arn>"}'),),
    ),
    "narrow-selectors": Attack(
        "PutEventSelectors keeps reads only; the account's writes, the canary among them, vanish.",
        Effect.WRITES,
        _basic("ReadOnly", "", ""),
    ),
    "advanced-selectors": Attack(
        "PutEventSelectors with advanced selectors keeps data events only; the account's management events vanish.",
        Effect.MANAGEMENT,
        _selectors(_ADVANCED),
    ),
    "exclude-kms": Attack(
        "PutEventSelectors excludes KMS; the account's calls on keys vanish, its canary is still heard.",
        Effect.KEYS,
        _basic("All", _OBJECTS, '"kms.amazonaws.com"'),
    ),
    "drop-data-events": Attack(
        "PutEventSelectors without data resources; the account's data events vanish, its canary is still heard.",
        Effect.DATA,
        _basic("All", "", ""),
    ),
    "insights-off": Attack(
        "PutInsightSelectors with an empty list; Insights would be no more.",
        Effect.NONE,
        (
            _trail(
                "PutInsightSelectors",
                '{"trailName":"<trail_arn>","insightSelectors":[]}',
                '{"trailARN":"<trail_arn>","insightSelectors":[]}',
            ),
        ),
    ),
    "redirect-bucket": Attack(
        "UpdateTrail sends the logs to an outside bucket; the account's deliveries end.",
        Effect.DELIVERIES,
        _update('"s3BucketName":"elsewhere-<hex:12#to>"', s3BucketName='"elsewhere-<hex:12#to>"'),
    ),
    "single-region": Attack(
        "UpdateTrail makes the trail one of its own region; the account's deliveries from all others end.",
        Effect.ABROAD,
        _update('"isMultiRegionTrail":false', isMultiRegionTrail="false"),
    ),
    "global-events-off": Attack(
        "UpdateTrail leaves out global services; the account's events of IAM, STS and CloudFront vanish.",
        Effect.GLOBAL,
        _update('"includeGlobalServiceEvents":false', includeGlobalServiceEvents="false"),
    ),
    "organization-off": Attack(
        "UpdateTrail makes the trail one of its own account; the deliveries of all others end.",
        Effect.MEMBERS,
        _update('"isOrganizationTrail":false', isOrganizationTrail="false"),
    ),
    "validation-off": Attack(
        "UpdateTrail turns log file validation off; the account's digests end.",
        Effect.DIGESTS,
        _update('"enableLogFileValidation":false', logFileValidationEnabled="false"),
    ),
    "notification-off": Attack(
        "UpdateTrail without a topic; nobody is told of new log objects, which are delivered as before.",
        Effect.NONE,
        _update('"snsTopicName":""', snsTopicARN="", snsTopicName=""),
    ),
    "shadow-trail": Attack(
        "CreateTrail of another trail, into an outside bucket; nothing else changes.",
        Effect.NONE,
        (
            _trail(
                "CreateTrail",
                "{" + _SHADOW + "}",
                "{" + _SHADOW + ',"trailARN":"arn:aws:cloudtrail:<region>:<account>:trail/backup-trail"}',
            ),
        ),
    ),
    "delete-store": Attack(
        "DeleteEventDataStore of CloudTrail Lake: in seven days what it holds is gone; deliveries go on.",
        Effect.NONE,
        (_trail("DeleteEventDataStore", '{"eventDataStore":"' + _STORE + '"}'),),
    ),
    "stop-and-start": Attack(
        "StopLogging on the trail, and StartLogging a minute later; nothing else changes.",
        Effect.NONE,
        (_STOP, _trail("StartLogging", '{"name":"<trail_arn>"}')),
        pause_s=60,
    ),
    "attempted-stop": Attack(
        "StopLogging is refused with AccessDenied; nothing else changes.",
        Effect.NONE,
        (Call("cloudtrail", "StopLogging", error=("AccessDenied", _REFUSED), version="1.11"),),
    ),
}
