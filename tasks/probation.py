"""A new version that has every call is watched for a while, and the one before comes back."""

import time
from typing import Any

from lambdas.leases import exclusive
from lambdas.rollback import put_back
from lambdas.state import ROLLED_BACK, ReleaseRecord, VersionRecord
from models.canary import Verdict
from models.champion import Check, Decision
from tasks import clients
from tasks.promotion import LEASE_WAIT_SECONDS, Overtaken, Promotion, place
from tasks.watching import Pair, watch_after


def watch_live(promotion: Promotion, decision: Decision) -> Decision:
    """Watch what this promotion has released for as long as its owner wants; roll back if need be.

    Killed, it goes on where it was. Raises `Overtaken` when something else is live meanwhile.
    """
    project, state = promotion.project, clients.state()
    releases = state.releases(project)
    released = releases[0]
    seconds = state.project(project).setting("watch_seconds")
    before = _before(promotion, releases)
    if not seconds or before is None:
        return decision
    verdict = watch_after(
        project,
        Pair(released.lambda_version, before.lambda_version),
        released.at,
        released.at + seconds,
        lambda verdict: _look_up(promotion, released, verdict),
    )
    answers = {
        released.model_version: verdict.new.as_dict(),
        before.model_version: verdict.old.as_dict(),
    }
    if verdict.is_worse:
        _roll_back(promotion, released, before, verdict, answers)
    check = Check("watched", not verdict.is_worse, verdict.reason, "not clearly worse than before")
    return decision.after(check, {"watch": {"answers": answers}}, "rolled back")


def _before(promotion: Promotion, releases: list[ReleaseRecord]) -> VersionRecord | None:
    """What was live until then; None for a first version."""
    earlier = [r.model_version for r in releases[1:]]
    if not earlier or earlier[0] == promotion.candidate.model_version:
        return None
    versions = clients.state().versions(promotion.project)
    return next((v for v in versions if v.model_version == earlier[0]), None)


def _look_up(promotion: Promotion, released: ReleaseRecord, verdict: Verdict) -> None:
    if clients.state().project(promotion.project).epoch != released.epoch:
        raise Overtaken("another version is live meanwhile", fix="look at the project's history")
    promotion.progress.record(message=f"all calls: {verdict.reason}")


def _roll_back(
    promotion: Promotion,
    released: ReleaseRecord,
    before: VersionRecord,
    verdict: Verdict,
    answers: dict[str, Any],
) -> None:
    project, state = promotion.project, clients.state()
    with exclusive(state.table, project, promotion.name, LEASE_WAIT_SECONDS):
        record = state.project(project)
        if record.epoch != released.epoch:
            raise Overtaken("another version is live meanwhile", fix="look at the history")
        release = ReleaseRecord(
            before.model_version,
            before.lambda_version,
            time.time(),
            "watch",
            f"rolled back from {released.model_version}: {verdict.reason}",
            event=ROLLED_BACK,
            promotion=promotion.name,
            answers=answers,
        )
        put_back(place(), record, before, release)
