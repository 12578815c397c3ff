"""Calls on projects: creating, listing, details, classes, keys, limits."""

import secrets
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.event_handler import Response

from contracts import request_schemas
from contracts.errors import InvalidRequest
from contracts.identity import Project
from contracts.limits import Limits
from contracts.project_settings import DEFAULTS, parse_settings
from contracts.requests import CreateProject, parse_classes
from lambdas import answers, environment, retraining
from lambdas.endpoint_settings import ENDPOINT_SETTINGS, follow_record
from lambdas.routes.description import described
from lambdas.routes.exchange import answer, caller, json_body, project_named, router
from lambdas.routes.jobs import job_summary
from lambdas.routes.models import version_summary
from lambdas.state import ProjectRecord

_RELEASES = 100  # shown of the history


@router.get("/v1/limits")
@described(answers={200: answers.limits}, is_public=True)
def show_limits() -> Response[str]:
    """What may be uploaded, and how much of it."""
    return answer(200, Limits.from_environment().as_dict())


@router.post("/v1/projects")
@described(
    answers={200: answers.project, 201: answers.created_project},
    body=request_schemas.create_project,
    refuses=(409,),
)
def create_project() -> Response[str]:
    """Create a project; repeating it with the same body is harmless."""
    request = CreateProject.parse(json_body(), Limits.from_environment())
    project, state = Project(caller(), request.name), environment.state()
    if state.find_project(project) is None:
        environment.quotas(project.user).take_project(project.name)
    record, is_new = state.create_project(
        ProjectRecord(
            project=project,
            kind=request.kind,
            classes=request.classes,
            has_open_classes=not request.classes,
        )
    )
    found = project_summary(record)
    if is_new:
        found["key"] = _new_key(project)
    return answer(201 if is_new else 200, found)


@router.get("/v1/projects")
@described(answers={200: answers.projects})
def list_projects() -> Response[str]:
    """Your projects, by name."""
    records = environment.state().projects(caller())
    return answer(200, {"projects": [project_summary(record) for record in records]})


@router.get("/v1/projects/<name>")
@described(answers={200: answers.project_details})
def show_project(name: str) -> Response[str]:
    """Everything that is known of a project: data, jobs, versions, what was live when."""
    project, state = project_named(name), environment.state()
    record = state.project(project)
    details = project_summary(record) | {
        "report": record.report,
        "jobs": [job_summary(job) for job in state.jobs(project, limit=20)],
        "versions": [version_summary(version) for version in state.versions(project)],
        "releases": [asdict(release) for release in state.releases(project)[:_RELEASES]],
        "limits": Limits.from_environment().as_dict(),
    }
    return answer(200, details)


@router.patch("/v1/projects/<name>")
@described(answers={200: answers.project}, body=request_schemas.change_project)
def change_project(name: str) -> Response[str]:
    """Change settings, or the classes of the next training; frozen data sets keep theirs."""
    project, body = project_named(name), json_body()
    if not isinstance(body, dict) or not body:
        raise InvalidRequest("nothing is to be changed", fix='send {"approval": true}')
    record = environment.state().project(project)
    changes: dict[str, Any] = {}
    if "classes" in body:
        classes = parse_classes(body["classes"], Limits.from_environment(), record.kind)
        changes = {"has_open_classes": not classes} | ({"classes": classes} if classes else {})
    settings = parse_settings({key: body[key] for key in body if key != "classes"})
    if settings:
        changes["settings"] = record.settings | settings
    with retraining.schedule_kept(environment.state().table, project, settings):
        environment.state().update_project(project, **changes)
    if "log_requests" in settings:  # again with every repetition, should this call end before
        environment.state().put_log_share(project, float(settings["log_requests"]))
    if ENDPOINT_SETTINGS & set(settings):
        follow_record(environment.functions(), environment.state(), environment.stack(), project)
    return answer(200, project_summary(environment.state().project(project)))


@router.post("/v1/projects/<name>/key")
@described(answers={201: answers.new_key})
def rotate_key(name: str) -> Response[str]:
    """A new endpoint key, shown once; the old one stops working within a minute."""
    project = project_named(name)
    environment.state().project(project)
    return answer(201, {"project": project.name, "key": _new_key(project)})


def _new_key(project: Project) -> str:
    key = f"xk_{secrets.token_urlsafe(32)}"
    environment.state().put_key(project, key)
    return key


def project_summary(record: ProjectRecord) -> dict[str, Any]:
    """What lists show of a project."""
    return {
        "project": record.project.name,
        "kind": record.kind,
        "classes": list(record.classes),
        "created_at": record.created_at,
        "last_job": record.last_job,
        "dataset_version": record.dataset_version,
        "model_version": record.model_version,
        "endpoint": record.endpoint,
        "metrics": record.metrics,
        "settings": {**DEFAULTS, **record.settings},
    }
