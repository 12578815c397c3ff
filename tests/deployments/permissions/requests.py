"""A line of the table as the request that it stands for."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from tests.deployments.permissions.account import ANYBODY, EVERYTHING, STACK, Account
from tests.deployments.permissions.table import Line

BOUNDARIES = {"InferenceBoundary", "TrainerBoundary"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}


def is_let_through(account: Account, line: Line) -> bool:
    """Whether IAM lets it; what comes of it afterwards is another matter."""
    try:
        _REQUESTS[line.action.partition(":")[0]](account, line)
    except ClientError as error:
        return error.response["Error"]["Code"] not in DENIED
    return True


def _object(account: Account, what: str) -> tuple[str, str]:
    kind, _, key = what.partition("/")
    return account.outputs.bucket if kind == "data" else account.outputs.code_bucket, key


def _s3(account: Account, line: Line) -> Any:
    s3, (bucket, key) = account.client("s3", line.who), _object(account, line.what)
    if line.action == "s3:ListBucket":
        return s3.list_objects_v2(Bucket=bucket, Prefix=key)
    if line.action == "s3:PutObjectTagging":
        tags = {"TagSet": [{"Key": "expires", "Value": "inbox"}]}
        return s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=tags)
    extra = {"Body": b"new"} if line.action == "s3:PutObject" else {}
    return _named(s3, line)(Bucket=bucket, Key=key, **extra)


def _dynamodb(account: Account, line: Line) -> Any:
    call, key = _named(account.client("dynamodb", line.who), line), {"pk": {"S": line.what}}
    whole = key | {"sk": {"S": "TEST"}}
    more: dict[str, Any] = {
        "GetItem": {"Key": whole},
        "DeleteItem": {"Key": whole},
        "PutItem": {"Item": whole},
        "UpdateItem": {
            "Key": whole,
            "UpdateExpression": "ADD hits :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        },
        "Query": {
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": key["pk"]},
        },
    }
    return call(TableName=account.outputs.table, **more.get(line.action.split(":")[1], {}))


def _lambda(account: Account, line: Line) -> Any:
    what, _, role = line.what.partition(" as ")
    name, _, version = what.partition(":")
    name, call = f"{STACK}-{name}", _named(account.client("lambda", line.who), line)
    if role:
        return call(**account.function(name, account.role_arn(role)))
    more: dict[str, Any] = {
        "InvokeFunction": {"Payload": b"{}"} | ({"Qualifier": version} if version else {}),
        "UpdateAlias": {"Name": "live", "FunctionVersion": "1"},
        "UpdateFunctionCode": {"ZipFile": account.code},
    }
    return call(FunctionName=name, **more.get(line.action.split(":")[1], {}))


def _logs(account: Account, line: Line) -> Any:
    group, logs = f"/aws/lambda/{STACK}-{line.what}", account.client("logs", line.who)
    if line.action != "logs:PutLogEvents":
        return _named(logs, line)(logGroupName=group)
    event = {"timestamp": 1_700_000_000_000, "message": "seen"}
    return logs.put_log_events(logGroupName=group, logStreamName="[1]", logEvents=[event])


def _iam(account: Account, line: Line) -> Any:
    call, (role, _, boundary) = (
        _named(account.client("iam", line.who), line),
        line.what.partition(" below "),
    )
    path, _, name = role.rpartition("/")
    below = {"PermissionsBoundary": account.resources[boundary]} if boundary in BOUNDARIES else {}
    more: dict[str, Any] = {
        "CreateRole": {"Path": f"/{STACK}/{path}/", "AssumeRolePolicyDocument": ANYBODY} | below,
        "PutRolePolicy": {"PolicyName": "more", "PolicyDocument": EVERYTHING},
        "AttachRolePolicy": {"PolicyArn": account.outputs.deployer_policy_arn},
        "PutRolePermissionsBoundary": {"PermissionsBoundary": account.outputs.deployer_policy_arn},
        "UpdateAssumeRolePolicy": {"PolicyDocument": ANYBODY},
    }
    named = account.resources.get(name, name)
    return call(RoleName=named, **more.get(line.action.split(":")[1], {}))


def _named(client: Any, line: Line) -> Callable[..., Any]:
    """The client's method of the action's name."""
    operation = line.action.partition(":")[2]
    operation = {"InvokeFunction": "Invoke"}.get(operation, operation)
    methods = {api: python for python, api in client.meta.method_to_api_mapping.items()}
    return getattr(client, methods[operation])  # type: ignore[no-any-return]


_REQUESTS: dict[str, Callable[[Account, Line], Any]] = {
    "s3": _s3,
    "dynamodb": _dynamodb,
    "lambda": _lambda,
    "logs": _logs,
    "iam": _iam,
    "sqs": lambda account, line: account.client("sqs", line.who).send_message(
        QueueUrl=account.resources["IngestFailures"], MessageBody="{}"
    ),
    "secretsmanager": lambda account, line: account.client(
        "secretsmanager", line.who
    ).get_secret_value(SecretId=account.outputs.trainer_secret_arn),
    "codebuild": lambda account, line: account.client("codebuild", line.who).start_build(
        projectName=f"{STACK}-{line.what}"
    ),
    "sts": lambda account, line: account.client("sts", line.who).assume_role(
        RoleArn=account.role_arn(line.what), RoleSessionName="test"
    ),
}
