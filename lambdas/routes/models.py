"""Calls on models: versions, downloads, reports, rollback."""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.logging import Logger

from contracts import keys, request_schemas
from contracts.bundle import CARD_FILE
from contracts.errors import NotFound, Unavailable
from contracts.requests import parse_rollback
from lambdas import answers, environment, orchestrator
from lambdas.model_versions import ModelVersion, model_version, model_versions
from lambdas.rollback import roll_back
from lambdas.routes.description import described
from lambdas.routes.exchange import answer, download_link, json_body, project_named, router
from lambdas.state import ProjectRecord, VersionRecord

log = Logger(service="exemplar-api", level="WARNING")


@router.get("/v1/projects/<name>/bundle")
@described(answers={200: answers.bundle})
def download_bundle(name: str) -> Response[str]:
    """A link to the live model as a zip."""
    project = project_named(name)
    record = environment.state().project(project)
    if not record.model_version:
        raise NotFound("no model has been promoted yet", fix="train the project first")
    key = keys.ProjectKeys(project).bundle(record.model_version, keys.BUNDLE_ARCHIVE)
    return answer(200, {"model_version": record.model_version, "url": download_link(key)})


@router.post("/v1/projects/<name>/rollback")
@described(
    answers={200: answers.rolled_back},
    body=request_schemas.roll_back,
    refuses=(409,),
    is_body_optional=True,
)
def roll_back_live(name: str) -> Response[str]:
    """Let an earlier version answer again, the one before the live one unless one is named."""
    project, to = project_named(name), parse_rollback(json_body(default={}))
    chosen = roll_back(environment.place(), project, to)
    record = environment.state().project(project)
    try:
        orchestrator.start_following(project, record.epoch)
    except Unavailable as error:  # what answers is right already; the next promotion catches up
        log.warning("the registry does not know of a rollback", extra={"reason": error.message})
    found = {"project": project.name, "endpoint": record.endpoint}
    return answer(200, found | version_summary(chosen))


@router.get("/v1/projects/<name>/models")
@described(answers={200: answers.models})
def list_models(name: str) -> Response[str]:
    """Every model version, promoted or not, with the data set versions it was scored on."""
    project = project_named(name)
    record = environment.state().project(project)
    found = model_versions(environment.s3(), environment.bucket(), project)
    return answer(200, {"models": [_model(version, record) for version in found]})


@router.get("/v1/projects/<name>/models/<version>")
@described(answers={200: answers.model_details})
def show_model(name: str, version: str) -> Response[str]:
    """One model version with links to its card, its training and its answers to test examples."""
    project = project_named(name)
    record = environment.state().project(project)
    found = model_version(environment.s3(), environment.bucket(), project, version)
    places = keys.ProjectKeys(project)
    details = _model(found, record)
    details["card_url"] = download_link(places.bundle(found.name, CARD_FILE))
    details["training_url"] = (
        download_link(places.training_record(found.name)) if found.has_training_record else None
    )
    for entry in details["evaluations"]:
        dataset_version = entry["dataset_version"]
        entry["url"] = download_link(places.evaluation(found.name, dataset_version))
        entry["manifest_url"] = download_link(places.manifest(dataset_version))
    return answer(200, details)


def _model(version: ModelVersion, record: ProjectRecord) -> dict[str, Any]:
    return {
        "model_version": version.name,
        "made_at": version.made_at,
        "is_live": version.name == record.model_version,
        "evaluations": [
            {"dataset_version": dataset, "scored_at": at} for dataset, at in version.evaluations
        ],
    }


@router.get("/v1/projects/<name>/report")
@described(answers={200: answers.report})
def download_report(name: str) -> Response[str]:
    """Links to the pages on the data set and on the live model."""
    project = project_named(name)
    record = environment.state().project(project)
    if not record.dataset_version:
        raise NotFound("no data set has been prepared yet", fix="train the project first")
    key = keys.ProjectKeys(project).report(record.dataset_version, keys.REPORT_PAGE)
    found = {"dataset_version": record.dataset_version, "url": download_link(key)}
    return answer(200, found | {"model": _model_report(record)})


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
    links = {name: download_link(key) for name, key in places.items()}
    return {"model_version": record.model_version} | links


def version_summary(record: VersionRecord) -> dict[str, Any]:
    """What is shown of a promoted version."""
    return {name: getattr(record, name) for name in VersionRecord.__dataclass_fields__}
