"""Whether a training would start: what `ingest.start` looks at, with nothing begun or kept."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from contracts.errors import DataProblem, LimitExceeded, QuotaExceeded
from contracts.identity import Project
from contracts.requests import TrainRequest
from lambdas import environment
from lambdas.attempts import attempt, running
from lambdas.training_data import (
    Wanted,
    check_counts,
    estimate_of,
    examples_of,
    read_tables,
    training_data,
    wanted,
)


def readiness(
    project: Project, request: TrainRequest, *, is_as_before: bool = False
) -> dict[str, Any]:
    """The API's answer; what keeps the training from starting is in it, in the same words.

    Raises `ExemplarError` for what is wrong with the request itself.
    """
    found: dict[str, Any] = {"can_train": True, "examples": 0, "running": "", "trained": ""}
    try:
        about = wanted(project, request, is_alone=False)
        found["examples"] = examples_of(about.edited)
        job = None if is_as_before else running(about)
        if job:
            with suppress(DataProblem):  # a list may go while its job runs
                found["examples"] = examples_of(training_data(about).files)
            return found | {"running": job.job_id, "estimate": job.estimate}
        _look(about, found)
    except (DataProblem, LimitExceeded, QuotaExceeded) as error:
        return found | {"can_train": False, "problem": error.as_dict()["error"]}
    return found


def _look(about: Wanted, found: dict[str, Any]) -> None:
    """Fill in what is known; raises where it would not start."""
    project, request = about.record.project, about.request
    environment.stored_bytes(project.user).foresee(project)
    data = training_data(about)
    found["examples"] = examples_of(data.files)
    found["feedback"] = data.as_dict()
    found["estimate"] = estimate_of(request, data.files).as_dict()
    tables = read_tables(about, data)
    found["tables"] = tables.found
    check_counts(about, data, tables)
    job_id, job = attempt(about.record, replace(request, upload=data.upload))
    if job is None:
        environment.quotas(project.user).foresee_training(project, job_id)
    else:
        found["trained" if job.state.is_final else "running"] = job.job_id
