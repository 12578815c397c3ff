"""A share of the calls goes to the new version first, and back again if it answers worse."""

import time
from typing import Any

from lambdas import live_alias
from lambdas.leases import exclusive
from lambdas.rollback import withdraw
from lambdas.rollouts import Rollout, Rollouts, Step
from lambdas.state import ProjectRecord
from models.canary import Verdict
from tasks import clients
from tasks.promotion import LEASE_WAIT_SECONDS, Overtaken, Promotion, place
from tasks.settings import settings
from tasks.watching import Pair, watch_beside


def try_canary(promotion: Promotion, epoch: int, version: str) -> Verdict | None:
    """Watch the version beside the live one for as long as the owner wants; None for not at all.

    It has lost its share again when the verdict is that it is worse. Killed, it goes on where it
    was. Raises `Overtaken` when somebody ends it, as a rollback does.
    """
    rollout = _begin(promotion, epoch, version)
    if rollout is None:
        return None
    record = clients.state().project(promotion.project)
    verdict = watch_beside(
        promotion.project,
        Pair(version, record.lambda_version),
        rollout.started_at,
        rollout.started_at + record.setting("canary_seconds"),
        lambda verdict: _look_up(promotion, verdict),
    )
    if verdict.is_worse:
        _end(promotion, verdict.reason, counts(promotion, record, verdict))
    return verdict


def counts(promotion: Promotion, before: ProjectRecord, verdict: Verdict) -> dict[str, Any]:
    """What each model version has answered."""
    return {
        promotion.candidate.model_version: verdict.new.as_dict(),
        before.model_version: verdict.old.as_dict(),
    }


def _begin(promotion: Promotion, epoch: int, version: str) -> Rollout | None:
    """The release under way, with its share of the calls; None where there is to be no canary."""
    rollouts = Rollouts(clients.state().table)
    with promotion.alone(epoch) as record:
        share = record.setting("canary_share")
        found = rollouts.find(promotion.project)
        is_passed = found is not None and found.step is Step.SHIFT
        is_off = not share * record.setting("canary_seconds")
        if is_passed or is_off or record.lambda_version in {"", version}:
            return None
        started_at = found.started_at if found else time.time()
        rollout = rollouts.put(
            promotion.project,
            Rollout(
                promotion.name,
                promotion.candidate.model_version,
                version,
                Step.CANARY,
                started_at,
                seen_at=started_at,
            ),
        )
        function = promotion.project.function_name(settings().stack)
        seen = live_alias.read(clients.functions(), function)
        shares = {version: share}
        live_alias.point(clients.functions(), function, record.lambda_version, shares, seen)
    return rollout


def _look_up(promotion: Promotion, verdict: Verdict) -> None:
    if not Rollouts(clients.state().table).keep(promotion.project, promotion.name):
        raise Overtaken("the canary was ended", fix="look at the project's history")
    promotion.progress.record(message=f"a share of the calls: {verdict.reason}")


def _end(promotion: Promotion, reason: str, answers: dict[str, Any]) -> None:
    table, project = clients.state().table, promotion.project
    with exclusive(table, project, promotion.name, LEASE_WAIT_SECONDS):
        found = Rollouts(table).find(project)
        if found is None or found.promotion != promotion.name:
            raise Overtaken("the canary was ended", fix="look at the project's history")
        withdraw(place(), project, found, "canary", reason, answers)
