"""One promotion: what it is called, when it is its turn, and with whom it compares."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from uuid import uuid4

from botocore.exceptions import ClientError
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from contracts.errors import Conflict
from contracts.identity import Project
from lambdas.leases import Busy, exclusive
from lambdas.rollback import Place, abandon
from lambdas.rollouts import Rollouts, promotion_name
from lambdas.state import ProjectRecord
from models.evaluation import Evaluation
from tasks import bundles, clients, scoring, storage
from tasks.progress import Progress
from tasks.settings import settings

LEASE_WAIT_SECONDS = 90.0  # a killed holder's lease ends after 30
_TURN_WAIT_SECONDS = 1_500.0  # a canary of another promotion takes up to 900
_POLL_SECONDS = 2.0
_MOST_LOOKS = 5


class Overtaken(Conflict):
    """What is live has changed since the decision, which has to be made again."""

    code = "overtaken"


@dataclass(frozen=True)
class Champion:
    """What a decision compares with; `epoch` tells whether it is live still."""

    epoch: int
    evaluation: Evaluation | None  # None where nothing is live, or it answers another question
    looks: int = 1  # how often this promotion had to look


@dataclass(frozen=True)
class Promotion:
    """One candidate of one job, or flow run; tried again after a crash it is the same one."""

    project: Project
    candidate: Evaluation
    progress: Progress

    @property
    def name(self) -> str:
        """By which the lease, the history and a release under way know it."""
        run = self.progress.job_id or flow_run.get_id() or _by_hand()
        return promotion_name(run, self.candidate.model_version)

    @contextmanager
    def alone(self, epoch: int) -> Iterator[ProjectRecord]:
        """Nobody else changes what is live meanwhile. Raises `Overtaken` if somebody has."""
        table = clients.state().table
        with exclusive(table, self.project, self.name, LEASE_WAIT_SECONDS):
            record = clients.state().project(self.project)
            rollout = Rollouts(table).find(self.project)
            if record.epoch != epoch or (rollout and rollout.promotion != self.name):
                raise _overtaken(self.project)
            try:
                yield record
            except ClientError as error:
                if error.response["Error"]["Code"] == "PreconditionFailedException":
                    raise _overtaken(self.project) from error  # the alias was moved, nevertheless
                raise

    def abandon(self) -> None:
        """Put back what this promotion has begun to release."""
        table = clients.state().table
        with exclusive(table, self.project, self.name, LEASE_WAIT_SECONDS):
            rollout = Rollouts(table).find(self.project)
            if rollout and rollout.promotion == self.name:
                abandon(place(), self.project)


def _overtaken(project: Project) -> Overtaken:
    return Overtaken(f"what {project.name!r} serves has changed", fix="decide again")


@cache
def _by_hand() -> str:
    """Of a process that calls tasks without a flow."""
    return uuid4().hex


def place() -> Place:
    """Where releases are changed."""
    return Place(clients.functions(), clients.state(), settings().stack)


# No retry: scores are stored. No cache: at the next call another one may be champion.
@task(timeout_seconds=3_600, cache_policy=NO_CACHE)
def find_champion(
    project: Project, candidate: Evaluation, progress: Progress, earlier: Champion | None = None
) -> Champion:
    """Who serves now, scored on the candidate's test split; waits for releases under way.

    Raises `Busy` where it was another one than `earlier` too often.
    """
    looks = earlier.looks + 1 if earlier else 1
    if looks > _MOST_LOOKS:
        raise Busy(
            f"what {project.name!r} serves has changed {looks - 1} times since it was compared",
            fix="start it again when nothing else is being released",
        )
    _await_turn(Promotion(project, candidate, progress))
    record = clients.state().project(project)
    return Champion(record.epoch, _scored(record, candidate.dataset_version), looks)


def _scored(record: ProjectRecord, dataset_version: str) -> Evaluation | None:
    if not record.model_version:
        return None
    card = bundles.read_card(record.project, record.model_version)
    if card.classes != storage.read_manifest(record.project, dataset_version).classes:
        return None  # it answers another question, so it cannot be compared
    return scoring.score.fn(record.project, record.model_version, dataset_version)


def _await_turn(promotion: Promotion) -> None:
    deadline = time.monotonic() + _TURN_WAIT_SECONDS
    while _is_others_turn(promotion):
        if time.monotonic() > deadline:
            raise Busy(
                f"another model of {promotion.project.name!r} is being released for long",
                fix="look at the project's jobs; start this one again when that has ended",
            )
        promotion.progress.within(promotion.progress.current, 0.0, "waiting for another release")
        time.sleep(_POLL_SECONDS)


def _is_others_turn(promotion: Promotion) -> bool:
    """A release whose promotion has died is put back."""
    project, table = promotion.project, clients.state().table
    found = Rollouts(table).find(project)
    if found is None or found.promotion == promotion.name:
        return False
    if found.is_stale(time.time()):
        with exclusive(table, project, promotion.name, LEASE_WAIT_SECONDS):
            found = Rollouts(table).find(project)
            if found and found.promotion != promotion.name and found.is_stale(time.time()):
                abandon(place(), project)
    return True
