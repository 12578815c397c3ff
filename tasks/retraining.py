"""Trainings that nobody starts by hand: whether one is due, and asking for it as the API does."""

import json
import time
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from contracts.errors import BeingDeleted, ExemplarError, NotFound, Unavailable
from contracts.identity import Project
from contracts.retraining import Cause, reason_against
from lambdas.feedback import FeedbackLog
from lambdas.retraining import stop_watching, watched_projects
from tasks import clients
from tasks.settings import settings


def _may_pass(_task: Any, _run: Any, state: Any) -> bool:
    """A refusal for a quota or for the data stays one; a function or a server comes back."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, ExemplarError) or isinstance(error, Unavailable)


# Retries: nobody looks at it, and nobody would ask again.
@task(retries=3, retry_delay_seconds=[10, 60, 300], retry_condition_fn=_may_pass)
def start_retraining(project: Project, cause: Cause) -> str:
    """Start a training with what is new, if the owner wants that; return the job, or nothing.

    It asks the function that the API asks, so limits, quotas and the same job for the same data
    are the same. Raises what that refuses.
    """
    log = get_run_logger()
    if reason := _reason_against(project, cause):
        log.info("nothing to do for %s: %s", project.slug, reason)
        return ""
    request = {"as_before": True, "with_feedback": True}
    if cause is Cause.SCHEDULE:
        request["again"] = True  # with nothing new, too
    job = _asked(project, request)
    log.info("%s trains because of %s: job %s", project.slug, cause, job["job_id"])
    return str(job["job_id"])


def due_projects() -> list[tuple[Project, Cause]]:
    """Projects whose owners want a training now: by their labels or by their schedule."""
    table, due = clients.state().table, []
    for project in watched_projects(table):
        try:
            cause = next(
                (c for c in (Cause.LABELS, Cause.SCHEDULE) if not _reason_against(project, c)), None
            )
        except (NotFound, BeingDeleted):
            stop_watching(table, project)
        else:
            due += [(project, cause)] if cause else []
    return due


def _reason_against(project: Project, cause: Cause) -> str:
    state = clients.state()
    record = state.project(project)
    new = FeedbackLog(state, project).count().new
    last = state.find_job(project, record.last_job) if record.last_job else None
    if last is None:
        return "it has never been trained"
    if cause is Cause.SCHEDULE and not last.state.is_final:
        return "a training is running"
    days = (time.time() - last.created_at) / 86_400
    return reason_against(record.setting("retrain"), cause, new, days)


def _asked(project: Project, request: dict[str, bool]) -> dict[str, Any]:
    called = clients.functions().invoke(
        FunctionName=settings().ingest_function,
        Payload=json.dumps({"user": project.user, "project": project.name, "request": request}),
    )
    answer: dict[str, Any] = json.load(called["Payload"])
    if "job" in answer:
        return dict(answer["job"])
    if "http_status" not in answer:
        raise Unavailable(f"the ingest function failed: {str(answer)[:500]}", fix="see its log")
    error = answer["error"]
    kind = Unavailable if answer["http_status"] >= 500 else ExemplarError
    raise kind(error["message"], fix=error.get("fix", ""), details=error.get("details"))
