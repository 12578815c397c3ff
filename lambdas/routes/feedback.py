"""Calls on feedback: giving examples their right labels, looking at them, taking them back."""

from dataclasses import asdict
from functools import partial
from typing import Any

from aws_lambda_powertools.event_handler import Response

from contracts import request_schemas, schema
from contracts.feedback import ALL_TEXT_BYTES_MAX, PAGE_MAX, FeedbackRequest, check_label
from contracts.identity import Project, sha256_hex
from contracts.limits import Limits
from contracts.manifest import Kind
from lambdas import answers, environment
from lambdas.feedback import Feedback, FeedbackCount, FeedbackLog
from lambdas.feedback_examples import FeedbackExamples
from lambdas.retraining import ask_when_enough
from lambdas.routes.description import described
from lambdas.routes.exchange import answer, json_body, project_named, query_number, router

_PAGE = 50
_LAST = 10**12 - 1
_TEXT_SHOWN = 300  # characters; the whole is learnt from


@router.post("/v1/projects/<name>/feedback")
@described(
    answers={
        200: answers.feedback_stored,
        201: answers.feedback_stored,
        202: answers.feedback_awaited,
    },
    body=request_schemas.give_feedback,
)
def give_feedback(name: str) -> Response[str]:
    """Keep an example with its right label for the next training; repeating it is harmless."""
    project, limits = project_named(name), Limits.from_environment()
    record = environment.state().project(project)
    request = FeedbackRequest.parse(json_body(), record.kind, limits)
    check_label(request.label, record.classes, is_open=record.has_open_classes)
    take = partial(environment.stored_bytes(project.user).announce, project)
    examples = FeedbackExamples(
        environment.s3(), environment.bucket(), project, record.kind, limits, take
    )
    found = examples.find(request)
    feedback = _log(project)
    if isinstance(found, dict):
        return answer(202, _counted(feedback.count()) | {"stored": False, "post": found})
    is_text = record.kind is Kind.TEXT
    most_bytes = ALL_TEXT_BYTES_MAX if is_text else limits.max_project_bytes
    count, is_changed = feedback.put(found, limits.max_files, most_bytes)
    is_asked = is_changed and ask_when_enough(record, feedback, count)
    told = {"stored": True, "sha256": found.sha256, "label": found.label, "training": is_asked}
    return answer(201 if is_changed else 200, _counted(count) | told)


@router.get("/v1/projects/<name>/feedback")
@described(
    answers={200: answers.feedback},
    query={
        "limit": schema.whole(1, PAGE_MAX, f"{_PAGE} if left out."),
        "before": schema.whole(1, _LAST, "The `next` of the page before."),
    },
)
def list_feedback(name: str) -> Response[str]:
    """The newest labels first; `next` is what `before` has to be for those in front of them."""
    project = project_named(name)
    environment.state().project(project)
    limit = query_number("limit", _PAGE, 1, PAGE_MAX)
    found = _log(project).newest(limit, query_number("before", 0, 1, _LAST))
    return answer(
        200,
        _counted(_log(project).count())
        | {
            "examples": [_shown(one) for one in found],
            "next": found[-1].number if len(found) == limit else None,
        },
    )


@router.delete("/v1/projects/<name>/feedback/<sha256>")
@described(answers={200: answers.feedback_count})
def take_feedback_back(name: str, sha256: str) -> Response[str]:
    """Forget a label; models that have learnt from it stay as they are."""
    project = project_named(name)
    environment.state().project(project)
    return answer(200, _counted(_log(project).remove(sha256_hex(sha256))))


def _log(project: Project) -> FeedbackLog:
    return FeedbackLog(environment.state(), project)


def _counted(count: FeedbackCount) -> dict[str, Any]:
    return {"feedback": count.total, "new": count.new}


def _shown(one: Feedback) -> dict[str, Any]:
    found = asdict(one)
    found["text"] = one.text[:_TEXT_SHOWN]
    return found
