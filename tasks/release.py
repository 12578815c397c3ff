"""Putting a model behind its endpoint: function version, trials, alias `live`, record.

Every step may be killed and repeated. Until the alias moves, the old version answers; from its
record on, the new one is live. See docs/release.md.
"""

from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from contracts.identity import Project
from lambdas.state import PROMOTED
from models.champion import Check, Decision
from models.evaluation import Evaluation
from tasks import clients, decisions, inference_function, shadow, smoke
from tasks.canary import counts, try_canary
from tasks.probation import watch_live
from tasks.progress import Progress
from tasks.promotion import Champion, Overtaken, Promotion
from tasks.records import summary
from tasks.shift import prune, shift


# Retries: Lambda refuses changes while it still works on the last one, and S3 may stumble.
# No cache: what is live may have changed.
@task(retries=2, retry_delay_seconds=[2, 5], timeout_seconds=5_400, cache_policy=NO_CACHE)
def release(
    project: Project,
    candidate: Evaluation,
    champion: Champion,
    decision: Decision,
    progress: Progress,
) -> Decision | None:
    """Let the candidate answer instead of the champion; return how the decision stands then.

    It does not promote any more where a trial went badly or somebody rolled back meanwhile. None
    where what is live has changed since it was made: then it has to be made again. Raises
    `Unavailable` when the new version fails its smoke test; `live` is then where it was.
    """
    promotion = Promotion(project, candidate, progress)
    try:
        package = inference_function.prepare(project, candidate.model_version, progress)
        with promotion.alone(champion.epoch):
            version = inference_function.publish(project, package)
        questions = smoke.questions(project, candidate.dataset_version)
        for question in questions:
            smoke.ask_version(project, version, candidate.model_version, question)
        decision = _replayed(promotion, version, decision)
        if decision.promote:
            decision = _shared(promotion, champion.epoch, version, decision)
        decisions.store(project, candidate, champion.evaluation, decision, promotion.name)
        if decision.promote:
            shift(promotion, champion.epoch, version, decision, questions[0])
            prune(project, promotion.name)
            decision = _live(promotion, decision)
    except Overtaken:
        return _earlier(promotion)
    except Exception:
        promotion.abandon()
        raise
    return decision


# No cache: as above.
@task(timeout_seconds=1_800, cache_policy=NO_CACHE)
def resume(project: Project, candidate: Evaluation, progress: Progress) -> Decision | None:
    """What an earlier try of the same promotion has come to, finished; None where it has not.

    What was rolled back since then stays so: only another promotion may release it again.
    """
    return _earlier(Promotion(project, candidate, progress))


def _replayed(promotion: Promotion, version: str, decision: Decision) -> Decision:
    limit = int(clients.state().project(promotion.project).setting("shadow_requests"))
    replay = shadow.replay(promotion.project, version, limit) if limit else None
    if not replay or not replay.asked:
        return decision
    promotion.progress.record(message=replay.sentence())
    check = Check("stored requests", not replay.errors, replay.sentence(), "none may fail")
    return decision.after(check, {"shadow": replay.as_dict()})


def _shared(promotion: Promotion, epoch: int, version: str, decision: Decision) -> Decision:
    record = clients.state().project(promotion.project)
    verdict = try_canary(promotion, epoch, version)
    if verdict is None:
        return decision
    check = Check(
        "first calls", not verdict.is_worse, verdict.reason, "not clearly worse than before"
    )
    evidence = {
        "share": record.setting("canary_share"),
        "answers": counts(promotion, record, verdict),
    }
    return decision.after(check, {"canary": evidence}, "kept the present model")


def _live(promotion: Promotion, decision: Decision) -> Decision:
    candidate, progress = promotion.candidate, promotion.progress
    endpoint = clients.state().project(promotion.project).endpoint
    progress.serving(candidate.model_version, endpoint, summary(candidate))
    return watch_live(promotion, decision)


def _earlier(promotion: Promotion) -> Decision | None:
    releases = clients.state().releases(promotion.project)
    own = [release for release in releases if release.promotion == promotion.name]
    if not own:
        return None
    decision = decisions.stored(promotion.project, promotion.candidate)
    decision = decision or Decision(True, own[-1].reason, ())
    if own[0].event != PROMOTED:
        return replace(decision, promote=False, reason=own[0].reason)
    if own[0] is releases[0]:
        prune(promotion.project, promotion.name)
        try:
            return _live(promotion, decision)
        except Overtaken:
            return _earlier(promotion)
    since = releases[releases.index(own[0]) - 1]
    is_promoted = since.event == PROMOTED
    return decision if is_promoted else replace(decision, promote=False, reason=since.reason)
