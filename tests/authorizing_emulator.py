"""The AWS emulator with IAM enforced, and told what AWS tells IAM of a request.

With AUTH=true the emulator checks signatures and evaluates policies, boundaries and conditions.
Of some requests it does not name all that the service authorization reference lists, so a policy
that says what AWS asks for would be refused or would not be asked at all:

| request | AWS names | the emulator alone |
|---|---|---|
| DynamoDB, on items | `dynamodb:LeadingKeys` | nothing |
| IAM, on a role or profile | its path and `iam:PermissionsBoundary` | its name |
| CreateFunction | the function; `iam:PassRole` on its role | any function; nothing |
| InvokeFunction with a version | the version's ARN | the function's |
| aliases, URLs, concurrency | the call's own action | one of another call |
| CloudWatch Logs, on a stream | the stream's ARN | the group's |
| any | TLS, which the bucket asks for | that it listens on plain HTTP |

Run as `python -m tests.authorizing_emulator`, with the emulator's own variables.
"""

import contextvars
import json
import os
import re
from functools import partial
from typing import Any, Final

_PASSED: contextvars.ContextVar[str] = contextvars.ContextVar("passed_role", default="")
_PARTITION = re.compile(r"\bpk\s*=\s*(:\w+)")
_ALIAS: Final = {"GET": "GetAlias", "PUT": "UpdateAlias", "DELETE": "DeleteAlias"}
_URL: Final = {
    "GET": "GetFunctionUrlConfig",
    "POST": "CreateFunctionUrlConfig",
    "PUT": "UpdateFunctionUrlConfig",
    "DELETE": "DeleteFunctionUrlConfig",
}
_CONCURRENCY: Final = {
    "GET": "GetFunctionConcurrency",
    "PUT": "PutFunctionConcurrency",
    "DELETE": "DeleteFunctionConcurrency",
}
_PASSES_A_ROLE: Final = {"lambda:CreateFunction", "lambda:UpdateFunctionConfiguration"}
_ON_STREAMS: Final = {"CreateLogStream", "PutLogEvents", "GetLogEvents"}


def leading_keys(document: dict[str, Any]) -> list[str]:
    """Partition keys, named `pk`, of the items that a DynamoDB request is about."""
    items = [document[part] for part in ("Key", "Item") if part in document]
    for requests in document.get("RequestItems", {}).values():
        items += requests.get("Keys", []) if isinstance(requests, dict) else []
        for request in requests if isinstance(requests, list) else []:
            items += [part.get("Key") or part.get("Item") for part in request.values()]
    for transaction in document.get("TransactItems", []):
        items += [part.get("Key") or part.get("Item") for part in transaction.values()]
    found = [str(item["pk"]["S"]) for item in items]
    if match := _PARTITION.search(document.get("KeyConditionExpression", "")):
        found.append(str(document["ExpressionAttributeValues"][match[1]]["S"]))
    return found


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def install() -> None:
    """Put the missing parts into the emulator, which looks its functions up at each request."""
    from ministack.core import iam_actions, iam_evaluator

    actions: Any = iam_actions
    evaluator: Any = iam_evaluator
    dynamodb, tags = actions.dynamodb_service_context, actions.request_tag_context
    arn_of, lambda_action, enforce = (
        actions.extract_resource_arn,
        actions._lambda_action,
        evaluator.enforce,
    )

    def dynamodb_context(body: bytes) -> dict[str, Any]:
        keys = leading_keys(_parsed(body))
        return dict(dynamodb(body)) | ({"dynamodb:LeadingKeys": keys} if keys else {})

    def context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        passed = _parsed(body).get("Role", "") if action in _PASSES_A_ROLE else ""
        _PASSED.set(str(passed))
        boundary = _boundary(params) if service == "iam" else ""
        found = {"iam:PermissionsBoundary": boundary} if boundary else {}
        return dict(tags(service, action, body, params)) | found

    def resource(
        service: str, method: str, path: str, headers: Any, body: bytes, *more: Any
    ) -> str:
        named = str(arn_of(service, method, path, headers, body, *more))
        params, region, account = more
        if service == "iam":
            return _iam_arn(params, account) or named
        if service == "lambda" and path.rstrip("/").endswith("/functions") and method == "POST":
            return f"arn:aws:lambda:{region}:{account}:function:{_parsed(body)['FunctionName']}"
        if service == "lambda" and path.endswith("/invocations") and "Qualifier" in params:
            return f"{named}:{_one(params, 'Qualifier')}"
        if service == "logs" and headers.get("x-amz-target", "").split(".")[-1] in _ON_STREAMS:
            return f"{named}:log-stream:{_parsed(body).get('logStreamName', '')}"
        return named

    def action_of_lambda(method: str, path: str) -> Any:
        parts = path.strip("/").split("/")
        if "aliases" in parts[:-1]:
            return _ALIAS[method]
        if parts[-1] == "concurrency":
            return _CONCURRENCY[method]
        return _URL[method] if parts[-1] == "url" else lambda_action(method, path)

    def enforce_both(key: str, action: str, service: str, region: str, **named: Any) -> Any:
        denied = enforce(key, action, service, region, **named)
        if denied or action not in _PASSES_A_ROLE or not _PASSED.get():
            return denied
        to = {"iam:PassedToService": "lambda.amazonaws.com"}
        return enforce(
            key, "iam:PassRole", "iam", region, resource_arn=_PASSED.get(), service_context=to
        )

    actions.dynamodb_service_context = dynamodb_context
    actions.request_tag_context = context
    actions.extract_resource_arn = resource
    actions._lambda_action = action_of_lambda
    evaluator.enforce = enforce_both
    evaluator.EvalContext = partial(evaluator.EvalContext, secure_transport=True)


def _one(params: dict[str, Any], name: str) -> str:
    value = params.get(name, "")
    return str(value[0] if isinstance(value, list) else value)


def _iam_arn(params: dict[str, Any], account: str) -> str:
    """Of a role or profile that is not there IAM knows no path, unless it is to be made."""
    from ministack.services import iam

    profile, role = _one(params, "InstanceProfileName"), _one(params, "RoleName")
    kind, name = ("instance-profile", profile) if profile else ("role", role)
    known = (iam._instance_profiles if profile else iam._roles).get(name) if name else None
    if known:
        return str(known["Arn"])
    return f"arn:aws:iam::{account}:{kind}{_one(params, 'Path') or '/'}{name}" if name else ""


def _boundary(params: dict[str, Any]) -> str:
    """Of the role to be made, or of the one that is there."""
    from ministack.services import iam

    known = iam._roles.get(_one(params, "RoleName")) or {}
    return _one(params, "PermissionsBoundary") or str(known.get("PermissionsBoundary") or "")


def main() -> None:
    """Serve as the emulator does, with AUTH=true."""
    os.environ["AUTH"] = "true"
    install()
    from ministack.app import main as serve

    serve()


if __name__ == "__main__":
    main()
