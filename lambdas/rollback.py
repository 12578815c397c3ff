"""Putting an earlier version of a model live again: one call, in which one alias moves."""

import time
from typing import TYPE_CHECKING, Any

from contracts.errors import Conflict, NotFound
from contracts.identity import Project
from lambdas.state import ReleaseRecord, State, VersionRecord

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

LIVE = "live"


def roll_back(
    functions: "LambdaClient", state: State, stack: str, project: Project, to: str = ""
) -> VersionRecord:
    """Let `to` answer, or else what was promoted before the version that is live.

    Nothing is built or started, so it takes effect at once. Repeating it with the same `to` changes
    nothing, and finishes what an interrupted call has begun. Raises `NotFound` where there is no
    such version, `Conflict` where its function has been pruned.
    """
    live = state.project(project).model_version
    chosen = _chosen(state.versions(project), live, to)
    name = project.function_name(stack)
    try:
        functions.get_function_configuration(FunctionName=name, Qualifier=chosen.lambda_version)
        functions.update_alias(FunctionName=name, Name=LIVE, FunctionVersion=chosen.lambda_version)
    except functions.exceptions.ResourceNotFoundException as error:
        raise Conflict(
            f"version {chosen.model_version!r} is no longer kept as a function",
            fix="choose a later version, or train again; how many are kept is a setting",
        ) from error
    if chosen.model_version != live:
        state.put_release(
            project,
            ReleaseRecord(
                chosen.model_version,
                chosen.lambda_version,
                time.time(),
                project.user,
                f"rolled back from {live}",
            ),
        )
    # Last: as long as the record names the other version, a second call does all again.
    changes: dict[str, Any] = {"metrics": chosen.metrics or {"accuracy": chosen.accuracy}}
    state.update_project(
        project,
        model_version=chosen.model_version,
        lambda_version=chosen.lambda_version,
        **changes,
    )
    return chosen


def _chosen(versions: list[VersionRecord], live: str, to: str) -> VersionRecord:
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
    earlier = versions[names.index(live) + 1 :]
    if not earlier:
        raise NotFound(
            f"nothing was promoted before {live!r}",
            fix="name the version to go to" if len(versions) > 1 else "train again",
        )
    return earlier[0]
