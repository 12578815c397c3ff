"""Whether what endpoints are asked has drifted, judged from the counts of their answers."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid5

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from contracts.answer_counts import AnswerCounts
from contracts.errors import BeingDeleted, InvalidRequest, NotFound
from contracts.identity import Project
from contracts.keys import ProjectKeys
from lambdas import events
from lambdas.drift_records import DriftRecord, DriftRecords
from lambdas.usage import UsageDays, day_after, day_of, months_between
from models.drift import Latest, judge
from models.evaluation import Evaluation
from tasks import clients, storage

_EPISODES: Final = UUID("5f0dc1a8-6a44-4d0e-9a55-0a8e0c3c5d1b")  # each has an event of one id
_LONGEST_DAYS: Final = 30


# Retries: S3 and the table may stumble; a verdict is the same when it is made again.
@task(retries=2, retry_delay_seconds=[5, 20])
def judge_drift(projects: list[Project]) -> list[Project]:
    """Judge projects that were used; return those whose drift nobody has been told of."""
    judged: dict[Project, DriftRecord] = {}
    for project in projects:
        try:
            judged[project] = _judged(project, time.time())
        except (BeingDeleted, InvalidRequest, NotFound) as error:
            # It is going, or its model was never scored on what it is known by.
            get_run_logger().info("%s is not judged: %s", project.slug, error)
    _publish({project: record for project, record in judged.items() if record.judged_at})
    return [p for p, record in judged.items() if record.is_drifting and not record.is_announced]


# Retries: an event that is sent again has the same id, and Prefect takes it for the same.
@task(retries=3, retry_delay_seconds=[5, 20, 60])
def announce_drift(projects: list[Project]) -> list[str]:
    """Emit an event for each drift that nobody has been told of; return the projects' slugs."""
    records, told = DriftRecords(clients.state()), []
    for project in projects:
        record = records.find(project)
        if record is None or not record.is_drifting or record.is_announced:
            continue
        episode = uuid5(_EPISODES, f"{project.slug} {record.since!r}")
        events.emit(events.DRIFTED, project, {"reason": record.reason}, episode)
        records.put(project, replace(record, is_announced=True))
        told.append(project.slug)
    return told


def _judged(project: Project, now: float) -> DriftRecord:
    """The verdict as it stands, made anew where there are enough more answers to judge by."""
    records = DriftRecords(clients.state())
    before, live = records.find(project), clients.state().project(project).model_version
    record = before
    if record is None or record.model_version != live:
        revision = record.revision if record else 0
        record = DriftRecord(reference_of(project, live), live, revision=revision)
    latest = Latest.of(_answers_by_day(project, live, now))
    if latest.is_due(record.examples, record.first_day):
        record = _with_verdict(record, latest, now)
    if record is not before:
        records.put(project, record)
    return record


def _with_verdict(record: DriftRecord, latest: Latest, now: float) -> DriftRecord:
    verdict = judge(latest.answers, record.reference, was_drifting=record.is_drifting)
    goes_on = record.is_drifting and verdict.is_drifting
    return replace(
        record,
        is_drifting=verdict.is_drifting,
        since=record.since if goes_on else now if verdict.is_drifting else None,
        is_announced=goes_on and record.is_announced,
        score=verdict.score,
        p_value=verdict.p_value,
        mix=verdict.mix,
        reason=verdict.reason,
        examples=latest.answers.total,
        first_day=latest.first_day,
        judged_at=now,
    )


def reference_of(project: Project, model_version: str) -> AnswerCounts:
    """A promoted model's answers to its test examples. Raises `NotFound`."""
    versions = {one.model_version: one for one in clients.state().versions(project)}
    if model_version not in versions:
        raise NotFound(f"{model_version!r} has never been promoted")
    key = ProjectKeys(project).evaluation(model_version, versions[model_version].dataset_version)
    found, counts = Evaluation.from_json(storage.get(key)), AnswerCounts()
    for answer, confidence, rejected in zip(
        found.predicted, found.confidence, found.rejected, strict=True
    ):
        # Rounded as the endpoint logs it.
        counts.add(None if rejected else found.classes[answer], round(confidence, 4))
    return counts


def _answers_by_day(
    project: Project, model_version: str, now: float
) -> Iterator[tuple[str, AnswerCounts]]:
    """The model's answers of each day that has any, newest first."""
    first, days = (
        day_after(day_of(now), 1 - _LONGEST_DAYS),
        UsageDays(clients.state(), project),
    )
    for month in reversed(months_between(first, day_of(now))):
        for usage in reversed(days.month(month)):
            counts = usage.total.versions.get(model_version)
            if counts and usage.day >= first:
                yield usage.day, counts


def _publish(judged: Mapping[Project, DriftRecord]) -> None:
    """A table of the verdicts, as a Prefect artifact."""
    if not judged:
        return
    rows = [
        {
            "user": project.user,
            "project": project.name,
            "model": record.model_version,
            "drifting": "yes" if record.is_drifting else "no",
            "score": f"{record.score:.2f}",
            "p-value": f"{record.p_value:.2g}",
            "answers": record.examples,
            "reason": record.reason,
        }
        for project, record in judged.items()
    ]
    drifting = sum(record.is_drifting for record in judged.values())
    create_table_artifact(
        key="drift", table=rows, description=f"{drifting} of {len(rows)} used endpoints drift"
    )
