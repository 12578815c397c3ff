"""Prefect's REST API with the standard library: starting and cancelling flow runs."""

import base64
import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from typing import Any

from contracts.errors import Unavailable
from contracts.identity import Project
from contracts.requests import TrainRequest
from contracts.turns import TURNS, queue_of

_ATTEMPTS = 6
_TIMEOUT_SECONDS = 10.0  # giving up on a busy server only gives it more to do
_SHORT_TIMEOUT_SECONDS = 2.0  # for what a person waits for, and what can be done later
_PATIENCE_SECONDS = 20.0  # of the 29 that the API's function has
_FOLLOW = "follow/follow"
_UNFINISHED = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED"]
_FINAL = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]


def start_pipeline(
    project: Project, job_id: str, request: TrainRequest, others: Collection[str] = ()
) -> str:
    """Create the job's flow run and return its id; the same job gives the same run.

    `others` are the user's jobs whose runs are being created at this moment. Raises `Unavailable`
    when Prefect does not answer or does not know the deployment.
    """
    deployment = _call("GET", f"/deployments/name/{os.environ['EXEMPLAR_PIPELINE']}")
    runs = _call("POST", "/flow_runs/filter", _unfinished(project.user, deployment["id"]))
    unfinished = {run["idempotency_key"] for run in runs} | set(others)
    run = _call(
        "POST",
        f"/deployments/{deployment['id']}/create_flow_run",
        {
            "name": f"{project.slug}-{job_id}",
            "idempotency_key": job_id,
            "work_queue_name": queue_of(len(unfinished - {job_id})),
            "tags": job_tags(project, job_id),
            "parameters": {
                "user": project.user,
                "project": project.name,
                "upload": request.upload,
                "job_id": job_id,
                "model": request.model,
                "recipe": request.recipe,
                "seed": request.seed,
                "budget_seconds": request.budget_seconds,
                "min_per_class": request.min_per_class,
                "tune": request.tune,
            },
        },
    )
    return str(run["id"])


def _unfinished(user: str, deployment_id: str) -> dict[str, Any]:
    return {
        "flow_runs": {
            "tags": {"all_": [f"user:{user}"]},
            "state": {"type": {"any_": _UNFINISHED}},
            "deployment_id": {"any_": [deployment_id]},
        },
        "limit": TURNS,  # more than so many make no difference
    }


def start_following(project: Project, epoch: int) -> str:
    """Have the model registry follow what is live since `epoch`; return the flow run's id.

    Raises `Unavailable` soon where Prefect does not answer: nobody waits for this.
    """
    deployment = _call("GET", f"/deployments/name/{_FOLLOW}", is_patient=False)
    run = _call(
        "POST",
        f"/deployments/{deployment['id']}/create_flow_run",
        {
            "name": f"{project.slug}-{epoch}",
            "idempotency_key": f"follow-{project.slug}-{epoch}",
            "tags": [f"user:{project.user}", project_tag(project)],
            "parameters": {"user": project.user, "project": project.name},
        },
        is_patient=False,
    )
    return str(run["id"])


def cancel_runs(project: Project, job_id: str) -> int:
    """Ask every unfinished flow run of a job to stop; return how many there were."""
    return _cancel(f"job:{project.slug}:{job_id}")


def _cancel(tag: str) -> int:
    runs = _call(
        "POST",
        "/flow_runs/filter",
        {"flow_runs": {"tags": {"all_": [tag]}, "state": {"type": {"any_": _UNFINISHED}}}},
    )
    for run in runs:
        _call("POST", f"/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING"}})
    return len(runs)


def answer_pause(flow_run_id: str, run_input: dict[str, Any]) -> bool:
    """Let a paused flow run go on with this input; False when it waits no more."""
    found = _call("POST", f"/flow_runs/{flow_run_id}/resume", {"run_input": run_input})
    return bool(found["status"] == "ACCEPT")


def start_deletion(project: Project, receipt_id: str, attempt: int) -> str:
    """Create the flow run that empties a project; the same attempt gives the same run.

    It has no tag of the project, or it would delete itself. Raises `Unavailable`.
    """
    name = os.environ.get("EXEMPLAR_DELETION", "delete/delete")
    deployment = _call("GET", f"/deployments/name/{name}")
    run = _call(
        "POST",
        f"/deployments/{deployment['id']}/create_flow_run",
        {
            "name": f"delete-{receipt_id}-{attempt}",
            "idempotency_key": f"delete-{receipt_id}-{attempt}",
            "tags": [f"user:{project.user}"],
            "parameters": {
                "user": project.user,
                "project": project.name,
                "receipt": receipt_id,
            },
        },
    )
    return str(run["id"])


def is_over(flow_run_id: str) -> bool:
    """Whether a flow run has ended, or is not there. Raises `Unavailable`."""
    body = {"flow_runs": {"id": {"any_": [flow_run_id]}}}
    runs = _call("POST", "/flow_runs/filter", body)
    return all(run["state_type"] in _FINAL for run in runs)


def cancel_project_runs(project: Project) -> int:
    """Ask every unfinished flow run of a project to stop; return how many there were."""
    return _cancel(project_tag(project))


def project_tag(project: Project) -> str:
    """The tag by which a project's flow runs are found; no other project's equals it."""
    return f"project:{project.slug}"


def job_tags(project: Project, job_id: str) -> list[str]:
    """Tags that every flow run of a job carries, children included."""
    return [
        f"user:{project.user}",
        project_tag(project),
        f"job:{project.slug}:{job_id}",
    ]


def _call(
    method: str, path: str, body: dict[str, Any] | None = None, *, is_patient: bool = True
) -> Any:
    """One API call; 5xx and broken connections are tried again (a busy SQLite server says 503)."""
    url = os.environ["PREFECT_API_URL"].rstrip("/") + path
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json", "Accept": "application/json"} | auth_headers()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
    attempts, timeout = (_ATTEMPTS, _TIMEOUT_SECONDS) if is_patient else (2, _SHORT_TIMEOUT_SECONDS)
    reason, give_up_at = "", time.monotonic() + _PATIENCE_SECONDS
    for attempt in range(attempts):
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            reason = f"it answered {error.code}"
            if error.code < 500:
                break
        except OSError as error:  # refused, reset, timed out
            reason = str(error)
        if attempt == attempts - 1 or time.monotonic() > give_up_at:
            break
        # Jobs that were sent at the same moment must not all come back at the same moment.
        time.sleep(0.2 * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
    raise Unavailable(
        f"the workflow server did not take the call {path.split('/')[1]}: {reason}",
        fix="try again in a minute; nothing you sent is lost",
    )


def auth_headers() -> dict[str, str]:
    """Prefect Cloud's key, or a self-hosted server's user and password, from the environment."""
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if auth := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"}
    return {}
