"""A project's flow runs in Prefect: stopped first, removed with their artifacts later."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling

from lambdas.orchestrator import project_tag
from tasks.deletion.tally import Batch, Deletion, receipts
from tasks.settings import settings

_PAGE: Final = 100
_UNFINISHED: Final = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]
_POLL_SECONDS: Final = 1.0
_SAID_EVERY_SECONDS: Final = 5.0


def end_runs(deletion: Deletion) -> None:
    """Stop whatever works for the project, and wait until nothing does.

    A process that does not end in time is taken for dead: its flow run is ended by force. What it
    may still write is swept up later.
    """
    began, said = time.monotonic(), 0.0
    with get_client(sync_client=True) as client:
        while deletion.is_due() and (runs := _tagged(client, deletion, _UNFINISHED)):
            waited = time.monotonic() - began
            is_late = waited > settings().deletion_wait_seconds
            for run in runs:
                _stop(client, run, by_force=is_late)
            if waited >= said:
                said = waited + _SAID_EVERY_SECONDS
                receipts().note(
                    deletion.project.user,
                    deletion.receipt_id,
                    message=f"waiting for {len(runs)} of its trainings to stop",
                )
            time.sleep(_POLL_SECONDS)


def find_runs(deletion: Deletion) -> Iterator[Batch]:
    """Flow runs with the project's tag and those inside them; always the first that are left."""
    with get_client(sync_client=True) as client:
        while runs := _tagged(client, deletion):
            ids = [run.id for run in runs]
            inner = ids
            while inner := _inner(client, inner):
                ids = [*inner, *ids]  # before those that they belong to
            artifacts = _artifacts(client, ids)
            counts = {"flow_runs": len(ids), "run_artifacts": len(artifacts)}
            yield Batch(tuple(str(one) for one in ids), counts)


def remove_runs(_deletion: Deletion, ids: Sequence[str]) -> None:
    """With artifacts; Prefect itself removes task runs at once and logs soon after."""
    runs = [UUID(one) for one in ids]
    with get_client(sync_client=True) as client:
        for artifact in _artifacts(client, runs):
            _unless_gone(client.delete_artifact, artifact)
        for run in runs:
            _unless_gone(client.delete_flow_run, run)


def _tagged(
    client: SyncPrefectClient, deletion: Deletion, states: list[str] | None = None
) -> list[FlowRun]:
    wanted: dict[str, Any] = {"tags": {"all_": [project_tag(deletion.project)]}}
    if states:
        wanted["state"] = {"type": {"any_": states}}
    found = FlowRunFilter.model_validate(wanted)
    return client.read_flow_runs(flow_run_filter=found, limit=_PAGE)


def _inner(client: SyncPrefectClient, parents: list[UUID]) -> list[UUID]:
    wanted = FlowRunFilter.model_validate({"parent_flow_run_id": {"any_": parents}})
    found: list[UUID] = []
    while page := client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=len(found)):
        found += [run.id for run in page]
    return found


def _artifacts(client: SyncPrefectClient, runs: list[UUID]) -> list[UUID]:
    found: list[UUID] = []
    for start in range(0, len(runs), _PAGE):
        wanted = ArtifactFilter.model_validate(
            {"flow_run_id": {"any_": runs[start : start + _PAGE]}}
        )
        before = len(found)
        while page := client.read_artifacts(
            artifact_filter=wanted, limit=_PAGE, offset=len(found) - before
        ):
            found += [artifact.id for artifact in page]
    return found


def _stop(client: SyncPrefectClient, run: FlowRun, *, by_force: bool) -> None:
    if by_force:
        state: State[Any] = Cancelled(message="its project is deleted, and it did not stop")
        client.set_flow_run_state(run.id, state, force=True)
    elif run.state and not run.state.is_cancelling():
        client.set_flow_run_state(run.id, Cancelling(message="its project is deleted"))


def _unless_gone(call: Any, what: UUID) -> None:
    try:
        call(what)
    except ObjectNotFound:
        return
