"""What a promotion leaves behind for people: the job's record, a document, Prefect artifacts."""

from dataclasses import asdict
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from contracts.identity import Project
from models.champion import Decision
from models.evaluation import Evaluation
from models.statistics import sentence
from tasks import decisions
from tasks.progress import Progress
from tasks.promotion import Champion, Promotion


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
    project: Project,
    challenger: Evaluation,
    champion: Champion | None,
    decision: Decision,
    progress: Progress,
) -> None:
    """The decision beside the bundle, in the job, and as artifacts of the flow run."""
    before = champion.evaluation if champion else None
    promotion = Promotion(project, challenger, progress)
    decisions.store(project, challenger, before, decision, promotion.name)
    progress.record(decision=asdict(decision), message=decision.reason)
    create_table_artifact(
        key="gate",
        table=[asdict(check) for check in decision.checks],
        description=decision.reason,
    )
    lines = [f"**{decision.reason}**", "", f"challenger `{challenger.model_version}`: "]
    lines[-1] += sentence(challenger.correct, len(challenger.truth))
    if before:
        lines += ["", f"champion `{before.model_version}`: "]
        lines[-1] += sentence(before.correct, len(before.truth))
    create_markdown_artifact("\n".join(lines), key="decision")
