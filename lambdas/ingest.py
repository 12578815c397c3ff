"""Starts the pipeline for an upload: called by the API, or by S3 when a manifest.json drops."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from contracts import keys, strict_json
from contracts.errors import (
    BeingDeleted,
    Conflict,
    DataProblem,
    ExemplarError,
    InvalidName,
    InvalidRequest,
)
from contracts.estimate import Estimate, estimate, paced_recipe
from contracts.identity import Project
from contracts.limits import Limits
from contracts.manifest import Kind
from contracts.requests import (
    AnnouncedFile,
    TrainRequest,
    batch_digest,
    check_class_counts,
    encode_batch,
    parse_files,
)
from contracts.status import Job, JobState
from contracts.tables import SAMPLE_BYTES, encoding_of, guess_columns
from lambdas import environment, orchestrator, uploads
from lambdas.state import ProjectRecord

_ROW_BYTES = 100

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Return `{"job": …}` or the API's error form with `http_status`.

    An S3 event raises what may pass by itself (Prefect down), so that Lambda tries it again.
    """
    if "Records" in event:
        for record in event["Records"]:
            _from_drop(unquote_plus(record["s3"]["object"]["key"]))
        return {}
    try:
        project = Project(event["user"], event["project"])
        job, tables = start(project, TrainRequest.parse(event["request"]))
        return {"job": job.as_dict()} | ({"tables": tables} if tables else {})
    except ExemplarError as error:
        return error.as_dict() | {"http_status": error.http_status}


def start(project: Project, request: TrainRequest) -> tuple[Job, list[dict[str, Any]]]:
    """Check an upload and start its job, or return the one that already runs or succeeded.

    With it comes how each table of text will be read, for the uploader to confirm.
    """
    state = environment.state()
    limits = Limits.from_environment().with_minimum(request.min_per_class)
    record = state.project(project)
    request = request.completed(record.kind, record.last_upload)
    if not request.upload:
        raise DataProblem("nothing has been uploaded yet", fix="upload examples, then train")
    environment.stored_bytes(project.user).check(project)
    files = uploads.announced_files(
        environment.s3(), environment.bucket(), project, request.upload, limits
    )
    tables: list[dict[str, Any]] = []
    if record.kind is Kind.TEXT:
        tables = _read_beginnings(project, files)
    else:
        check_class_counts(files, record.classes, limits)
    job = _job_for(record, request, _estimate(request, _examples(files)))
    if job.state.is_final or job.flow_run_id:
        return job, tables
    # The run's id is the job's, so a second call after a crash between these lines is harmless.
    with state.starting(project.user, "pipeline", job.job_id) as others:
        run_id = orchestrator.start_pipeline(project, job.job_id, request, others)
    state.update_job(project, job.job_id, flow_run_id=run_id)
    state.update_project(project, last_job=job.job_id, last_upload=request.upload)
    return replace(job, flow_run_id=run_id), tables


def _read_beginnings(project: Project, files: list[AnnouncedFile]) -> list[dict[str, Any]]:
    """Find the columns of each table; raises `DataProblem` naming what cannot be read."""
    with ThreadPoolExecutor(8) as pool:
        samples = pool.map(lambda file: _beginning(project, file), files)
        return [
            {"name": file.name, "class": file.class_name or None, "columns": _columns(file, sample)}
            for file, sample in zip(files, samples, strict=True)
        ]


def _columns(file: AnnouncedFile, sample: bytes) -> dict[str, Any]:
    is_whole = len(sample) == file.size_bytes
    try:
        encoding = encoding_of(sample, is_whole=is_whole)
        return guess_columns(sample, file.hints, encoding, is_whole=is_whole).as_dict()
    except DataProblem as error:
        raise DataProblem(f"{file.name!r}: {error.message}", fix=error.fix) from error


def _beginning(project: Project, file: AnnouncedFile) -> bytes:
    key = keys.ProjectKeys(project).object(file.sha256)
    try:
        answer = environment.s3().get_object(
            Bucket=environment.bucket(), Key=key, Range=f"bytes=0-{SAMPLE_BYTES - 1}"
        )
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] not in {403, 404}:
            raise
        raise DataProblem(
            f"{file.name!r} was announced but has not arrived",
            fix="run the upload again; only what is missing will be sent",
        ) from error
    return answer["Body"].read()


def _examples(files: list[AnnouncedFile]) -> int:
    """How many examples the files likely hold: a row of text has a hundred bytes or so."""
    return sum(1 + file.size_bytes // _ROW_BYTES if file.kind is Kind.TEXT else 1 for file in files)


def _estimate(request: TrainRequest, examples: int) -> Estimate:
    """A first guess; the pipeline makes a better one when it knows data and machine."""
    recipe = paced_recipe(request.recipe, request.tune)
    past = environment.state().observations(request.model, recipe)
    return estimate(examples, past, limit_seconds=request.budget_seconds)


def _job_for(record: ProjectRecord, request: TrainRequest, expected: Estimate) -> Job:
    """The first attempt that is neither failed nor cancelled; a new one where there is none."""
    state, project = environment.state(), record.project
    for attempt in range(1_000):
        job = Job(
            project=project,
            job_id=request.job_id(project, attempt),
            upload=request.upload,
            kind=record.kind,
            model=request.model,
            recipe=request.recipe,
            seed=request.seed,
            message="waiting for a worker",
            estimate=expected.as_dict(),
        )
        stored = state.find_job(project, job.job_id)
        if stored is None:
            environment.quotas(project.user).take_training(project, job.job_id)
            if state.create_job(job):
                return job
            stored = state.job(project, job.job_id)
        if not stored.state.is_final or (stored.state is JobState.DONE and not request.again):
            return stored
    raise Conflict("this job has been tried 1,000 times", fix="change the data or the recipe")


def _from_drop(key: str) -> None:
    try:
        project, upload = keys.parse_inbox_manifest(key)
    except InvalidName:
        return  # a dataset's manifest.json, or a stray file: not for us
    try:
        job, _ = start(project, _dropped_request(project, upload, key))
        log.info(json.dumps({"event": "started", "project": project.slug, "job": job.job_id}))
    except ExemplarError as error:
        log.warning(json.dumps({"event": "refused", "key": key} | error.as_dict()))
        if error.http_status >= 500:
            raise
        if isinstance(error, BeingDeleted):
            return  # whatever is written there now would have to be deleted, too
        _tell_uploader(project, upload, error)


def _dropped_request(project: Project, upload: str, key: str) -> TrainRequest:
    """A drop holds a train request and, optionally, the file list itself."""
    s3, bucket = environment.s3(), environment.bucket()
    body = strict_json.parsed(s3.get_object(Bucket=bucket, Key=key)["Body"].read() or b"{}")
    if not isinstance(body, dict):
        raise InvalidRequest("the manifest is no JSON object", fix='write {"files": [...]}')
    files = body.pop("files", None)
    if files is not None:
        _store_list(project, upload, parse_files(files, Limits.from_environment()))
    return TrainRequest.parse(body | {"upload": upload})


def _store_list(project: Project, upload: str, files: tuple[AnnouncedFile, ...]) -> None:
    part = keys.ProjectKeys(project).inbox_part(upload, batch_digest(files))
    environment.s3().put_object(
        Bucket=environment.bucket(),
        Key=part,
        Tagging=keys.expiry_tag(part),
        Body=encode_batch(files),
    )


def _tell_uploader(project: Project, upload: str, error: ExemplarError) -> None:
    """Nobody waits for an answer to a drop, so the reason is put where the drop was."""
    environment.s3().put_object(
        Bucket=environment.bucket(),
        Key=keys.ProjectKeys(project).inbox_refusal(upload),
        Body=json.dumps(error.as_dict(), indent=1).encode(),
        ContentType="application/json",
    )
