"""One CloudFormation stack: created, updated, repaired and waited for."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, WaiterError

from contracts.errors import Conflict, ExemplarError
from deployments.stack_events import EventFeed
from deployments.template import Resource

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, ResourceToImportTypeDef

# A stack in one of these can only be deleted; nothing in it has ever been in use.
_STILLBORN: Final = {"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"}
_USABLE: Final = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "IMPORT_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
}
_ACCEPTED: Final = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}


@dataclass(frozen=True, slots=True)
class Stack:
    """Operations wait until they are through; a failed one raises with AWS's own reasons."""

    client: "CloudFormationClient" = field(repr=False)
    name: str
    timeout_seconds: float = 900.0
    feed: EventFeed | None = field(default=None, repr=False)
    # Where templates are stored, for those that no call has room for; returns the address.
    store: Callable[[str], str] | None = field(default=None, repr=False)

    def status(self) -> str | None:
        """CloudFormation's status, None for no stack."""
        try:
            return self.client.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise

    def settle(self) -> bool:
        """Wait for an operation in progress, clear a failed creation; return whether one stands.

        Raises `Conflict` for a stack that needs a person's decision.
        """
        status = self.status()
        # REVIEW_IN_PROGRESS waits for somebody to execute a change set, and may for ever.
        if status != "REVIEW_IN_PROGRESS":
            status = self._wait()
        if status in _STILLBORN or status == "DELETE_FAILED":
            self.delete()
            status = None
        if status is not None and status not in _USABLE:
            raise Conflict(
                f"the stack {self.name!r} is in the state {status} and cannot be updated",
                fix="continue its rollback, or delete it: the data bucket and the table stay",
            )
        return status is not None

    def apply(self, template: str, parameters: dict[str, str]) -> bool:
        """Create or update the stack; return whether anything changed."""
        token = f"apply-{uuid.uuid4()}"
        self._skip_events()
        arguments: dict[str, Any] = {
            "StackName": self.name,
            "Parameters": _parameters(parameters),
            "Capabilities": ["CAPABILITY_IAM"],
            "ClientRequestToken": token,
        } | self._template(template)
        try:
            if self.status() is None:
                self.client.create_stack(**arguments)
            else:
                self.client.update_stack(**arguments)
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return False
            raise
        self._finish(token)
        return True

    def adopt(
        self,
        template: str,
        parameters: dict[str, str],
        resources: "list[ResourceToImportTypeDef]",
    ) -> None:
        """Create the stack around resources that exist already; the template holds no others."""
        name = f"adopt-{uuid.uuid4()}"
        self.client.create_change_set(
            StackName=self.name,
            ChangeSetName=name,
            ChangeSetType="IMPORT",
            Parameters=_parameters(parameters),
            ResourcesToImport=resources,
            **self._template(template),
        )
        waiter = self.client.get_waiter("change_set_create_complete")
        try:
            waiter.wait(
                StackName=self.name,
                ChangeSetName=name,
                WaiterConfig={"Delay": 1, "MaxAttempts": max(1, int(self.timeout_seconds))},
            )
        except WaiterError as error:
            reason = error.last_response.get("StatusReason", str(error))
            raise ExemplarError(
                f"the stack {self.name!r} cannot take over its bucket and table: {reason}",
                fix="remove or rename what is in the way, then deploy again",
            ) from error
        self.client.execute_change_set(
            StackName=self.name, ChangeSetName=name, ClientRequestToken=name
        )
        self._finish(name)

    def delete(self) -> None:
        """Delete the stack; resources that the template retains stay."""
        self._skip_events()
        self.client.delete_stack(StackName=self.name)
        status = self._wait()
        if status is not None:
            raise ExemplarError(
                f"the stack {self.name!r} could not be deleted, it is in the state {status}",
                details=self._failures(None),
            )

    def resources(self) -> list[Resource]:
        """What the stack believes to own."""
        pages = self.client.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return [
            Resource(
                entry["LogicalResourceId"],
                entry["ResourceType"],
                entry.get("PhysicalResourceId", ""),
            )
            for page in pages
            for entry in page["StackResourceSummaries"]
            if entry["ResourceStatus"] != "DELETE_COMPLETE"
        ]

    def outputs(self) -> dict[str, str]:
        """Values of the template's Outputs."""
        stack = self.client.describe_stacks(StackName=self.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def _template(self, text: str) -> dict[str, Any]:
        return {"TemplateURL": self.store(text)} if self.store else {"TemplateBody": text}

    def _finish(self, token: str) -> None:
        status = self._wait()
        if status not in _ACCEPTED:
            reasons = self._failures(token)
            raise ExemplarError(
                f"the stack {self.name!r} could not be deployed, it is now {status}: "
                + ("; ".join(reasons) or "CloudFormation gave no reason"),
                fix="correct what the reasons name, then deploy again; nothing has to be undone",
                details=reasons,
            )

    def _wait(self) -> str | None:
        """Poll until no operation is in progress; return the status."""
        deadline, pause = time.monotonic() + self.timeout_seconds, 0.02
        while (status := self.status()) and status.endswith("_IN_PROGRESS"):
            self._tell_events()
            if time.monotonic() > deadline:
                raise ExemplarError(
                    f"the stack {self.name!r} is still {status} after {self.timeout_seconds:.0f} s",
                    fix="deploy again to go on waiting; it does not start anything twice",
                )
            time.sleep(pause)
            pause = min(pause * 1.6, 5.0)
        self._tell_events()
        return None if status == "DELETE_COMPLETE" else status

    def _skip_events(self) -> None:
        if self.feed:
            self.feed.skip()

    def _tell_events(self) -> None:
        if self.feed:
            self.feed.tell()

    def _failures(self, token: str | None) -> list[str]:
        """Reasons of one operation's failed resources, the first cause first."""
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=self.name)
        failed = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
            for page in pages
            for event in page["StackEvents"]
            if event.get("ResourceStatus", "").endswith("_FAILED")
            and (token is None or event.get("ClientRequestToken") == token)
        ]
        return list(reversed([reason for reason in failed if "cancelled" not in reason.lower()]))


def _parameters(values: dict[str, str]) -> "list[ParameterTypeDef]":
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
