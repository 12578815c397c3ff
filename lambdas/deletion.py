"""Beginning to delete a project, and going on with it: closed at once, emptied by a flow run."""

from contextlib import suppress

from contracts.errors import Conflict, Unavailable
from contracts.identity import Project
from contracts.receipt import Receipt
from contracts.status import JobState
from lambdas import orchestrator
from lambdas.receipts import Receipts, new_receipt_id
from lambdas.state import State


def delete(state: State, project: Project, receipt_id: str = "") -> Receipt:
    """Begin to delete a project, go on, or return the receipt of what is gone.

    With `receipt_id` only that deletion goes on: a project of the same name that was made since
    stays. Raises `NotFound` where there is neither project nor receipt.
    """
    receipts = Receipts(state.table)
    receipt = (
        receipts.of_project(project, receipt_id) if receipt_id else _begun(state, receipts, project)
    )
    if receipt.is_done:
        return receipt
    record = state.find_project(project)
    if record is not None and record.deletion == receipt.receipt_id:
        _close(state, project)
    return _with_run(receipts, project, receipt)


def _begun(state: State, receipts: Receipts, project: Project) -> Receipt:
    """The project's deletion, or the last one where the project is gone already."""
    if latest := _gone(state, receipts, project):
        return latest
    state.mark_deletion(project, new_receipt_id())
    record = state.find_project(project)  # marked by this call, or by one before or beside it
    if record is None or not record.deletion:
        raise Conflict(f"project {project.name!r} has just been deleted", fix="look at it again")
    # Keys are counted before they go; whoever comes second finds the receipt there.
    return receipts.open(project, record.deletion, {"keys": state.count_keys(project)})


def _gone(state: State, receipts: Receipts, project: Project) -> Receipt | None:
    if state.find_project(project) is not None:
        return None
    latest = receipts.latest(project)
    if latest is None:
        state.project(project)  # says that there is none
    return latest


def _close(state: State, project: Project) -> None:
    """No key opens the endpoint, no process can report on a job any more."""
    state.remove_keys(project)
    for job in state.jobs(project, limit=10_000):
        if not job.state.is_final:
            state.update_job(
                project, job.job_id, state=JobState.CANCELLED, message="its project is deleted"
            )


def _with_run(receipts: Receipts, project: Project, receipt: Receipt) -> Receipt:
    """Have a flow run go on with it. Where none can be started, the receipt says so."""
    user = project.user
    try:
        if receipt.flow_run_id and not orchestrator.is_over(receipt.flow_run_id):
            return receipt
        attempt = receipt.attempt + 1
        run = orchestrator.start_deletion(project, receipt.receipt_id, attempt)
        changes = {"flow_run_id": run, "attempt": attempt, "failure": {}}
        receipts.note(user, receipt.receipt_id, **changes)
    except Unavailable as error:
        receipts.note(user, receipt.receipt_id, failure=error.as_dict()["error"])
    else:
        with suppress(Unavailable):  # the flow run does it, too; now it is sooner
            orchestrator.cancel_project_runs(project)
    return receipts.receipt(user, receipt.receipt_id)
