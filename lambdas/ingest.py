"""Starts the pipeline for an upload: called by the API, or by S3 when a manifest.json drops."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
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
    AS_BEFORE,
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
from lambdas.feedback import FeedbackLog
from lambdas.feedback_upload import FeedbackUpload, with_feedback
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
        body = event["request"]
        request, is_as_before = TrainRequest.parse(body), bool(body.get(AS_BEFORE))
        if is_as_before:
            request = TrainRequest.parse(environment.state().project(project).last_request | body)
        return start(project, request, is_as_before=is_as_before).as_dict()
    except ExemplarError as error:
        return error.as_dict() | {"http_status": error.http_status}


@dataclass(frozen=True, slots=True)
class Started:
    """A job, how each table of text is read, for the uploader to confirm, and its feedback."""

    job: Job
    tables: list[dict[str, Any]] = field(default_factory=list)
    feedback: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The API's answer."""
        more = {"tables": self.tables, "feedback": self.feedback}
        return {"job": self.job.as_dict()} | {name: value for name, value in more.items() if value}


def start(project: Project, request: TrainRequest, *, is_as_before: bool = False) -> Started:
    """Check an upload and start its job, or return the one that already runs or succeeded.

    Labels that come while a job runs do not keep the same request from finding it, unless the
    request is about them: a training as before, with what is new.
    """
    state = environment.state()
    limits = Limits.from_environment().with_minimum(request.min_per_class)
    record = state.project(project)
    request = request.completed(record.kind, record.last_upload)
    if not request.upload:
        raise DataProblem("nothing has been uploaded yet", fix="upload examples, then train")
    if not is_as_before and (running := _running(record, request)):
        return Started(running)
    environment.stored_bytes(project.user).check(project)
    data = _data(record, request, limits)
    tables: list[dict[str, Any]] = []
    if record.kind is Kind.TEXT:
        tables = _read_beginnings(project, data.files)
    else:
        check_class_counts(data.files, record.classes, limits)
    chosen = replace(request, upload=data.upload)
    job = _job_for(record, chosen, _estimate(request, _examples(data.files)))
    if not (job.state.is_final or job.flow_run_id):
        uploads.keep_announced(environment.s3(), environment.bucket(), project, request.upload)
        # The run's id is the job's, so a second call after a crash on the way is harmless.
        with state.starting(project.user, "pipeline", job.job_id) as others:
            run_id = orchestrator.start_pipeline(project, job.job_id, chosen, others)
        state.update_job(project, job.job_id, flow_run_id=run_id)
        state.update_project(
            project,
            last_job=job.job_id,
            last_upload=request.upload,
            last_request=request.remembered(),
        )
        job = replace(job, flow_run_id=run_id)
    if data.last:
        FeedbackLog(state, project).mark_learnt(data.last)
    return Started(job, tables, data.as_dict() if data.examples or data.left_out else {})


def _running(record: ProjectRecord, request: TrainRequest) -> Job | None:
    """The unfinished job of the same request, whatever labels came meanwhile."""
    if not record.last_job or record.last_request != request.remembered():
        return None
    job = environment.state().find_job(record.project, record.last_job)
    if job is None or job.state.is_final or not job.flow_run_id:
        return None
    return job if request.with_feedback or job.upload == request.upload else None


def _data(record: ProjectRecord, request: TrainRequest, limits: Limits) -> FeedbackUpload:
    """What is trained on: the upload, with the labels that were given since."""
    s3, bucket, project = environment.s3(), environment.bucket(), record.project
    files = uploads.announced_files(s3, bucket, project, request.upload, limits)
    if not files:
        raise DataProblem(
            f"the list of upload {request.upload!r} is not there, or no longer",
            fix="upload the same files again; those that are stored are not sent twice",
        )
    if not request.with_feedback:
        return FeedbackUpload(request.upload, files)
    feedback = FeedbackLog(environment.state(), project)
    return with_feedback(s3, bucket, record, feedback, request.upload, files)


def _read_beginnings(project: Project, files: list[AnnouncedFile]) -> list[dict[str, Any]]:
    """Find the columns of each table; raises `DataProblem` naming what cannot be read."""

    def read(file: AnnouncedFile) -> dict[str, Any]:
        columns = _columns(file, _beginning(project, file))
        return {"name": file.name, "class": file.class_name or None, "columns": columns}

    # Each beginning is forgotten by the thread that has read it: thousands would fill the memory.
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(read, files))


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
        job = start(project, _dropped_request(project, upload, key)).job
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
