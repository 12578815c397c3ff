"""What CloudFormation does to a stack's resources, told while it happens."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

Say = Callable[[str], None]


class EventFeed:
    """Tells each event once, oldest first."""

    def __init__(self, client: "CloudFormationClient", stack: str, say: Say) -> None:
        self._client = client
        self._stack = stack
        self._say = say
        self._told: set[str] = set()

    def skip(self) -> None:
        """Take what has happened so far as told."""
        self._told |= {event["EventId"] for event in self._new()}

    def tell(self) -> None:
        """Say what happened since the last call."""
        for event in reversed(list(self._new())):
            self._told.add(event["EventId"])
            self._say(_line(event))

    def _new(self) -> Iterator[Any]:
        """Events come newest first, so the first known one ends the reading."""
        pages = self._client.get_paginator("describe_stack_events").paginate(StackName=self._stack)
        try:
            for page in pages:
                for event in page["StackEvents"]:
                    if event["EventId"] in self._told:
                        return
                    yield event
        except ClientError as error:
            if "does not exist" not in str(error):
                raise


def _line(event: Any) -> str:
    reason = event.get("ResourceStatusReason", "")
    line = f"{event.get('ResourceStatus', '')}  {event['LogicalResourceId']}"
    return f"{line}: {reason}" if reason and "FAILED" in line else line
