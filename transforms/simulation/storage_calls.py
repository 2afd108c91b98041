"""Calls to what stores: S3, DynamoDB, KMS, Secrets Manager. App resources only, never the log path."""

from __future__ import annotations

from transforms.simulation.template import Call

_BUCKET = "app-data-<account>-<num:1#bucket>"
_OBJECT = "year=2026/part-<hex:8#a>-<hex:12#b>.snappy.parquet"
_S3_HOST = f"{_BUCKET}.s3.<region>.amazonaws.com"
_S3_OBJECT = (
    f'[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::{_BUCKET}/{_OBJECT}"}},'
    f'{{"accountId":"<account>","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{_BUCKET}"}}]'
)
_S3_BUCKET = f'[{{"accountId":"<account>","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{_BUCKET}"}}]'
_S3_GET = f'{{"bucketName":"{_BUCKET}","Host":"{_S3_HOST}","key":"{_OBJECT}"}}'
_S3_ASKED = f'{{"bucketName":"{_BUCKET}","Host":"{_S3_HOST}"}}'
_S3_NOTES = (
    '{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,'
    '"AuthenticationMethod":"AuthHeader","x-amz-id-2":"<base64:76>","bytesTransferredOut":1<num:5>}'
)
_KEY_ARN = "arn:aws:kms:<region>:<account>:key/<uuid#key>"
_KEY = f'[{{"accountId":"<account>","type":"AWS::KMS::Key","ARN":"{_KEY_ARN}"}}]'
_CONTEXT = '"encryptionContext":{"aws:s3:arn":"arn:aws:s3:::app-data-<account>-<num:1>/raw/<hex:32>"}'
_DENIED = (
    "User: arn:aws:sts::<account>:assumed-role/app-search/i-0<hex:16> is not authorized to perform: {action} on "
    "resource: {resource} because no identity-based policy allows the {action} action"
)

_S3_STORED = '{"x-amz-server-side-encryption":"AES256","x-amz-version-id":"<base32:32>"}'
_NOT_YOURS = _DENIED.format(action="s3:GetObject", resource=f"arn:aws:s3:::{_BUCKET}/{_OBJECT}")


def _on_object(
    name: str, weight: float, *, response: str = "null", error: tuple[str, str] | None = None, read: bool = False
) -> Call:
    return Call(
        "s3",
        name,
        weight,
        parameters=_S3_GET,
        response=response,
        additional=_S3_NOTES,
        resources=_S3_OBJECT,
        host=_S3_HOST,
        error=error,
        read=read,
        data=True,
        version="1.09",
    )


STORAGE_CALLS = (
    _on_object("GetObject", 11, read=True),
    _on_object("PutObject", 7, response=_S3_STORED),
    _on_object("HeadObject", 3, read=True),
    _on_object("DeleteObject", 0.6),
    _on_object("GetObject", 0.8, error=("AccessDenied", _NOT_YOURS), read=True),
    Call(
        "s3",
        "GetBucketAcl",
        1.5,
        caller="config",
        parameters=_S3_ASKED,
        additional=_S3_NOTES,
        resources=_S3_BUCKET,
        read=True,
        version="1.08",
        rest=',"sharedEventID":"<uuid>"',
    ),
    Call(
        "s3",
        "GetBucketLocation",
        1,
        parameters=_S3_ASKED,
        additional=_S3_NOTES,
        resources=_S3_BUCKET,
        host=_S3_HOST,
        read=True,
        version="1.08",
    ),
    Call(
        "s3",
        "GetBucketPolicy",
        0.4,
        parameters=_S3_ASKED,
        additional=_S3_NOTES,
        resources=_S3_BUCKET,
        host=_S3_HOST,
        error=("NoSuchBucketPolicy", "The bucket policy does not exist"),
        read=True,
        version="1.08",
    ),
    Call(
        "s3",
        "PutBucketPolicy",
        0.05,
        host=_S3_HOST,
        resources=_S3_BUCKET,
        additional=_S3_NOTES,
        version="1.09",
        parameters=f'{{"bucketName":"{_BUCKET}","Host":"{_S3_HOST}","policy":"","bucketPolicy":{{"Version":'
        '"2012-10-17","Statement":[{"Sid":"App<num:4>","Effect":"Allow","Principal":{"AWS":'
        '"arn:aws:iam::<account>:role/app-search"},"Action":["s3:GetObject"],"Resource":'
        f'"arn:aws:s3:::{_BUCKET}/*"}}]}}}}',
    ),
    Call(
        "s3",
        "PutBucketTagging",
        0.05,
        host=_S3_HOST,
        resources=_S3_BUCKET,
        additional=_S3_NOTES,
        version="1.09",
        parameters=f'{{"bucketName":"{_BUCKET}","Host":"{_S3_HOST}","tagging":"","Tagging":{{"TagSet":{{"Tag":'
        '{"Key":"cost-centre","Value":7<num:3>}}}}',
    ),
    Call(
        "kms",
        "Decrypt",
        9,
        parameters=f'{{"encryptionAlgorithm":"SYMMETRIC_DEFAULT",{_CONTEXT}}}',
        resources=_KEY,
        read=True,
        version="1.11",
        additional='{"keyMaterialId":"<hex:64>"}',
    ),
    Call(
        "kms",
        "GenerateDataKey",
        7,
        resources=_KEY,
        read=True,
        version="1.11",
        parameters=f'{{"keyId":"{_KEY_ARN}","keySpec":"AES_256",{_CONTEXT}}}',
        additional='{"keyMaterialId":"<hex:64>"}',
    ),
    Call(
        "kms",
        "Decrypt",
        2,
        caller="lambda",
        resources=_KEY,
        read=True,
        rest=',"sharedEventID":"<uuid>"',
        parameters='{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"aws:lambda:FunctionArn":'
        '"arn:aws:lambda:<region>:<account>:function:orders-<num:2>"}}',
    ),
    Call(
        "kms",
        "CreateGrant",
        0.3,
        resources=_KEY,
        version="1.09",
        response=f'{{"grantId":"<hex:64>","keyId":"{_KEY_ARN}"}}',
        parameters=f'{{"keyId":"{_KEY_ARN}","granteePrincipal":"arn:aws:iam::<account>:role/eks-node","operations":'
        '["Decrypt","GenerateDataKeyWithoutPlaintext"],"constraints":{"encryptionContextSubset":'
        '{"aws:ebs:id":"vol-0<hex:16>"}}}',
    ),
    Call(
        "kms",
        "RotateKey",
        0.02,
        caller="internal",
        resources=_KEY,
        event_type="AwsServiceEvent",
        version="1.08",
        rest=',"serviceEventDetails":{"keyId":"<uuid#key>","backingKeyId":"<hex:64>"}',
    ),
    Call(
        "kms",
        "Decrypt",
        0.5,
        version="1.10",
        read=True,
        error=("AccessDenied", _DENIED.format(action="kms:Decrypt", resource=_KEY_ARN)),
    ),
    Call(
        "dynamodb",
        "GetItem",
        3,
        read=True,
        data=True,
        version="1.08",
        api_version="2012-08-10",
        parameters='{"tableName":"sessions-<num:1#t>","key":{"id":"<hex:12>"},"consistentRead":false}',
        resources='[{"accountId":"<account>","type":"AWS::DynamoDB::Table",'
        '"ARN":"arn:aws:dynamodb:<region>:<account>:table/sessions-<num:1#t>"}]',
    ),
    Call(
        "dynamodb",
        "DescribeTable",
        2,
        read=True,
        version="1.08",
        api_version="2012-08-10",
        parameters='{"tableName":"orders-<num:2>"}',
    ),
    Call(
        "dynamodb",
        "UpdateTimeToLive",
        0.05,
        version="1.08",
        api_version="2012-08-10",
        parameters='{"tableName":"sessions-<num:2#t>","timeToLiveSpecification":{"enabled":true,'
        '"attributeName":"expires"}}',
        response='{"timeToLiveSpecification":{"enabled":true,"attributeName":"expires"}}',
    ),
    Call(
        "secretsmanager",
        "GetSecretValue",
        2.5,
        read=True,
        version="1.08",
        parameters='{"secretId":"arn:aws:secretsmanager:<region>:<account>:secret:db/orders-<hex:6>"}',
    ),
    Call(
        "secretsmanager",
        "PutSecretValue",
        0.1,
        version="1.08",
        parameters='{"secretId":"db/orders-<num:2#s>","clientRequestToken":"<uuid#v>"}',
        response='{"arn":"arn:aws:secretsmanager:<region>:<account>:secret:'
        'db/orders-<num:2#s>-<hex:6>","name":"db/orders-<num:2#s>","versionId":"<uuid#v>"}',
    ),
)
