"""Which job answers a request to train: one that is there, or the next attempt."""

from contracts.errors import Conflict
from contracts.requests import TrainRequest
from contracts.status import Job, JobState
from lambdas import environment
from lambdas.state import ProjectRecord
from lambdas.training_data import Wanted

_ATTEMPTS = 1_000


def running(about: Wanted) -> Job | None:
    """The unfinished job of the same request, whatever labels came meanwhile."""
    record, request = about.record, about.request
    is_same = record.last_request == request.remembered() and record.last_examples == about.digest
    if not record.last_job or not is_same:
        return None
    job = environment.state().find_job(record.project, record.last_job)
    if job is None or job.state.is_final or not job.flow_run_id:
        return None
    return job if request.with_feedback or job.upload == about.upload else None


def attempt(record: ProjectRecord, request: TrainRequest) -> tuple[str, Job | None]:
    """The first attempt that is neither failed nor cancelled: its id, and its job if there is one.

    Raises `Conflict` after a thousand.
    """
    for number in range(_ATTEMPTS):
        job_id = request.job_id(record.project, number)
        job = environment.state().find_job(record.project, job_id)
        if job is None or not job.state.is_final:
            return job_id, job
        if job.state is JobState.DONE and not request.again:
            return job_id, job
    raise Conflict(
        f"this job has been tried {_ATTEMPTS:,} times", fix="change the data or the recipe"
    )
