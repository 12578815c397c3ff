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
from tasks.promotion import find_champion
from tasks.records import publish_decision
from tasks.registry import register
from tasks.release import release, resume
from tasks.scoring import feedback_of, score
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
        rule = Rule(max_bundle_bytes=settings().max_bundle_mib * MIB)
        champion = None
        decision = resume(owner, candidate, progress)
        while decision is None:  # or what is live has changed since
            champion = find_champion(owner, candidate, progress, champion)
            feedback = feedback_of(owner, dataset_version)
            decision = decide(candidate, champion.evaluation, rule, feedback)
            decision = approved(owner, decision, progress, is_draft)
            if decision.promote:
                decision = release(owner, candidate, champion, decision, progress)
        publish_decision(owner, candidate, champion, decision, progress)
        register(owner, model_version, candidate, decision)
        labels = find_label_errors(owner, model_version, dataset_version, progress)
        publish_model_report(owner, candidate, labels, progress)
    return decision
