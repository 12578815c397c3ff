"""All machines of one pool, seen with one request however many runs are watched."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from prefect.utilities.asyncutils import run_sync_in_worker_thread

from contracts import machine_tags as tags
from deployments.ec2.launch import LIVE_STATES

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

_PATIENCE = 10  # looks at which a machine may be missing before it counts as gone


@dataclass
class Fleet:
    """The pool's instances as EC2 last described them."""

    client: "EC2Client"
    pool: str
    _seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    _missing: dict[str, int] = field(default_factory=dict)
    _looked_at: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ended(self, instance_id: str, states: frozenset[str], poll_seconds: float) -> Any:
        """Wait until an instance is in one of the states; return its description.

        An instance that EC2 does not know (any more) is described as terminated.
        """
        while True:
            instance = await self._look(instance_id, poll_seconds)
            if instance and instance["State"]["Name"] in states:
                return instance
            await asyncio.sleep(poll_seconds)

    async def living(self) -> list[dict[str, Any]]:
        """Every instance of the pool that exists now."""
        await run_sync_in_worker_thread(self._describe)
        return [i for i in self._seen.values() if i["State"]["Name"] in LIVE_STATES]

    async def terminate(self, instance_id: str) -> bool:
        """End an instance; returns whether EC2 knows it."""

        def end() -> bool:
            try:
                self.client.terminate_instances(InstanceIds=[instance_id])
            except ClientError as error:
                if error.response["Error"]["Code"].startswith("InvalidInstanceID"):
                    return False
                raise
            return True

        return await run_sync_in_worker_thread(end)

    async def _look(self, instance_id: str, poll_seconds: float) -> dict[str, Any] | None:
        async with self._lock:
            if time.monotonic() - self._looked_at >= poll_seconds:
                await run_sync_in_worker_thread(self._describe)
        if instance := self._seen.get(instance_id):
            self._missing.pop(instance_id, None)
            return instance
        self._missing[instance_id] = self._missing.get(instance_id, 0) + 1
        if self._missing[instance_id] > _PATIENCE:
            return {"InstanceId": instance_id, "State": {"Name": "terminated"}}
        return None

    def _describe(self) -> None:
        pages = self.client.get_paginator("describe_instances").paginate(
            Filters=[{"Name": f"tag:{tags.POOL}", "Values": [self.pool]}]
        )
        self._seen = {
            instance["InstanceId"]: dict(instance)
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        }
        self._looked_at = time.monotonic()
