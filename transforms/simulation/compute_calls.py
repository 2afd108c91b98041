"""Calls to what computes: EC2, Lambda, ECS, ECR, Auto Scaling, load balancing."""

from __future__ import annotations

from transforms.simulation.template import Call

_INSTANCE = '{"instancesSet":{"items":[{"instanceId":"i-0<hex:16>"}]},"filterSet":{}}'
_EC2 = "2016-11-15"
_UNAUTHORISED = (
    "You are not authorized to perform this operation. User: arn:aws:sts::<account>:assumed-role/ci-deploy/"
    "botocore-session-1<num:9> is not authorized to perform: ec2:{name} on resource: arn:aws:ec2:<region>:<account>:"
    "instance/i-0<hex:16> because no identity-based policy allows the ec2:{name} action. Encoded authorization "
    "failure message: <base64:360>"
)
_RUN = (
    '{"instancesSet":{"items":[{"imageId":"ami-0<hex:16#ami>","minCount":1,"maxCount":1}]},"instanceType":"m6i.large",'
    '"blockDeviceMapping":{},"monitoring":{"enabled":false},"disableApiTermination":false,"disableApiStop":false,'
    '"subnetId":"subnet-0<hex:16#net>","clientToken":"fleet-<uuid>"}'
)
_RAN = (
    '{"requestId":"<uuid>","reservationId":"r-0<hex:16>","ownerId":"<account>","groupSet":{},"instancesSet":{"items":'
    '[{"instanceId":"i-0<hex:16>","imageId":"ami-0<hex:16#ami>","currentState":{"code":0,"name":"pending"},'
    '"privateDnsName":"ip-10-0-<num:2>-<num:2>.<region>.compute.internal","amiLaunchIndex":0,"instanceType":'
    '"m6i.large","launchTime":1767225600000,"placement":{"availabilityZone":"<region>a","tenancy":"default"},'
    '"subnetId":"subnet-0<hex:16#net>","vpcId":"vpc-0<hex:16>","architecture":"x86_64","rootDeviceType":"ebs"}]}}'
)
_FUNCTION = "arn:aws:lambda:<region>:<account>:function:orders-<num:2#f>"


def _describe(name: str, weight: float, parameters: str) -> Call:
    return Call("ec2", name, weight, parameters=parameters, read=True, version="1.10")


COMPUTE_CALLS = (
    _describe("DescribeInstances", 5, _INSTANCE),
    _describe(
        "DescribeInstanceStatus",
        2,
        '{"instancesSet":{"items":[{"instanceId":"i-0<hex:16>"},'
        '{"instanceId":"i-0<hex:16>"}]},"filterSet":{},"includeAllInstances":true}',
    ),
    _describe(
        "DescribeNetworkInterfaces",
        3,
        '{"networkInterfaceIdSet":{},"filterSet":{"items":[{"name":'
        '"attachment.instance-id","valueSet":{"items":[{"value":"i-0<hex:16>"}]}}]}}',
    ),
    _describe("DescribeVolumes", 2, '{"volumeSet":{"items":[{"volumeId":"vol-0<hex:16>"}]},"filterSet":{}}'),
    _describe(
        "DescribeSecurityGroups",
        2,
        '{"securityGroupSet":{"items":[{"groupId":"sg-0<hex:16>"}]},"securityGroupIdSet":{},"filterSet":{}}',
    ),
    _describe("DescribeSubnets", 1.5, '{"subnetSet":{"items":[{"subnetId":"subnet-0<hex:16>"}]},"filterSet":{}}'),
    _describe(
        "DescribeTags",
        1.5,
        '{"maxResults":1000,"filterSet":{"items":[{"name":"resource-id","valueSet":'
        '{"items":[{"value":"i-0<hex:16>"}]}}]}}',
    ),
    _describe("DescribeAvailabilityZones", 0.7, '{"availabilityZoneSet":{},"availabilityZoneIdSet":{}}'),
    Call("ec2", "RunInstances", 0.4, caller="autoscaling", parameters=_RUN, response=_RAN, version="1.10"),
    Call("ec2", "RunInstances", 0.2, parameters=_RUN, response=_RAN, version="1.10"),
    Call(
        "ec2",
        "CreateNetworkInterface",
        0.6,
        version="1.10",
        parameters='{"subnetId":"subnet-0<hex:16#net>","description":"ENI for <hex:12>","groupSet":{"items":'
        '[{"groupId":"sg-0<hex:16#sg>"}]},"privateIpAddressesSet":{},"clientToken":"<uuid>"}',
        response='{"requestId":"<uuid>","networkInterface":{"networkInterfaceId":"eni-0<hex:16>","subnetId":'
        '"subnet-0<hex:16#net>","vpcId":"vpc-0<hex:16>","availabilityZone":"<region>b","ownerId":"<account>",'
        '"requesterManaged":false,"status":"pending","macAddress":"02:<hex:2>:<hex:2>:<hex:2>:<hex:2>:<hex:2>",'
        '"privateIpAddress":"192.0.2.1<num:1>","sourceDestCheck":true,"groupSet":{"items":[{"groupId":'
        '"sg-0<hex:16#sg>","groupName":"nodes"}]}}}',
    ),
    Call(
        "ec2",
        "CreateTags",
        0.8,
        version="1.10",
        response='{"requestId":"<uuid>","_return":true}',
        parameters='{"resourcesSet":{"items":[{"resourceId":"vol-0<hex:16>"}]},"tagSet":{"items":[{"key":"Name",'
        '"value":"pvc-<uuid>"},{"key":"cluster","value":"main-<num:1>"}]}}',
    ),
    Call(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        0.05,
        version="1.10",
        parameters='{"groupId":"sg-0<hex:16>","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":443,'
        '"toPort":443,"groups":{},"ipRanges":{"items":[{"cidrIp":"198.51.100.<num:2>/32"}]},"ipv6Ranges":{},'
        '"prefixListIds":{}}]}}',
        response='{"requestId":"<uuid>","_return":true}',
    ),
    Call(
        "ec2",
        "TerminateInstances",
        0.3,
        caller="autoscaling",
        version="1.10",
        parameters='{"instancesSet":{"items":[{"instanceId":"i-0<hex:16#i>"}]}}',
        response='{"requestId":"<uuid>","instancesSet":{"items":[{"instanceId":"i-0<hex:16#i>","currentState":'
        '{"code":32,"name":"shutting-down"},"previousState":{"code":16,"name":"running"}}]}}',
    ),
    Call(
        "ec2",
        "DescribeInstanceAttribute",
        0.5,
        version="1.10",
        read=True,
        parameters='{"instanceId":"i-0<hex:16>","attribute":"userData"}',
        error=("Client.UnauthorizedOperation", _UNAUTHORISED.format(name="DescribeInstanceAttribute")),
    ),
    Call(
        "ec2",
        "StopInstances",
        0.1,
        version="1.10",
        parameters='{"instancesSet":{"items":[{"instanceId":"i-0<hex:16>"}]},"force":false}',
        error=("Client.UnauthorizedOperation", _UNAUTHORISED.format(name="StopInstances")),
    ),
    Call(
        "ec2",
        "DescribeVolumes",
        0.5,
        version="1.10",
        read=True,
        parameters='{"volumeSet":{"items":[{"volumeId":"vol-0<hex:16#v>"}]},"filterSet":{}}',
        error=("Client.InvalidVolume.NotFound", "The volume 'vol-0<hex:16#v>' does not exist."),
    ),
    Call(
        "lambda",
        "Invoke",
        4,
        read=False,
        data=True,
        version="1.08",
        api_version="2015-03-31",
        parameters=f'{{"invocationType":"Event","functionName":"{_FUNCTION}","sourceArn":'
        '"arn:aws:events:<region>:<account>:rule/tick-<num:2>"}',
        additional='{"functionVersion":"' + _FUNCTION + ':$LATEST"}',
        resources=f'[{{"accountId":"<account>","type":"AWS::Lambda::Function","ARN":"{_FUNCTION}"}}]',
    ),
    Call(
        "lambda",
        "GetFunction20150331v2",
        1,
        parameters=f'{{"functionName":"{_FUNCTION}"}}',
        read=True,
        version="1.08",
        api_version="2015-03-31",
    ),
    Call(
        "lambda",
        "ListFunctions20150331",
        0.8,
        parameters='{"marker":"<base64:120>","maxItems":50}',
        read=True,
        version="1.08",
        api_version="2015-03-31",
    ),
    Call("lambda", "GetPolicy20150331v2", 0.4, read=True, version="1.08", error=("AccessDeniedException", "")),
    Call(
        "ecs",
        "DescribeTasks",
        1.5,
        read=True,
        version="1.08",
        parameters='{"cluster":"main-<num:1#c>","tasks":'
        '["arn:aws:ecs:<region>:<account>:task/main-<num:1#c>/<hex:32>"]}',
    ),
    Call(
        "ecs",
        "SubmitTaskStateChange",
        0.8,
        version="1.08",
        response='{"acknowledgment":"ok"}',
        parameters='{"cluster":"main-<num:1#c>","task":"arn:aws:ecs:<region>:<account>:task/main-<num:1#c>/<hex:32>",'
        '"status":"RUNNING","containers":[{"containerName":"web","runtimeId":"<hex:32>-1<num:9>","imageDigest":'
        '"sha256:<hex:64>","networkBindings":[]}]}',
    ),
    Call(
        "ecr",
        "BatchGetImage",
        1,
        read=True,
        version="1.08",
        resources='[{"accountId":"<account>","ARN":"arn:aws:ecr:<region>:<account>:repository/web-<num:1#r>"}]',
        host="api.ecr.<region>.amazonaws.com",
        parameters='{"registryId":"<account>","repositoryName":"web-<num:1#r>","imageIds":[{"imageTag":'
        '"<hex:40>"}],"acceptedMediaTypes":["application/vnd.oci.image.manifest.v1+json"]}',
    ),
    Call(
        "autoscaling",
        "DescribeAutoScalingGroups",
        1.5,
        read=True,
        version="1.08",
        parameters='{"autoScalingGroupNames":["eks-nodes-<uuid>"],"maxRecords":100}',
    ),
    Call(
        "elasticloadbalancing",
        "DescribeTargetHealth",
        1.5,
        read=True,
        version="1.08",
        api_version="2015-12-01",
        parameters='{"targetGroupArn":"arn:aws:elasticloadbalancing:<region>:<account>:targetgroup/web-<num:2>/'
        '<hex:16>"}',
    ),
)
