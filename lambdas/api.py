"""The control API: parse, call, encode. The tenant is the authorizer's, never the body's."""

import json
import secrets
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import Logger

from contracts import keys
from contracts.bundle import CARD_FILE
from contracts.errors import Conflict, ExemplarError, InvalidRequest, NotFound, Unavailable
from contracts.identity import Project, identifier
from contracts.limits import Limits
from contracts.manifest import Kind
from contracts.requests import (
    CreateProject,
    TrainRequest,
    UploadRequest,
    parse_classes,
    parse_rollback,
)
from contracts.status import Job, JobState
from lambdas import environment, orchestrator, uploads
from lambdas.model_versions import ModelVersion, model_version, model_versions
from lambdas.rollback import roll_back
from lambdas.state import ProjectRecord, VersionRecord

app = APIGatewayHttpResolver()
log = Logger(service="exemplar-api", level="WARNING")

_DOWNLOAD_SECONDS = 900
_RELEASES = 100  # shown of the history


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway HTTP API, payload 2.0."""
    return app.resolve(event, context)


@app.get("/v1/limits")
def show_limits() -> Response[str]:
    return _json(200, Limits.from_environment().as_dict())


@app.post("/v1/projects")
def create_project() -> Response[str]:
    request = CreateProject.parse(_body(), Limits.from_environment())
    project = Project(_user(), request.name)
    record, is_new = environment.state().create_project(
        ProjectRecord(
            project=project,
            kind=request.kind,
            classes=request.classes,
            has_open_classes=not request.classes,
        )
    )
    answer = _project_summary(record)
    if is_new:
        answer["key"] = _new_key(project)
    return _json(201 if is_new else 200, answer)


@app.get("/v1/projects")
def list_projects() -> Response[str]:
    records = environment.state().projects(_user())
    return _json(200, {"projects": [_project_summary(record) for record in records]})


@app.get("/v1/projects/<name>")
def show_project(name: str) -> Response[str]:
    project, state = _project(name), environment.state()
    record = state.project(project)
    details = _project_summary(record) | {
        "report": record.report,
        "jobs": [_job_summary(job) for job in state.jobs(project, limit=20)],
        "versions": [_version(version) for version in state.versions(project)],
        "releases": [asdict(release) for release in state.releases(project)[:_RELEASES]],
        "limits": Limits.from_environment().as_dict(),
    }
    return _json(200, details)


@app.patch("/v1/projects/<name>")
def change_classes(name: str) -> Response[str]:
    """Classes of the next training; data sets already frozen keep theirs."""
    project, body = _project(name), _body()
    if not isinstance(body, dict) or set(body) != {"classes"}:
        raise InvalidRequest("only 'classes' can be changed", fix='send {"classes": [...]}')
    record = environment.state().project(project)
    classes = parse_classes(body["classes"], Limits.from_environment(), record.kind)
    changes = {"classes": classes} if classes else {}
    environment.state().update_project(project, has_open_classes=not classes, **changes)
    return _json(200, _project_summary(environment.state().project(project)))


@app.post("/v1/projects/<name>/key")
def rotate_key(name: str) -> Response[str]:
    """A new endpoint key, shown once; the old one stops working within a minute."""
    project = _project(name)
    environment.state().project(project)
    return _json(201, {"project": project.name, "key": _new_key(project)})


@app.post("/v1/projects/<name>/uploads")
def announce_upload(name: str) -> Response[str]:
    project = _project(name)
    record = environment.state().project(project)
    request = UploadRequest.parse(_body(), Limits.from_environment())
    for file in request.files:
        if file.kind is not record.kind:
            raise InvalidRequest(
                f"{file.name!r} is {file.content_type}, but the project is of kind {record.kind}",
                fix="create another project for it",
            )
        if not _takes_class(record, file.class_name):
            raise InvalidRequest(
                f"{file.name!r} names the class {file.class_name!r}, which the project lacks",
                fix=f"use one of {list(record.classes)}, or change the project's classes",
            )
    answer = uploads.announce(environment.s3(), environment.bucket(), project, request)
    if record.last_upload != request.upload:
        environment.state().update_project(project, last_upload=request.upload)
    return _json(200, answer)


@app.post("/v1/projects/<name>/train")
def train(name: str) -> Response[str]:
    project = _project(name)
    body = _body(default={})
    TrainRequest.parse(body)
    answer = environment.functions().invoke(
        FunctionName=environment.ingest_function(),
        Payload=json.dumps({"user": project.user, "project": project.name, "request": body}),
    )
    payload = json.load(answer["Payload"])
    if "job" in payload:
        return _json(202, payload)
    if "http_status" in payload:
        return _json(payload.pop("http_status"), payload)
    log.error("ingest failed", extra={"payload": payload})
    raise Unavailable("the training could not be started", fix="try again in a minute")


@app.get("/v1/projects/<name>/jobs")
def list_jobs(name: str) -> Response[str]:
    project = _project(name)
    environment.state().project(project)
    jobs = environment.state().jobs(project)
    return _json(200, {"jobs": [_job_summary(job) for job in jobs]})


@app.get("/v1/projects/<name>/jobs/<job_id>")
def show_job(name: str, job_id: str) -> Response[str]:
    job = environment.state().job(_project(name), identifier(job_id, "job"))
    return _json(200, job.as_dict())


@app.delete("/v1/projects/<name>/jobs/<job_id>")
def cancel_job(name: str, job_id: str) -> Response[str]:
    """Mark the job first: from then on no process can report progress on it any more."""
    project, state = _project(name), environment.state()
    job = state.job(project, identifier(job_id, "job"))
    state.update_job(
        project, job.job_id, state=JobState.CANCELLED, message="cancelled; what was live stays so"
    )
    job = state.job(project, job.job_id)
    if job.state is not JobState.CANCELLED:
        raise Conflict(f"the job is already {job.state}", fix="nothing is left to cancel")
    orchestrator.cancel_runs(project, job.job_id)
    return _json(200, job.as_dict())


@app.get("/v1/projects/<name>/bundle")
def download_bundle(name: str) -> Response[str]:
    project = _project(name)
    record = environment.state().project(project)
    if not record.model_version:
        raise NotFound("no model has been promoted yet", fix="train the project first")
    key = keys.ProjectKeys(project).bundle(record.model_version, keys.BUNDLE_ARCHIVE)
    return _json(200, {"model_version": record.model_version, "url": _download(key)})


@app.post("/v1/projects/<name>/rollback")
def roll_back_live(name: str) -> Response[str]:
    """Let an earlier version answer again, the one before the live one unless one is named."""
    project, to = _project(name), parse_rollback(_body(default={}))
    state = environment.state()
    chosen = roll_back(environment.functions(), state, environment.stack(), project, to)
    answer = {"project": project.name, "endpoint": state.project(project).endpoint}
    return _json(200, answer | _version(chosen))


@app.get("/v1/projects/<name>/models")
def list_models(name: str) -> Response[str]:
    """Every model version, promoted or not, with the data set versions it was scored on."""
    project = _project(name)
    record = environment.state().project(project)
    found = model_versions(environment.s3(), environment.bucket(), project)
    return _json(200, {"models": [_model(version, record) for version in found]})


@app.get("/v1/projects/<name>/models/<version>")
def show_model(name: str, version: str) -> Response[str]:
    """One model version with links to its card, its training and its answers to test examples."""
    project = _project(name)
    record = environment.state().project(project)
    found = model_version(environment.s3(), environment.bucket(), project, version)
    places = keys.ProjectKeys(project)
    answer = _model(found, record)
    answer["card_url"] = _download(places.bundle(found.name, CARD_FILE))
    answer["training_url"] = (
        _download(places.training_record(found.name)) if found.has_training_record else None
    )
    for entry in answer["evaluations"]:
        dataset_version = entry["dataset_version"]
        entry["url"] = _download(places.evaluation(found.name, dataset_version))
        entry["manifest_url"] = _download(places.manifest(dataset_version))
    return _json(200, answer)


def _model(version: ModelVersion, record: ProjectRecord) -> dict[str, Any]:
    return {
        "model_version": version.name,
        "made_at": version.made_at,
        "is_live": version.name == record.model_version,
        "evaluations": [
            {"dataset_version": dataset, "scored_at": at} for dataset, at in version.evaluations
        ],
    }


@app.get("/v1/projects/<name>/report")
def download_report(name: str) -> Response[str]:
    project = _project(name)
    record = environment.state().project(project)
    if not record.dataset_version:
        raise NotFound("no data set has been prepared yet", fix="train the project first")
    key = keys.ProjectKeys(project).report(record.dataset_version, keys.REPORT_PAGE)
    answer = {"dataset_version": record.dataset_version, "url": _download(key)}
    return _json(200, answer | {"model": _model_report(record)})


def _model_report(record: ProjectRecord) -> dict[str, str] | None:
    """The live model's report, on the test split that it was promoted by."""
    versions = environment.state().versions(record.project)
    live = [v for v in versions if v.model_version == record.model_version]
    if not live:
        return None
    places = {
        name: keys.ProjectKeys(record.project).model_report(
            record.model_version, live[0].dataset_version, suffix
        )
        for name, suffix in (("url", "html"), ("json_url", "json"))
    }
    links = {name: _download(key) for name, key in places.items()}
    return {"model_version": record.model_version} | links


@app.not_found
def no_such_call(_error: NotFoundError) -> Response[str]:
    error = NotFound(
        f"there is no {app.current_event.http_method} {app.current_event.path}",
        fix="see the list of calls in the documentation",
    )
    return _json(404, error.as_dict())


@app.exception_handler(ExemplarError)  # type: ignore[untyped-decorator]
def refused(error: ExemplarError) -> Response[str]:
    return _json(error.http_status, error.as_dict())


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def failed(error: Exception) -> Response[str]:
    """The caller gets a form, the log gets the traceback."""
    log.exception("unexpected error")
    hidden = ExemplarError(
        f"the call failed unexpectedly ({type(error).__name__})",
        fix="try again; if it happens again, report it with the time of the call",
    )
    return _json(500, hidden.as_dict())


def _takes_class(record: ProjectRecord, name: str) -> bool:
    """Tables may name their classes inside, and a project may take whatever they name."""
    if record.kind is Kind.TEXT and (not name or record.has_open_classes):
        return True
    return name in record.classes


def _user() -> str:
    authorizer = app.current_event.request_context.authorizer
    user = (authorizer.get_lambda or {}).get("user") if authorizer else None
    if not user:
        raise Unavailable("the caller could not be identified", fix="send your token again")
    return str(user)


def _project(name: str) -> Project:
    return Project(_user(), name)


def _body(default: Any = None) -> Any:
    text = app.current_event.decoded_body
    if not text and default is not None:
        return default
    try:
        return json.loads(text or "")
    except ValueError as error:
        raise InvalidRequest(f"the body is no JSON: {error}", fix="send a JSON object") from error


def _json(status: int, body: Any) -> Response[str]:
    return Response(
        status_code=status,
        content_type="application/json",
        body=json.dumps(body, ensure_ascii=False),
        headers={"Cache-Control": "no-store"},
    )


def _new_key(project: Project) -> str:
    key = f"xk_{secrets.token_urlsafe(32)}"
    environment.state().put_key(project, key)
    return key


def _download(key: str) -> str:
    return environment.s3().generate_presigned_url(
        "get_object",
        Params={"Bucket": environment.bucket(), "Key": key},
        ExpiresIn=_DOWNLOAD_SECONDS,
    )


def _project_summary(record: ProjectRecord) -> dict[str, Any]:
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
    }


def _job_summary(job: Job) -> dict[str, Any]:
    wanted = ("job_id", "state", "stage", "progress", "message", "created_at", "updated_at")
    whole = job.as_dict()
    return {name: whole[name] for name in (*wanted, "model_version", "failure")}


def _version(record: VersionRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in VersionRecord.__dataclass_fields__}
