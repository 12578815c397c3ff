"""What a promotion leaves behind: the project's record, the job's, and Prefect artifacts."""

import time
from dataclasses import asdict
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from contracts.identity import Project
from lambdas.endpoints import Endpoints
from lambdas.state import ReleaseRecord, VersionRecord
from lambdas.usage import day_of
from models.champion import Decision
from models.evaluation import Evaluation
from models.statistics import sentence
from tasks import clients
from tasks.progress import Progress
from tasks.release import Release


def record_release(
    project: Project,
    evaluation: Evaluation,
    decision: Decision,
    released: Release,
    progress: Progress,
) -> None:
    """Say what serves now, since when and why.

    The project's record comes last: as long as it names the old version, a rerun does all again.
    """
    state, now = clients.state(), time.time()
    progress.serving(evaluation.model_version, released.endpoint, summary(evaluation))
    state.put_version(
        project,
        VersionRecord(
            model_version=evaluation.model_version,
            lambda_version=released.lambda_version,
            dataset_version=evaluation.dataset_version,
            job_id=progress.job_id,
            promoted_at=now,
            promoted_by=project.user,
            reason=decision.reason,
            accuracy=evaluation.accuracy,
            metrics=summary(evaluation),
        ),
    )
    state.put_release(
        project,
        ReleaseRecord(
            evaluation.model_version,
            released.lambda_version,
            now,
            project.user,
            decision.reason,
        ),
    )
    Endpoints(state.table).add(project, day_of(now))
    state.update_project(
        project,
        model_version=evaluation.model_version,
        lambda_version=released.lambda_version,
        endpoint=released.endpoint,
        metrics=summary(evaluation),
    )


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """The numbers people are shown."""
    correct, total = evaluation.correct, len(evaluation.truth)
    return {
        "accuracy": round(evaluation.accuracy, 4),
        "interval": [round(bound, 4) for bound in evaluation.interval],
        "sentence": sentence(correct, total),
        "test_examples": total,
        "per_class_recall": {
            name: round(recall, 4)
            for name, recall in zip(evaluation.classes, evaluation.per_class_recall, strict=True)
        },
        "latency_ms": round(evaluation.latency_ms, 2),
    }


def publish_decision(
    challenger: Evaluation, champion: Evaluation | None, decision: Decision, progress: Progress
) -> None:
    """The decision in the job and as artifacts of the flow run."""
    progress.record(decision=asdict(decision), message=decision.reason)
    create_table_artifact(
        key="gate",
        table=[asdict(check) for check in decision.checks],
        description=decision.reason,
    )
    lines = [f"**{decision.reason}**", "", f"challenger `{challenger.model_version}`: "]
    lines[-1] += sentence(challenger.correct, len(challenger.truth))
    if champion:
        lines += ["", f"champion `{champion.model_version}`: "]
        lines[-1] += sentence(champion.correct, len(champion.truth))
    create_markdown_artifact("\n".join(lines), key="decision")
