"""Whether what endpoints are asked has drifted, judged from the counts of their answers."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid5

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.events import Event
from prefect.events.clients import get_events_client
from prefect.logging import get_run_logger

from contracts.answer_counts import AnswerCounts
from contracts.errors import InvalidRequest, NotFound
from contracts.identity import Project
from contracts.keys import ProjectKeys
from lambdas.drift_records import DriftRecord, DriftRecords
from lambdas.usage import UsageDays, day_after, day_of, months_between
from models.drift import FEWEST, judge
from models.evaluation import Evaluation
from tasks import clients, storage

EVENT: Final = "exemplar.project.drifted"
_EPISODES: Final = UUID("5f0dc1a8-6a44-4d0e-9a55-0a8e0c3c5d1b")  # each has an event of one id
_LONGEST_DAYS: Final = 30
_ENOUGH: Final = 500  # latest answers; where a day has more of them, it is judged by itself
_GROWTH: Final = 1.25  # of the answers, until the same days are judged again


# Retries: S3 and the table may stumble; a verdict is the same when it is made again.
@task(retries=2, retry_delay_seconds=[5, 20])
def judge_drift(projects: list[Project]) -> list[Project]:
    """Judge projects that were used; return those whose drift nobody has been told of."""
    judged: dict[Project, DriftRecord] = {}
    for project in projects:
        try:
            judged[project] = _judged(project, time.time())
        except (InvalidRequest, NotFound) as error:  # deleted meanwhile, or without an evaluation
            get_run_logger().info("%s is not judged: %s", project.slug, error)
    _publish({project: record for project, record in judged.items() if record.judged_at})
    return [p for p, record in judged.items() if record.is_drifting and not record.is_announced]


# Retries: an event that is sent again has the same id, and Prefect takes it for the same.
@task(retries=3, retry_delay_seconds=[5, 20, 60])
def announce_drift(projects: list[Project]) -> list[str]:
    """Emit an event for each drift that nobody has been told of; return the projects' slugs."""
    records, told = DriftRecords(clients.state().table), []
    for project in projects:
        record = records.find(project)
        if record is None or not record.is_drifting or record.is_announced:
            continue
        asyncio.run(_emit(_event(project, record)))
        records.put(project, replace(record, is_announced=True))
        told.append(project.slug)
    return told


def _judged(project: Project, now: float) -> DriftRecord:
    """The verdict as it stands, made anew where there are enough more answers to judge by."""
    records = DriftRecords(clients.state().table)
    before, live = records.find(project), clients.state().project(project).model_version
    record = before
    if record is None or record.model_version != live:
        revision = record.revision if record else 0
        record = DriftRecord(reference_of(project, live), live, revision=revision)
    answers, first_day = _latest_answers(project, live, now)
    if answers.total >= FEWEST and (
        first_day != record.first_day or answers.total >= _GROWTH * record.examples
    ):
        record = _with_verdict(record, answers, first_day, now)
    if record is not before:
        records.put(project, record)
    return record


def _with_verdict(
    record: DriftRecord, answers: AnswerCounts, first_day: str, now: float
) -> DriftRecord:
    verdict = judge(answers, record.reference, was_drifting=record.is_drifting)
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
        examples=answers.total,
        first_day=first_day,
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


def _latest_answers(project: Project, model_version: str, now: float) -> tuple[AnswerCounts, str]:
    """The model's answers of the latest days that have enough of them, and the first such day."""
    first, latest, first_day = day_after(day_of(now), 1 - _LONGEST_DAYS), AnswerCounts(), ""
    days = UsageDays(clients.state().table, project)
    months = months_between(first, day_of(now))
    for usage in reversed([day for month in months for day in days.month(month)]):
        if usage.day < first or latest.total >= _ENOUGH:
            break
        if counts := usage.total.versions.get(model_version):
            latest.take(counts)
            first_day = usage.day
    return latest, first_day


def _event(project: Project, record: DriftRecord) -> Event:
    return Event.model_validate(
        {
            "id": uuid5(_EPISODES, f"{project.slug} {record.since!r}"),
            "occurred": datetime.fromtimestamp(record.since or record.judged_at, UTC),
            "event": EVENT,
            "resource": {
                "prefect.resource.id": f"exemplar.project.{project.slug}",
                "prefect.resource.name": f"{project.user}/{project.name}",
            },
            "payload": {
                "user": project.user,
                "project": project.name,
                "reason": record.reason,
            },
        }
    )


async def _emit(event: Event) -> None:
    """Return when the server has it: this process may end at once."""
    async with get_events_client(checkpoint_every=1) as client:
        await client.emit(event)


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
