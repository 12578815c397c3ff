"""Serve a model version instead of the champion if it is better."""

from prefect import flow

from contracts.identity import Project
from contracts.limits import MIB
from contracts.status import Stage
from models.champion import Decision, Rule, decide
from tasks.approval import approved
from tasks.label_check import find_label_errors
from tasks.model_reports import publish_model_report
from tasks.progress import Progress
from tasks.records import publish_decision, record_release
from tasks.registry import register
from tasks.release import release
from tasks.scoring import feedback_of, score, score_champion
from tasks.settings import settings


# No timeout: a person who is asked may take days. The tasks have their own.
@flow
def promote(
    user: str,
    project: str,
    model_version: str,
    dataset_version: str,
    job_id: str = "",
    is_draft: bool = False,
) -> Decision:
    """Release this model version if it scores better on the frozen test set."""
    owner = Project(user, project)
    progress = Progress(owner, job_id)
    stage = Stage.PROMOTE_DRAFT if is_draft else Stage.PROMOTE
    with progress.stage(stage, "comparing with what serves now"):
        candidate = score(owner, model_version, dataset_version)
        champion = score_champion(owner, dataset_version)
        rule = Rule(max_bundle_bytes=settings().max_bundle_mib * MIB)
        decision = decide(candidate, champion, rule, feedback_of(owner, dataset_version))
        decision = approved(owner, decision, progress, is_draft)
        if decision.promote:
            if candidate.bundle_size_bytes > settings().zip_bundle_mib * MIB:
                progress.within(stage, 0.3, "packing a large model, which takes some minutes")
            released = release(owner, model_version, dataset_version)
            record_release(owner, candidate, decision, released, progress)
        publish_decision(candidate, champion, decision, progress)
        register(owner, model_version, candidate, decision)
        labels = find_label_errors(owner, model_version, dataset_version, progress)
        publish_model_report(owner, candidate, labels, progress)
    return decision
