"""Starts the pipeline for an upload: called by the API, or by S3 when a manifest.json drops."""

import json
import logging
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote_plus

from contracts import keys, strict_json
from contracts.errors import BeingDeleted, ExemplarError, InvalidName, InvalidRequest
from contracts.estimate import Estimate
from contracts.identity import Project
from contracts.limits import Limits
from contracts.requests import AS_BEFORE, TrainRequest, parse_files
from contracts.status import Job
from lambdas import environment, orchestrator, uploads
from lambdas.attempts import attempt, running
from lambdas.feedback import FeedbackLog
from lambdas.feedback_upload import keep
from lambdas.readiness import readiness
from lambdas.state import ProjectRecord
from lambdas.training_data import check_counts, estimate_of, read_tables, training_data, wanted

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Return `{"job": …}`, `{"can_train": …}` or the API's error form with `http_status`.

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
        if request.check_only:
            return readiness(project, request, is_as_before=is_as_before)
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
    request is about them: a training as before, with what is new. Other examples are another job.
    """
    state, s3, bucket = environment.state(), environment.s3(), environment.bucket()
    about = wanted(project, request, is_alone=True)
    record, request = about.record, about.request
    if not is_as_before and (job := running(about)):
        return Started(job)
    environment.stored_bytes(project.user).check(project)
    data = training_data(about)
    tables = read_tables(about, data)
    check_counts(about, data, tables)
    if data.upload != request.upload:
        keep(s3, bucket, project, data)
    chosen = replace(request, upload=data.upload)
    job = _job_for(record, chosen, estimate_of(request, data.files))
    if not (job.state.is_final or job.flow_run_id):
        uploads.keep_announced(s3, bucket, project, request.upload)
        # The run's id is the job's, so a second call after a crash on the way is harmless.
        with state.starting(project.user, "pipeline", job.job_id) as others:
            run_id = orchestrator.start_pipeline(project, job.job_id, chosen, others)
        state.update_job(project, job.job_id, flow_run_id=run_id)
        state.update_project(
            project,
            last_job=job.job_id,
            last_upload=request.upload,
            last_request=request.remembered(),
            last_examples=about.digest,
        )
        job = replace(job, flow_run_id=run_id)
    if data.last:
        FeedbackLog(state, project).mark_learnt(data.last)
    return Started(job, tables.found, data.as_dict() if data.examples or data.left_out else {})


def _job_for(record: ProjectRecord, request: TrainRequest, expected: Estimate) -> Job:
    """The attempt that is there already; a new one where there is none."""
    state, project = environment.state(), record.project
    while True:
        job_id, stored = attempt(record, request)
        if stored:
            return stored
        job = Job(
            project=project,
            job_id=job_id,
            upload=request.upload,
            kind=record.kind,
            model=request.model,
            recipe=request.recipe,
            seed=request.seed,
            message="waiting for a worker",
            estimate=expected.as_dict(),
        )
        environment.quotas(project.user).take_training(project, job.job_id)
        if state.create_job(job):
            return job


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
        listed = parse_files(files, Limits.from_environment())
        uploads.put_part(s3, bucket, project, upload, listed)
    request = TrainRequest.parse(body | {"upload": upload})
    if request.check_only:
        raise InvalidRequest("a drop cannot be checked only", fix="ask the API instead")
    return request


def _tell_uploader(project: Project, upload: str, error: ExemplarError) -> None:
    """Nobody waits for an answer to a drop, so the reason is put where the drop was."""
    environment.s3().put_object(
        Bucket=environment.bucket(),
        Key=keys.ProjectKeys(project).inbox_refusal(upload),
        Body=json.dumps(error.as_dict(), indent=1).encode(),
        ContentType="application/json",
    )
