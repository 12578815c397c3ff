"""Putting an earlier version of a model live again: one call, in which one alias moves."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from contracts.errors import Conflict, NotFound
from contracts.identity import Project
from lambdas import live_alias
from lambdas.leases import Busy, exclusive
from lambdas.rollouts import Rollout, Rollouts, rollout_key
from lambdas.state import (
    ROLLED_BACK,
    WITHDRAWN,
    ProjectRecord,
    ReleaseRecord,
    State,
    VersionRecord,
)

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

WAIT_SECONDS = 8.0  # a release holds the project for moments; the caller waits for at most 29


@dataclass(frozen=True, slots=True)
class Place:
    """One stack's functions and state."""

    functions: "LambdaClient"
    state: State
    stack: str


def roll_back(place: Place, project: Project, to: str = "") -> VersionRecord:
    """Let `to` answer, or else what was promoted before the version that is live.

    A release under way is ended; without `to` that is all, and the live version gets every call
    again. Nothing is built or started, so it takes effect at once. Repeating it with the same `to`
    changes nothing, and finishes what an interrupted call has begun. Raises `NotFound` where there
    is no such version, `Conflict` where its function has been pruned, `Busy` where a release does
    not let go of the project in time.
    """
    with exclusive(place.state.table, project, f"rollback-{uuid4().hex}", WAIT_SECONDS):
        record = place.state.project(project)
        rollout = Rollouts(place.state.table).find(project)
        versions = place.state.versions(project)
        chosen = _chosen(versions, record.model_version, to, is_releasing=rollout is not None)
        if chosen.model_version != record.model_version:
            put_back(place, record, chosen, _release(record, chosen, rollout))
        elif rollout:
            withdraw(place, project, rollout, project.user, "by a rollback")
        else:
            put_back(place, record, chosen, None)
    return chosen


def _release(
    record: ProjectRecord, chosen: VersionRecord, rollout: Rollout | None
) -> ReleaseRecord:
    return ReleaseRecord(
        chosen.model_version,
        chosen.lambda_version,
        time.time(),
        record.project.user,
        f"rolled back from {record.model_version}",
        event=ROLLED_BACK,
        promotion=rollout.promotion if rollout else "",
    )


def put_back(
    place: Place, record: ProjectRecord, chosen: VersionRecord, release: ReleaseRecord | None
) -> None:
    """Give every call to `chosen` and record it. Call it under the lease.

    Raises `Conflict` where its function has been pruned.
    """
    _answer_with(place, record.project, chosen)
    if release is None:
        return
    changes: dict[str, Any] = {"metrics": chosen.metrics or {"accuracy": chosen.accuracy}}
    ends = [rollout_key(record.project)]
    if not place.state.change_live(record.project, record.epoch, release, ends=ends, **changes):
        raise Busy(
            f"what {record.project.name!r} serves was changed at the same moment",
            fix="look at what is live, and try again",
        )


def end_release_of(place: Place, project: Project, job_id: str) -> None:
    """Take back what a job that was cancelled has begun to release. Raises `Busy`."""
    with exclusive(place.state.table, project, f"cancel-{uuid4().hex}", WAIT_SECONDS):
        rollout = Rollouts(place.state.table).find(project)
        if rollout and rollout.is_of(job_id):
            withdraw(place, project, rollout, project.user, "its job was cancelled")


def withdraw(
    place: Place,
    project: Project,
    rollout: Rollout,
    by: str,
    reason: str,
    answers: dict[str, Any] | None = None,
) -> None:
    """End a release under way for good: the recorded version answers every call, and that is kept.

    Call it under the lease.
    """
    record = place.state.project(project)
    live = [v for v in place.state.versions(project) if v.model_version == record.model_version]
    if not live:  # nothing was live before, so there is nothing to go back to
        Rollouts(place.state.table).end(project)
        return
    release = ReleaseRecord(
        live[0].model_version,
        live[0].lambda_version,
        time.time(),
        by,
        f"the release of {rollout.model_version} was ended: {reason}",
        event=WITHDRAWN,
        promotion=rollout.promotion,
        answers=answers or {},
    )
    put_back(place, record, live[0], release)


def abandon(place: Place, project: Project) -> None:
    """Put back what a release has begun; its promotion may begin again. Call it under the lease."""
    record = place.state.project(project)
    if record.lambda_version:
        name = project.function_name(place.stack)
        live_alias.point(place.functions, name, record.lambda_version)
    Rollouts(place.state.table).end(project)


def _answer_with(place: Place, project: Project, chosen: VersionRecord) -> None:
    client, name = place.functions, project.function_name(place.stack)
    try:
        client.get_function_configuration(FunctionName=name, Qualifier=chosen.lambda_version)
        live_alias.point(client, name, chosen.lambda_version)
    except client.exceptions.ResourceNotFoundException as error:
        raise Conflict(
            f"version {chosen.model_version!r} is no longer kept as a function",
            fix="choose a later version, or train again; how many are kept is a setting",
        ) from error


def _chosen(
    versions: list[VersionRecord], live: str, to: str, *, is_releasing: bool
) -> VersionRecord:
    """`versions` are the newest first."""
    names = [version.model_version for version in versions]
    if live not in names:
        raise NotFound("no model is live yet", fix="train the project first")
    if to and to not in names:
        raise NotFound(
            f"version {to[:80]!r} has never been promoted",
            fix=f"use one of: {', '.join(names[:10])}",
        )
    if to:
        return versions[names.index(to)]
    if is_releasing:
        return versions[names.index(live)]
    earlier = versions[names.index(live) + 1 :]
    if not earlier:
        raise NotFound(
            f"nothing was promoted before {live!r}",
            fix="name the version to go to" if len(versions) > 1 else "train again",
        )
    return earlier[0]
