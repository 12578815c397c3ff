"""The steps of the flow that deletes a project; any may be killed and taken again."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from prefect import task
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Scheduled

from contracts.errors import ExemplarError
from lambdas.leases import exclusive
from tasks import clients
from tasks.deletion import tally, tracking, workflows
from tasks.deletion.parts import PARTS, RECORD
from tasks.deletion.tally import Deletion
from tasks.settings import settings

_ROUNDS: Final = 5
_MAX_ATTEMPTS: Final = 5
_LEASE_WAIT_SECONDS: Final = 600.0  # a release may be at its last step
# An address that takes an upload is good for an hour, and so long S3's events are tried again.
LATE_SECONDS: Final = 3_900.0


@contextmanager
def reported(deletion: Deletion) -> Iterator[None]:
    """Whatever ends the deletion badly stands in its receipt; deleting again goes on."""
    try:
        if (flow_run.get_run_count() or 0) > _MAX_ATTEMPTS:
            raise ExemplarError(
                f"the deletion lost its process {_MAX_ATTEMPTS} times",
                fix="look at the worker's log, then delete the project again",
            )
        yield
    except Exception as error:
        shown = error
        if not isinstance(shown, ExemplarError):
            shown = ExemplarError(
                f"the deletion stopped because of an unexpected {type(error).__name__}",
                fix=f"delete the project again; flow run {flow_run.get_id()} has the details",
            )
        user, receipt = deletion.project.user, deletion.receipt_id
        tally.receipts().note(user, receipt, failure=shown.as_dict()["error"])
        raise


@contextmanager
def alone(deletion: Deletion) -> Iterator[None]:
    """Nobody releases or rolls back meanwhile, and no second process deletes."""
    holder = f"deletion-{flow_run.get_id() or deletion.receipt_id}"
    table = clients.state().table
    with exclusive(table, deletion.project, holder, wait_seconds=_LEASE_WAIT_SECONDS):
        yield


# Retries: Prefect may stumble; asking a run to stop twice is harmless.
@task(retries=3, retry_delay_seconds=[2, 10, 30])
def end_runs(deletion: Deletion) -> None:
    """Stop the project's flow runs and wait for their end."""
    workflows.end_runs(deletion)


def empty(deletion: Deletion) -> None:
    """Remove all parts, each as a task of its own."""
    for number in range(len(PARTS)):
        sweep(deletion, number)


# Retries: AWS, MLflow and Prefect may stumble; every step may be repeated.
@task(retries=3, retry_delay_seconds=[2, 10, 30])
def sweep(deletion: Deletion, number: int) -> int:
    """Remove one part; return how much there was."""
    part = PARTS[number]
    tally.settle(deletion, (*PARTS, RECORD))
    if not deletion.is_due():
        return 0
    receipt = deletion.receipt()
    if not receipt.is_done:
        progress = max(receipt.progress, number / len(PARTS))
        user = deletion.project.user
        tally.receipts().note(user, deletion.receipt_id, message=part.says, progress=progress)
    removed = tally.sweep(deletion, part)
    if removed:
        get_run_logger().info("%s: %d", part.says, removed)
    return removed


# Retries: as above.
@task(retries=3, retry_delay_seconds=[2, 10, 30])
def sweep_again(deletion: Deletion) -> None:
    """Look at all parts until a whole round finds nothing: something was under way meanwhile.

    Raises `ExemplarError` when somebody keeps on writing.
    """
    tally.settle(deletion, (*PARTS, RECORD))
    for _ in range(_ROUNDS):
        if not deletion.is_due() or not sum(tally.sweep(deletion, part) for part in PARTS):
            return
    raise ExemplarError(
        f"something still writes to {deletion.project.name!r} after {_ROUNDS} rounds",
        fix="stop whatever uploads to it or trains on it, then delete it again",
    )


# Retries: the table may stumble.
@task(retries=3, retry_delay_seconds=[2, 10, 30])
def finish(deletion: Deletion) -> None:
    """Remove the record, so that the name is free again, and close the receipt."""
    tally.settle(deletion, (*PARTS, RECORD))
    tally.sweep(deletion, RECORD)
    user, receipt = deletion.project.user, deletion.receipt_id
    if deletion.is_late:
        tally.receipts().note(user, receipt, swept_again_at=time.time(), failure={})
    elif not deletion.receipt().is_done:
        tally.receipts().finish(user, receipt, tracking.stays())


# Retries: Prefect may stumble; the same key gives the same run.
@task(retries=3, retry_delay_seconds=[2, 10, 30])
def plan_late_sweep(deletion: Deletion) -> None:
    """Look once more when nothing can be under way any more, such as an upload begun before."""
    if deletion.is_late:
        return
    when = datetime.now(UTC) + timedelta(seconds=LATE_SECONDS)
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(settings().deletion_deployment)
        except ObjectNotFound:
            get_run_logger().warning("no deployment of the deletion: nobody will look again")
            return
        client.create_flow_run_from_deployment(
            deployment.id,
            name=f"delete-{deletion.receipt_id}-late",
            idempotency_key=f"delete-{deletion.receipt_id}-late",
            tags=[f"user:{deletion.project.user}"],
            parameters={
                "user": deletion.project.user,
                "project": deletion.project.name,
                "receipt": deletion.receipt_id,
                "is_late": True,
            },
            state=Scheduled(scheduled_time=when),
        )
