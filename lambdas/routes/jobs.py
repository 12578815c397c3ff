"""Calls on jobs: training, progress, cancelling."""

import json
from contextlib import suppress
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.logging import Logger

from contracts import request_schemas
from contracts.errors import Conflict, Unavailable
from contracts.identity import identifier
from contracts.requests import TrainRequest, parse_approval
from contracts.status import ApprovalState, Job, JobState
from lambdas import answers, environment, orchestrator
from lambdas.leases import Busy
from lambdas.rollback import end_release_of
from lambdas.routes.description import described
from lambdas.routes.exchange import answer, json_body, project_named, router

log = Logger(service="exemplar-api", level="WARNING")


@router.post("/v1/projects/<name>/train")
@described(
    answers={200: answers.readiness, 202: answers.training},
    body=request_schemas.train,
    refuses=(409, 422),
    is_body_optional=True,
)
def train(name: str) -> Response[str]:
    """Start a training; the answer holds the job and an estimate of its time and cost.

    With `check_only` nothing is started: the answer says whether it would be, and if not, why.
    """
    project = project_named(name)
    body = json_body(default={})
    TrainRequest.parse(body)
    called = environment.functions().invoke(
        FunctionName=environment.ingest_function(),
        Payload=json.dumps({"user": project.user, "project": project.name, "request": body}),
    )
    payload = json.load(called["Payload"])
    if "job" in payload:
        return answer(202, payload)
    if "can_train" in payload:
        return answer(200, payload)
    if "http_status" in payload:
        return answer(payload.pop("http_status"), payload)
    log.error("ingest failed", extra={"payload": payload})
    raise Unavailable("the training could not be started", fix="try again in a minute")


@router.get("/v1/projects/<name>/jobs")
@described(answers={200: answers.jobs})
def list_jobs(name: str) -> Response[str]:
    """A project's jobs, newest first."""
    project = project_named(name)
    environment.state().project(project)
    jobs = environment.state().jobs(project)
    return answer(200, {"jobs": [job_summary(job) for job in jobs]})


@router.get("/v1/projects/<name>/jobs/<job_id>")
@described(answers={200: answers.job})
def show_job(name: str, job_id: str) -> Response[str]:
    """One job: progress, metrics so far, cost, and why it failed."""
    project = project_named(name)
    environment.state().project(project)
    job = environment.state().job(project, identifier(job_id, "job"))
    return answer(200, job.as_dict())


@router.delete("/v1/projects/<name>/jobs/<job_id>")
@described(answers={200: answers.job}, refuses=(409,))
def cancel_job(name: str, job_id: str) -> Response[str]:
    """Stop a job; what was live stays live."""
    project, state = project_named(name), environment.state()
    state.project(project)
    job = state.job(project, identifier(job_id, "job"))
    # Mark the job first: from then on no process can report progress on it any more.
    state.update_job(
        project, job.job_id, state=JobState.CANCELLED, message="cancelled; what was live stays so"
    )
    job = state.job(project, job.job_id)
    if job.state is not JobState.CANCELLED:
        raise Conflict(f"the job is already {job.state}", fix="nothing is left to cancel")
    orchestrator.cancel_runs(project, job.job_id)
    with suppress(Busy):  # who is releasing hears of it, too
        end_release_of(environment.place(), project, job.job_id)
    return answer(200, job.as_dict())


@router.post("/v1/projects/<name>/jobs/<job_id>/approval")
@described(
    answers={202: answers.approval_answer}, body=request_schemas.answer_approval, refuses=(409,)
)
def answer_approval(name: str, job_id: str) -> Response[str]:
    """Say whether the model that waits for approval shall be released."""
    project, (approve, note) = project_named(name), parse_approval(json_body())
    job = environment.state().job(project, identifier(job_id, "job"))
    waits = job.approval.get("state") == ApprovalState.WAITING and not job.state.is_final
    run_input = {"approve": approve, "note": note, "by": project.user}
    if not waits or not orchestrator.answer_pause(job.approval["flow_run_id"], run_input):
        raise Conflict("the job does not wait for approval", fix="look at the job")
    return answer(202, {"project": project.name, "job_id": job.job_id, "approve": approve})


def job_summary(job: Job) -> dict[str, Any]:
    """What lists show of a job."""
    wanted = ("job_id", "state", "stage", "progress", "message", "created_at", "updated_at")
    whole = job.as_dict()
    return {name: whole[name] for name in (*wanted, "model_version", "approval", "failure")}
