"""Take a system off an account: first what costs money, then the stack, and data only on request.

Every step may be killed and repeated: what is gone already is no error.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from contracts import machine_tags
from contracts.errors import ExemplarError
from deployments.aws.account import Account
from deployments.code_bucket import CodeBucket
from deployments.repair import is_absence
from deployments.stack import Stack
from deployments.stack_events import EventFeed, Say
from deployments.template import Template
from tasks import inference_identity, training_identity

_PRESENT: Final = (*machine_tags.COSTING, "shutting-down")
_OBJECTS_PER_CALL: Final = 1_000
_MACHINE_POLL_SECONDS: Final = 3.0
_MACHINE_TIMEOUT_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a stack has made on the account, found by name, path and tag rather than by memory."""

    has_stack: bool
    machines: tuple[str, ...]
    functions: tuple[str, ...]
    log_groups: tuple[str, ...]
    roles: tuple[str, ...]
    layers: tuple[str, ...]  # NAME:VERSION
    buckets: tuple[str, ...]
    tables: tuple[str, ...]

    @property
    def goes(self) -> dict[str, tuple[str, ...]]:
        """What a removal always ends."""
        return {
            "training machines": self.machines,
            "inference functions": self.functions,
            "their log groups": self.log_groups,
            "projects' roles": self.roles,
        }

    @property
    def data(self) -> dict[str, tuple[str, ...]]:
        """What stays unless everything is to go; all of it holds data or code and costs little."""
        return {"buckets": self.buckets, "tables": self.tables, "layer versions": self.layers}


def take_inventory(account: Account, stack: str) -> Inventory:
    """Look for everything that bears the stack's name."""
    return Inventory(
        has_stack=_stack(account, stack).status() is not None,
        machines=tuple(_machines(account, stack, machine_tags.COSTING)),
        functions=tuple(_functions(account, stack)),
        log_groups=tuple(_log_groups(account, stack)),
        roles=tuple(_roles(account, stack)),
        layers=tuple(_layers(account, stack)),
        buckets=tuple(_buckets(account, stack)),
        tables=tuple(_tables(account, stack)),
    )


def remove_system(account: Account, stack: str, say: Say, *, everything: bool = False) -> Inventory:
    """End machines, functions, roles and the stack; with `everything` also data and code.

    Returns what is left. Raises `ExemplarError` with CloudFormation's reasons.
    """
    found = take_inventory(account, stack)
    if found.machines:
        say(f"ending {len(found.machines)} machines")
        _end_machines(account, stack, found.machines)
    for name in found.functions:
        say(f"deleting function {name}")
        _unless_absent(account.client("lambda").delete_function, FunctionName=name)
    for name in _log_groups(account, stack):
        _unless_absent(account.client("logs").delete_log_group, logGroupName=name)
    for name in found.roles:
        say(f"deleting role {name}")
        training_identity.remove_identity(account.client("iam"), name)
    if found.has_stack:
        say(f"deleting the stack {stack}")
        _stack(account, stack, say).delete()
    if everything:
        _remove_data(account, found, say)
    return take_inventory(account, stack)


def _stack(account: Account, name: str, say: Say | None = None) -> Stack:
    client = account.client("cloudformation")
    return Stack(client, name, feed=EventFeed(client, name, say) if say else None)


def _end_machines(account: Account, stack: str, machines: tuple[str, ...]) -> None:
    """And wait until they are gone: the security group cannot be deleted while one is in it."""
    machine_tags.end(account.client("ec2"), list(machines))
    deadline = time.monotonic() + _MACHINE_TIMEOUT_SECONDS
    while left := list(_machines(account, stack, _PRESENT)):
        if time.monotonic() > deadline:
            raise ExemplarError(
                f"{left[0]} has not ended after {_MACHINE_TIMEOUT_SECONDS:.0f} s",
                fix="look at it in the EC2 console, then run the command again",
            )
        time.sleep(_MACHINE_POLL_SECONDS)


def _machines(account: Account, stack: str, states: tuple[str, ...]) -> Iterator[str]:
    found = machine_tags.machines(account.client("ec2"), stack, states)
    yield from (str(instance["InstanceId"]) for instance in found)


def _functions(account: Account, stack: str) -> Iterator[str]:
    for page in account.client("lambda").get_paginator("list_functions").paginate():
        names = (str(function["FunctionName"]) for function in page["Functions"])
        yield from (name for name in names if name.startswith(_function_prefixes(stack)))


def _log_groups(account: Account, stack: str) -> Iterator[str]:
    pages = account.client("logs").get_paginator("describe_log_groups")
    for prefix in _function_prefixes(stack):
        for page in pages.paginate(logGroupNamePrefix=f"/aws/lambda/{prefix}"):
            yield from (str(group["logGroupName"]) for group in page["logGroups"])


def _function_prefixes(stack: str) -> tuple[str, ...]:
    """Of functions that promotions make: endpoints, and large models behind them."""
    return (f"{stack}-infer_", f"{stack}-image_")


def _roles(account: Account, stack: str) -> Iterator[str]:
    paths = (training_identity.role_path(stack), inference_identity.role_path(stack))
    pages = account.client("iam").get_paginator("list_roles").paginate(PathPrefix=f"/{stack}/")
    for page in pages:
        # Not every emulator heeds the prefix; a role outside of it is none of ours.
        roles = (role for role in page["Roles"] if role["Path"] in paths)
        yield from (str(role["RoleName"]) for role in roles)


def _layers(account: Account, stack: str) -> Iterator[str]:
    name = f"{stack}-inference"
    pages = account.client("lambda").get_paginator("list_layer_versions").paginate(LayerName=name)
    try:
        for page in pages:
            yield from (f"{name}:{version['Version']}" for version in page["LayerVersions"])
    except ClientError as error:
        if not is_absence(error):
            raise


def _buckets(account: Account, stack: str) -> Iterator[str]:
    names = [resource.physical_id for resource in _data(account, stack, "AWS::S3::Bucket")] + [
        CodeBucket.name_of(stack, account.number, account.region)
    ]
    s3 = account.client("s3")
    yield from (name for name in names if _exists(s3.head_bucket, Bucket=name))


def _tables(account: Account, stack: str) -> Iterator[str]:
    client = account.client("dynamodb")
    for resource in _data(account, stack, "AWS::DynamoDB::Table"):
        if _exists(client.describe_table, TableName=resource.physical_id):
            yield resource.physical_id


def _data(account: Account, stack: str, kind: str) -> list[Any]:
    names = {
        "AWS::StackName": stack,
        "AWS::AccountId": account.number,
        "AWS::Region": account.region,
    }
    return [resource for resource in Template.load().retained(names) if resource.type == kind]


def _remove_data(account: Account, found: Inventory, say: Say) -> None:
    for name in found.buckets:
        say(f"emptying and deleting bucket {name}")
        _empty(account.client("s3"), name)
        _unless_absent(account.client("s3").delete_bucket, Bucket=name)
    for name in found.tables:
        say(f"deleting table {name}")
        _unless_absent(account.client("dynamodb").delete_table, TableName=name)
    for layer in found.layers:
        name, _, version = layer.partition(":")
        account.client("lambda").delete_layer_version(LayerName=name, VersionNumber=int(version))


def _empty(s3: Any, bucket: str) -> None:
    """Versions and delete markers too, a thousand with each request."""
    for page in s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": _OBJECTS_PER_CALL}
    ):
        objects = [
            {"Key": entry["Key"], "VersionId": entry["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for entry in page.get(kind, [])
        ]
        if objects:
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            if errors := answer.get("Errors"):
                raise ExemplarError(
                    f"{len(errors)} objects of {bucket} could not be deleted: "
                    f"{errors[0].get('Message', errors[0]['Code'])}",
                    fix="see whether a policy or a lock protects them, then run it again",
                )


def _exists(ask: Callable[..., Any], **arguments: Any) -> bool:
    try:
        ask(**arguments)
    except ClientError as error:
        if is_absence(error):
            return False
        raise
    return True


def _unless_absent(call: Callable[..., Any], **arguments: Any) -> None:
    try:
        call(**arguments)
    except ClientError as error:
        if not is_absence(error):
            raise
