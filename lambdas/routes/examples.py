"""Calls on a project's examples: looking at what the next training learns from, changing it."""

from typing import Any, Final

from aws_lambda_powertools.event_handler import Response

from contracts import request_schemas, schema
from contracts.collection import PAGE_MAX, Contents, parse_change, parse_links
from contracts.errors import InvalidRequest
from contracts.identity import Project, class_name
from contracts.keys import ProjectKeys
from contracts.limits import Limits
from contracts.requests import AnnouncedFile
from lambdas import answers, environment
from lambdas.collection import Collection
from lambdas.routes.description import described
from lambdas.routes.exchange import (
    answer,
    download_link,
    json_body,
    project_named,
    query,
    query_number,
    router,
)

_PAGE: Final = 60
_OFFSET_MAX: Final = 10**9
_MISSING_SHOWN: Final = 200


@router.get("/v1/projects/<name>/examples")
@described(
    answers={200: answers.examples},
    query={
        "class": request_schemas.class_name()
        | {"minLength": 0, "description": "All classes if left out."},
        "offset": schema.whole(0, _OFFSET_MAX, "The `next` of the page before."),
        "limit": schema.whole(1, PAGE_MAX, f"{_PAGE} if left out."),
        "missing": schema.truth("Whether to look for what was announced and is not stored."),
    },
)
def list_examples(name: str) -> Response[str]:
    """What the next training learns from, a page of one class or of all, by file name."""
    project = project_named(name)
    offset = query_number("offset", 0, 0, _OFFSET_MAX)
    limit = query_number("limit", _PAGE, 1, PAGE_MAX)
    of, is_missing_wanted = class_name(query("class")) if query("class") else None, _asks_missing()
    record = environment.state().project(project)
    collection = collection_of(project)
    contents = collection.contents(record)
    shown = contents.shown()
    files = [file for file in shown if of in (None, file.class_name)]
    page = files[offset : offset + limit]
    found = {
        "upload": record.last_upload,
        "kind": record.kind,
        "total": len(shown),
        "classes": _classes(contents),
        "files": [_shown(project, file) for file in page],
        "next": offset + limit if offset + limit < len(files) else None,
    }
    return answer(200, found | (_missing(collection, shown) if is_missing_wanted else {}))


@router.patch("/v1/projects/<name>/examples")
@described(answers={200: answers.examples_changed}, body=request_schemas.change_examples)
def change_examples(name: str) -> Response[str]:
    """Change what the next training learns from; objects and frozen data sets stay.

    One kind of change in a call. An upload of the command line is copied first and stays as it was.
    Repeating a call is harmless.
    """
    project, change = project_named(name), parse_change(json_body())
    record, contents = collection_of(project).change(change)
    return answer(200, {"upload": record.last_upload, "classes": _classes(contents)})


@router.post("/v1/projects/<name>/examples/links")
@described(answers={200: answers.example_links}, body=request_schemas.link_examples)
def link_examples(name: str) -> Response[str]:
    """Links to contents of the project, good for a quarter of an hour."""
    project, wanted = project_named(name), parse_links(json_body())
    environment.state().project(project)
    return answer(200, {"links": {sha256: _link(project, sha256) for sha256 in wanted}})


def collection_of(project: Project) -> Collection:
    """A project's examples with this function's clients."""
    return Collection(
        environment.s3(),
        environment.bucket(),
        environment.state(),
        project,
        Limits.from_environment(),
    )


def _asks_missing() -> bool:
    value = query("missing")
    if value not in {"", "true", "false"}:
        raise InvalidRequest(f"missing is {value[:40]!r}", fix="use true or false")
    return value == "true"


def _classes(contents: Contents) -> list[dict[str, Any]]:
    return [count.as_dict() for count in contents.counts()]


def _shown(project: Project, file: AnnouncedFile) -> dict[str, Any]:
    return {
        "sha256": file.sha256,
        "class": file.class_name,
        "name": file.name,
        "size_bytes": file.size_bytes,
        "content_type": file.content_type,
        "text_column": file.text_column,
        "label_column": file.label_column,
        "url": _link(project, file.sha256),
    }


def _missing(collection: Collection, files: list[AnnouncedFile]) -> dict[str, Any]:
    stored = collection.stored() if files else set()
    missing = [file for file in files if file.sha256 not in stored]
    named = [
        {"sha256": file.sha256, "class": file.class_name, "name": file.name}
        for file in missing[:_MISSING_SHOWN]
    ]
    return {"missing": named, "missing_total": len(missing)}


def _link(project: Project, sha256: str) -> str:
    return download_link(ProjectKeys(project).object(sha256))
