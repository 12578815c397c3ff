"""The moment in which another version becomes live: the alias moves, and it is recorded."""

import time
from typing import Any

from prefect.logging import get_run_logger

from contracts.identity import Project
from lambdas import live_alias
from lambdas.endpoints import Endpoints
from lambdas.leases import Busy, exclusive
from lambdas.rollouts import Rollout, Rollouts, Step, rollout_key
from lambdas.state import ProjectRecord, ReleaseRecord, VersionRecord
from lambdas.usage import day_of
from models.champion import Decision
from tasks import clients, inference_function, smoke
from tasks.promotion import LEASE_WAIT_SECONDS, Overtaken, Promotion
from tasks.records import summary
from tasks.settings import settings


def shift(
    promotion: Promotion,
    epoch: int,
    version: str,
    decision: Decision,
    question: dict[str, str],
) -> None:
    """Give every call to a Lambda version that was tried, and record it as live.

    Raises `Unavailable` where the endpoint does not answer with it.
    """
    project, now = promotion.project, time.time()
    function = project.function_name(settings().stack)
    model_version = promotion.candidate.model_version
    with promotion.alone(epoch) as record:
        promotion.progress.record()  # a job that was cancelled ends here
        rollout = Rollout(promotion.name, model_version, version, Step.SHIFT, now, now)
        Rollouts(clients.state().table).put(project, rollout)
        seen = live_alias.read(clients.functions(), function)
        endpoint = inference_function.serve(project, version, seen)
        smoke.ask_endpoint(project, endpoint, model_version, question)
        _record(promotion, record, version, endpoint, decision)


def prune(project: Project, holder: str) -> None:
    """Delete what nobody will go back to; whoever is busy leaves it to the next release."""
    try:
        with exclusive(clients.state().table, project, holder, LEASE_WAIT_SECONDS):
            inference_function.prune(project)
    except Busy:
        get_run_logger().info("old versions are left to the next release")


def _record(
    promotion: Promotion, record: ProjectRecord, version: str, endpoint: str, decision: Decision
) -> None:
    """Version, history and project at once; nothing of it where somebody was quicker."""
    candidate, project, now = promotion.candidate, promotion.project, time.time()
    release = ReleaseRecord(
        candidate.model_version,
        version,
        now,
        project.user,
        decision.reason,
        promotion=promotion.name,
        answers=_answers(decision),
    )
    promoted = VersionRecord(
        model_version=candidate.model_version,
        lambda_version=version,
        dataset_version=candidate.dataset_version,
        job_id=promotion.progress.job_id,
        promoted_at=now,
        promoted_by=project.user,
        reason=decision.reason,
        accuracy=candidate.accuracy,
        metrics=summary(candidate),
    )
    # Before it counts as served, so that no request goes uncounted.
    Endpoints(clients.state().table).add(project, day_of(now))
    is_first = clients.state().change_live(
        project,
        record.epoch,
        release,
        promoted,
        [rollout_key(project)],
        endpoint=endpoint,
        metrics=summary(candidate),
    )
    if not is_first:
        raise Overtaken("what is live was changed at the same moment", fix="try again")


def _answers(decision: Decision) -> dict[str, Any]:
    answers: dict[str, Any] = decision.evidence.get("canary", {}).get("answers", {})
    return answers
