"""Calls about identity: STS, IAM (in us-east-1 only), console sign-in, Organizations."""

from __future__ import annotations

from transforms.simulation.template import Call

_ROLE = "arn:aws:iam::<account>:role/app-worker-<num:2#role>"
_CREDENTIALS = (
    '{"credentials":{"accessKeyId":"ASIA<base32:16>","sessionToken":"<base64:420>","expiration":'
    '"Jan 1, 2027, 1:1<num:1>:00 AM"},"assumedRoleUser":{"assumedRoleId":"AROA<base32:17>:<hex:20#session>","arn":'
    '"arn:aws:sts::<account>:assumed-role/app-worker-<num:2#role>/<hex:20#session>"}}'
)
_ROLE_RESOURCE = f'[{{"accountId":"<account>","type":"AWS::IAM::Role","ARN":"{_ROLE}"}}]'
_ASSUME = f'{{"roleArn":"{_ROLE}","roleSessionName":"<hex:20#session>","durationSeconds":3600}}'
_DENIED = (
    "User: arn:aws:sts::<account>:assumed-role/ci-deploy/botocore-session-1<num:9> is not authorized to perform: "
    "{action} on resource: {resource}"
)
_SHARED = ',"sharedEventID":"<uuid>"'


def _iam(name: str, weight: float, parameters: str, *, response: str = "null", read: bool = False) -> Call:
    return Call(
        "iam",
        name,
        weight,
        parameters=parameters,
        response=response,
        read=read,
        version="1.10",
        where="us-east-1",
        host="iam.amazonaws.com",
    )


IDENTITY_CALLS = (
    Call(
        "sts",
        "AssumeRole",
        5,
        caller="lambda",
        parameters=_ASSUME,
        response=_CREDENTIALS,
        resources=_ROLE_RESOURCE,
        read=True,
        version="1.08",
        rest=_SHARED,
    ),
    Call(
        "sts",
        "AssumeRole",
        4,
        caller="ec2",
        parameters=_ASSUME,
        response=_CREDENTIALS,
        resources=_ROLE_RESOURCE,
        read=True,
        version="1.08",
        rest=_SHARED,
    ),
    Call(
        "sts",
        "AssumeRole",
        3,
        caller="ecs-tasks",
        parameters=_ASSUME,
        response=_CREDENTIALS,
        resources=_ROLE_RESOURCE,
        read=True,
        version="1.08",
        rest=_SHARED,
    ),
    Call(
        "sts",
        "AssumeRole",
        4,
        parameters=_ASSUME,
        response=_CREDENTIALS,
        resources=_ROLE_RESOURCE,
        read=True,
        version="1.08",
        rest=_SHARED,
    ),
    Call(
        "sts",
        "AssumeRole",
        1,
        error=("AccessDenied", _DENIED.format(action="sts:AssumeRole", resource=_ROLE)),
        read=True,
        version="1.08",
    ),
    Call("sts", "GetCallerIdentity", 3, read=True, version="1.08"),
    Call("sts", "GetCallerIdentity", 0.3, caller="user", read=True, version="1.08"),
    _iam("GetRole", 1.5, '{"roleName":"app-worker-<num:2>"}', read=True),
    _iam("ListAttachedRolePolicies", 1, '{"roleName":"app-worker-<num:2>"}', read=True),
    _iam("ListAccountAliases", 0.4, "null", read=True),
    _iam("GetUser", 0.3, "null", read=True),
    _iam("CreateServiceSpecificCredential", 0.02, '{"userName":"chen","serviceName":"codecommit.amazonaws.com"}'),
    _iam("TagRole", 0.1, '{"roleName":"app-worker-<num:2>","tags":[{"key":"team","value":"search-<num:1>"}]}'),
    _iam(
        "CreateRole",
        0.05,
        '{"roleName":"app-worker-<num:2#r>","description":"worker","assumeRolePolicyDocument":'
        '"{\\"Version\\":\\"2012-10-17\\",\\"Statement\\":[{\\"Effect\\":\\"Allow\\",\\"Principal\\":{\\"Service\\":'
        '\\"ec2.amazonaws.com\\"},\\"Action\\":\\"sts:AssumeRole\\"}]}"}',
        response='{"role":{"path":"/","roleName":"app-worker-<num:2#r>","roleId":"AROA<base32:17>","arn":'
        '"arn:aws:iam::<account>:role/app-worker-<num:2#r>","createDate":"Jan 1, 2026 10:00:00 AM"}}',
    ),
    Call(
        "iam",
        "GetUser",
        0.3,
        error=("NoSuchEntityException", "The user with name svc-<num:4#u> cannot be found."),
        parameters='{"userName":"svc-<num:4#u>"}',
        read=True,
        version="1.10",
        where="us-east-1",
        host="iam.amazonaws.com",
    ),
    Call(
        "iam",
        "ListUsers",
        0.3,
        read=True,
        version="1.10",
        where="us-east-1",
        host="iam.amazonaws.com",
        error=("AccessDenied", _DENIED.format(action="iam:ListUsers", resource="arn:aws:iam::<account>:user/")),
    ),
    Call(
        "iam",
        "GetAccountSummary",
        0.1,
        caller="root",
        read=True,
        version="1.08",
        where="us-east-1",
        host="iam.amazonaws.com",
    ),
    Call(
        "signin",
        "ConsoleLogin",
        0.3,
        caller="console",
        event_type="AwsConsoleSignIn",
        version="1.08",
        response='{"ConsoleLogin":"Success"}',
        where="us-east-1",
        additional='{"LoginTo":"https://console.aws.amazon.com/console/home?hashArgs=%23&isauthcode=true&state='
        'hashArgs<hex:16>","MobileVersion":"No","MFAUsed":"Yes"}',
    ),
    Call(
        "signin",
        "ConsoleLogin",
        0.03,
        caller="console",
        event_type="AwsConsoleSignIn",
        version="1.08",
        rest=',"errorMessage":"Failed authentication"',
        response='{"ConsoleLogin":"Failure"}',
        where="us-east-1",
        additional='{"LoginTo":'
        '"https://console.aws.amazon.com/console/home?state=<hex:16>","MobileVersion":"No","MFAUsed":"No"}',
    ),
    Call(
        "organizations",
        "DescribeOrganization",
        0.4,
        read=True,
        version="1.08",
        where="us-east-1",
        host="organizations.us-east-1.amazonaws.com",
        response='{"organization":{"id":"<organisation>","arn":"arn:aws:organizations::<management>:organization/'
        '<organisation>","featureSet":"ALL","masterAccountArn":"arn:aws:organizations::<management>:account/'
        '<organisation>/<management>","masterAccountId":"<management>","availablePolicyTypes":[]}}',
    ),
    Call(
        "organizations",
        "ListAccounts",
        0.2,
        read=True,
        version="1.08",
        where="us-east-1",
        error=("AccessDeniedException", "You don't have permissions to access this resource."),
    ),
)
