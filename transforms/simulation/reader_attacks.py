"""Attacks on what tells of new log objects and reads them: the topic, the queue, the role; the canary's schedule."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.simulation.attack import Attack, Effect, Origin
from transforms.simulation.template import Call

_DENIED = (
    '"{\\"Version\\":\\"2012-10-17\\",\\"Statement\\":[{\\"Effect\\":\\"Deny\\",\\"Action\\":\\"s3:GetObject\\",'
    '\\"Resource\\":\\"arn:aws:s3:::<bucket>/*\\"}]}"'
)
_OWNERS_TOPIC = (
    '"{\\"Version\\":\\"2012-10-17\\",\\"Statement\\":[{\\"Effect\\":\\"Allow\\",\\"Principal\\":{\\"AWS\\":'
    '\\"arn:aws:iam::<account>:root\\"},\\"Action\\":\\"SNS:Publish\\",\\"Resource\\":\\"<topic>\\"}]}"'
)
_SCHEDULE = (
    '{"name":"canary","groupName":"default","state":"DISABLED","scheduleExpression":"rate(5 minutes)",'
    '"flexibleTimeWindow":{"mode":"OFF"},"target":{"arn":"arn:aws:lambda:<region>:<account>:function:canary",'
    '"roleArn":"arn:aws:iam::<account>:role/canary-schedule"},"clientToken":"<uuid>"}'
)


def _topic(name: str, parameters: str) -> tuple[Call, ...]:
    return (Call("sns", name, parameters=parameters, version="1.08"),)


def _queue(name: str, more: str = "") -> tuple[Call, ...]:
    return (Call("sqs", name, parameters='{"queueUrl":"<queue_url>"' + more + "}", version="1.09"),)


READER_ATTACKS: Mapping[str, Attack] = {
    "sns-filter": Attack(
        "SetSubscriptionAttributes with a filter that no notice of a log object passes; deliveries go on.",
        Effect.NONE,
        _topic(
            "SetSubscriptionAttributes",
            '{"subscriptionArn":"<topic>:<uuid>","attributeName":"FilterPolicy",'
            '"attributeValue":"{\\"never\\":[\\"matches\\"]}"}',
        ),
        Origin.SECURITY,
    ),
    "unsubscribe": Attack(
        "Unsubscribe: the queue hears no more from the topic; deliveries go on.",
        Effect.NONE,
        _topic("Unsubscribe", '{"subscriptionArn":"<topic>:<uuid>"}'),
        Origin.SECURITY,
    ),
    "topic-policy": Attack(
        "SetTopicAttributes: neither CloudTrail nor S3 may publish any more; deliveries go on.",
        Effect.NONE,
        _topic(
            "SetTopicAttributes",
            '{"topicArn":"<topic>","attributeName":"Policy","attributeValue":' + _OWNERS_TOPIC + "}",
        ),
        Origin.SECURITY,
    ),
    "purge-queue": Attack(
        "PurgeQueue: the notices that wait in the queue are gone; deliveries go on.",
        Effect.NONE,
        _queue("PurgeQueue"),
        Origin.SECURITY,
    ),
    "queue-retention": Attack(
        "SetQueueAttributes keeps notices for a minute only; deliveries go on.",
        Effect.NONE,
        _queue("SetQueueAttributes", ',"attributes":{"MessageRetentionPeriod":"60"}'),
        Origin.SECURITY,
    ),
    "reader-role": Attack(
        "PutRolePolicy denies the role that reads the log bucket its objects; deliveries go on.",
        Effect.NONE,
        (
            Call(
                "iam",
                "PutRolePolicy",
                parameters='{"roleName":"<reader_role>","policyName":"tidy","policyDocument":' + _DENIED + "}",
                version="1.10",
                host="iam.amazonaws.com",
            ),
        ),
        Origin.SECURITY,
    ),
    "canary-schedule": Attack(
        "UpdateSchedule disables the account's canary: it calls no more; everything else goes on.",
        Effect.CANARIES,
        (
            Call(
                "scheduler",
                "UpdateSchedule",
                parameters=_SCHEDULE,
                response='{"scheduleArn":"arn:aws:scheduler:<region>:<account>:schedule/default/canary"}',
                version="1.09",
            ),
        ),
    ),
}
