"""What administrators do every day, on resources of applications: much of it looks like an attack on a log path."""

from __future__ import annotations

from transforms.simulation.template import Call

_BUCKET = "app-data-<account>-<num:2#bucket>"
_HOST = f"{_BUCKET}.s3.<region>.amazonaws.com"
_XMLNS = '"xmlns":"http://s3.amazonaws.com/doc/2006-03-01/"'
_KEY = "arn:aws:kms:<region>:<account>:key/<uuid#key>"
_TOPIC = "arn:aws:sns:<region>:<account>:orders-<num:2#topic>"
_QUEUE = "https://sqs.<region>.amazonaws.com/<account>/orders-<num:2#queue>"
_ROLE = "app-orders-<num:2#role>"
_APP_TRAIL = '"name":"orders-<num:2#trail>","s3BucketName":"orders-trail-<account>","isMultiRegionTrail":false'
_TRAIL_ARN = "arn:aws:cloudtrail:<region>:<account>:trail/orders-<num:2#trail>"
_NAMED_KEY = f'{{"keyId":"{_KEY}"}}'


def _text(document: str) -> str:
    """A JSON document as the JSON text that IAM, KMS, SNS and SQS are sent."""
    return '"' + document.replace('"', '\\"') + '"'


def _statement(principal: str, action: str, resource: str, *, effect: str = "Allow", more: str = "") -> str:
    return (
        f'{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}",{principal}"Action":"{action}",'
        f'"Resource":"{resource}"{more}}}]}}'
    )


def _bucket(name: str, members: str) -> Call:
    return Call(
        "s3",
        name,
        parameters=f'{{"bucketName":"{_BUCKET}","Host":"{_HOST}",{members}}}',
        resources=f'[{{"accountId":"<account>","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{_BUCKET}"}}]',
        additional='{"SignatureVersion":"SigV4","AuthenticationMethod":"AuthHeader","x-amz-id-2":"<base64:76>"}',
        host=_HOST,
        version="1.09",
    )


def _key(name: str, more: str = "", response: str = "null") -> Call:
    return Call(
        "kms",
        name,
        parameters=f'{{"keyId":"{_KEY}"{more}}}',
        response=response,
        resources=f'[{{"accountId":"<account>","type":"AWS::KMS::Key","ARN":"{_KEY}"}}]',
        version="1.11",
    )


def _call(service: str, name: str, parameters: str) -> Call:
    return Call(service, name, parameters=parameters, version="1.09")


_TLS = _statement(
    '"Principal":"*",',
    "s3:*",
    f"arn:aws:s3:::{_BUCKET}/*",
    effect="Deny",
    more=',"Condition":{"Bool":{"aws:SecureTransport":"false"}}',
)
_ROOT = '"Principal":{"AWS":"arn:aws:iam::<account>:root"},'
_LAMBDA = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)

BUCKET_CHORE = (
    _bucket("PutBucketPolicy", f'"policy":"","bucketPolicy":{_TLS}'),
    _bucket("PutBucketVersioning", f'"versioning":"","VersioningConfiguration":{{{_XMLNS},"Status":"Enabled"}}'),
    _bucket(
        "PutBucketLifecycle",
        '"lifecycle":"","LifecycleConfiguration":{"Rule":{"ID":"expire","Status":"Enabled","Filter":{"Prefix":"tmp/"},'
        '"Expiration":{"Days":7}}}',
    ),
    _bucket(
        "PutBucketNotification",
        f'"notification":"","NotificationConfiguration":{{{_XMLNS},"QueueConfiguration":{{"Id":"new","Queue":'
        '"arn:aws:sqs:<region>:<account>:orders","Event":"s3:ObjectCreated:*"}}',
    ),
    _bucket(
        "PutBucketOwnershipControls",
        f'"ownershipControls":"","OwnershipControls":{{{_XMLNS},"Rule":{{"ObjectOwnership":"ObjectWriter"}}}}',
    ),
)
"""What Terraform sets of each bucket."""

KEY_CHORE = (
    _key("EnableKeyRotation"),
    _key("RotateKeyOnDemand", response=_NAMED_KEY),
    _key("PutKeyPolicy", f',"policyName":"default","policy":{_text(_statement(_ROOT, "kms:*", "*"))}'),
    _key("RevokeGrant", ',"grantId":"<hex:64>"', _NAMED_KEY),
    _key("DisableKey", response=_NAMED_KEY),
    _key("ScheduleKeyDeletion", response=f'{{"keyId":"{_KEY}","keyState":"PendingDeletion","pendingWindowInDays":30}}'),
    _key("CancelKeyDeletion", response=_NAMED_KEY),
)
"""Keys of applications that are rotated, and retired."""

TRAIL_CHORE = (
    Call(
        "cloudtrail",
        "CreateTrail",
        parameters=f"{{{_APP_TRAIL}}}",
        response=f'{{{_APP_TRAIL},"trailARN":"{_TRAIL_ARN}"}}',
        version="1.11",
    ),
    Call("cloudtrail", "StartLogging", parameters=f'{{"name":"{_TRAIL_ARN}"}}', version="1.11"),
    Call("cloudtrail", "DescribeTrails", parameters='{"trailNameList":["orders-<num:2>"]}', read=True, version="1.11"),
    Call("cloudtrail", "GetTrailStatus", parameters=f'{{"name":"{_TRAIL_ARN}"}}', read=True, version="1.11"),
)
"""A team's own trail, into a bucket of its own."""

ROLE_CHORE = (
    _call("iam", "CreateRole", f'{{"roleName":"{_ROLE}","assumeRolePolicyDocument":{_text(_LAMBDA)}}}'),
    _call(
        "iam",
        "PutRolePolicy",
        f'{{"roleName":"{_ROLE}","policyName":"app","policyDocument":'
        f"{_text(_statement('', 's3:GetObject', 'arn:aws:s3:::app-data-*/*'))}}}",
    ),
    _call("iam", "AttachRolePolicy", f'{{"roleName":"{_ROLE}","policyArn":"arn:aws:iam::<account>:policy/orders"}}'),
    _call("iam", "UpdateAssumeRolePolicy", f'{{"roleName":"{_ROLE}","policyDocument":{_text(_LAMBDA)}}}'),
    _call("iam", "DetachRolePolicy", f'{{"roleName":"{_ROLE}","policyArn":"arn:aws:iam::<account>:policy/orders"}}'),
    _call("iam", "DeleteRole", f'{{"roleName":"{_ROLE}"}}'),
)
"""Roles that come and go."""

NOTICE_CHORE = (
    _call(
        "sns",
        "Subscribe",
        f'{{"topicArn":"{_TOPIC}","protocol":"sqs","endpoint":"arn:aws:sqs:<region>:<account>:orders"}}',
    ),
    _call(
        "sns",
        "SetSubscriptionAttributes",
        f'{{"subscriptionArn":"{_TOPIC}:<uuid>","attributeName":"FilterPolicy",'
        '"attributeValue":"{\\"type\\":[\\"order\\"]}"}',
    ),
    _call(
        "sns",
        "SetTopicAttributes",
        f'{{"topicArn":"{_TOPIC}","attributeName":"Policy","attributeValue":'
        f"{_text(_statement(_ROOT, 'SNS:Publish', _TOPIC))}}}",
    ),
    _call("sns", "Unsubscribe", f'{{"subscriptionArn":"{_TOPIC}:<uuid>"}}'),
    _call("sqs", "SetQueueAttributes", f'{{"queueUrl":"{_QUEUE}","attributes":{{"MessageRetentionPeriod":"3600"}}}}'),
    _call("sqs", "PurgeQueue", f'{{"queueUrl":"{_QUEUE}"}}'),
    _call("sqs", "DeleteQueue", f'{{"queueUrl":"{_QUEUE}"}}'),
)
"""Topics and queues between applications."""

OPERATIONS_CHORE = (
    _call("events", "DisableRule", '{"name":"nightly-report","eventBusName":"default"}'),
    _call("events", "EnableRule", '{"name":"nightly-report","eventBusName":"default"}'),
    _call("monitoring", "DisableAlarmActions", '{"alarmNames":["orders-cpu-high"]}'),
    _call("logs", "PutRetentionPolicy", '{"logGroupName":"/aws/lambda/orders-<num:2>","retentionInDays":30}'),
    _call("lambda", "UpdateFunctionCode20150331v2", '{"functionName":"orders-<num:2>","dryRun":false,"publish":true}'),
    _call("ecs", "UpdateService", '{"cluster":"web","service":"orders-<num:2>","desiredCount":0}'),
    _call("cloudformation", "DeleteStack", '{"stackName":"orders-<num:2>"}'),
)
"""Deployments, and their rules, alarms and logs."""

PLANNED_CHANGE = Call(
    "cloudtrail",
    "UpdateTrail",
    parameters='{"name":"<trail_arn>","cloudWatchLogsLogGroupArn":'
    '"arn:aws:logs:<region>:<account>:log-group:aws-cloudtrail-logs-<account>-<hex:8#group>:*",'
    '"cloudWatchLogsRoleArn":"arn:aws:iam::<account>:role/cloudtrail-to-logs"}',
    response='{"name":"<trail>","s3BucketName":"<bucket>","includeGlobalServiceEvents":true,"isMultiRegionTrail":true,'
    '"isOrganizationTrail":true,"logFileValidationEnabled":true,"trailARN":"<trail_arn>",'
    '"cloudWatchLogsLogGroupArn":"arn:aws:logs:<region>:<account>:log-group:aws-cloudtrail-logs-<account>-<hex:8#group>:*",'
    '"cloudWatchLogsRoleArn":"arn:aws:iam::<account>:role/cloudtrail-to-logs"}',
    version="1.11",
)
"""One true change of the log path: the trail delivers to a log group too."""
