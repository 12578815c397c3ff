"""The call that announces files and hands out the addresses that take them."""

from functools import partial

from aws_lambda_powertools.event_handler import Response

from contracts import request_schemas
from contracts.errors import InvalidRequest
from contracts.keys import COLLECTION
from contracts.limits import Limits
from contracts.manifest import Kind
from contracts.requests import UploadRequest
from lambdas import answers, environment, uploads
from lambdas.routes.description import described
from lambdas.routes.examples import collection_of
from lambdas.routes.exchange import answer, json_body, project_named, router
from lambdas.state import ProjectRecord


@router.post("/v1/projects/<name>/uploads")
@described(answers={200: answers.upload}, body=request_schemas.announce_upload)
def announce_upload(name: str) -> Response[str]:
    """Announce files; get presigned POSTs for those that are not stored yet.

    The upload `examples` is the one that can be changed afterwards, see `PATCH …/examples`. In it
    files are added to what the project's newest upload holds.
    """
    project = project_named(name)
    request = UploadRequest.parse(json_body(), Limits.from_environment())
    record = environment.state().project(project)
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
    if request.upload == COLLECTION:
        collection_of(project).open()
    stored = environment.stored_bytes(project.user)
    found = uploads.announce(
        environment.s3(), environment.bucket(), project, request, partial(stored.announce, project)
    )
    if request.upload not in (record.last_upload, COLLECTION):
        environment.state().update_project(project, last_upload=request.upload)
    return answer(200, found)


def _takes_class(record: ProjectRecord, name: str) -> bool:
    """Tables may name their classes inside, and a project may take whatever they name."""
    if record.kind is Kind.TEXT and (not name or record.has_open_classes):
        return True
    return name in record.classes
