"""Training on a machine of its own, started by the pipeline and outlived by it."""

from dataclasses import dataclass
from typing import Any

from prefect import task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.logging import get_run_logger
from prefect.states import Cancelling

from contracts.errors import ExemplarError
from contracts.status import Stage
from lambdas.orchestrator import job_tags
from models.recipe import Recipe
from tasks.progress import JobCancelled, Progress
from tasks.settings import settings
from tasks.training_results import trained_version, training_id


@dataclass(frozen=True)
class Training:
    """A training under way; every attempt continues the same one."""

    training: str
    parameters: dict[str, Any]


class TrainingFailed(ExemplarError):
    """The training ended without a model."""

    code = "training_failed"


def check_request(model: str, recipe: str) -> None:
    """Raise `InvalidRequest` now rather than after the machine has started."""
    Recipe.from_dict(Recipe.from_name(recipe).as_dict() | {"backbone": model})


# No retry: the same idempotency key would give the same run; `await_training` bounds attempts.
@task
def start_training(
    progress: Progress,
    dataset_version: str,
    model: str,
    recipe: str,
    seed: int,
    budget_seconds: int,
) -> Training:
    """Create the flow run of the first attempt and return at once."""
    training = Training(
        training=training_id(dataset_version, model, recipe, seed, progress.job_id),
        parameters={
            "user": progress.project.user,
            "project": progress.project.name,
            "dataset_version": dataset_version,
            "model": model,
            "recipe": recipe,
            "seed": seed,
            "budget_seconds": budget_seconds,
            "job_id": progress.job_id,
        },
    )
    if trained_version(progress.project, training.training) is None:
        _attempt(progress, training, 0, wait=False)
    return training


# No retry: it has its own, bounded, below.
@task
def await_training(progress: Progress, training: Training) -> str:
    """Wait for the training and return the model version.

    A machine that dies (spot interruption, kill) is replaced; the next one goes on from the last
    checkpoint. A training that fails by itself is not tried again: it would fail again.
    Raises `TrainingFailed`.
    """
    with progress.stage(Stage.TRAIN, "fine-tuning"):
        for number in range(settings().training_attempts):
            if version := trained_version(progress.project, training.training):
                return version
            run = _attempt(progress, training, number, wait=True)
            _raise_unless_ended(run)
            _raise_unless_resumable(run)
            if run.state and run.state.is_crashed():
                get_run_logger().warning(
                    "attempt %d lost its machine: %s", number, run.state.message
                )
                progress.within(Stage.TRAIN, 0.0, "the machine was lost; going on with another")
        if version := trained_version(progress.project, training.training):
            return version
    raise TrainingFailed(
        f"the training lost its machine {settings().training_attempts} times",
        fix="start it again; it goes on from its last checkpoint",
    )


def _raise_unless_ended(run: FlowRun) -> None:
    """A pool without a worker, or a machine that hangs, must not keep a job waiting for ever."""
    if run.state and run.state.is_final():
        return
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Cancelling())
    hours = settings().training_wait_seconds / 3_600
    raise TrainingFailed(
        f"the training did not end within {hours:g} hours",
        fix="check that a worker serves the training pool, then start it again; "
        "the draft keeps serving",
    )


def _raise_unless_resumable(run: FlowRun) -> None:
    state = run.state
    if state is None or state.type in {StateType.COMPLETED, StateType.CRASHED}:
        return
    if state.type in {StateType.CANCELLED, StateType.CANCELLING}:
        raise JobCancelled("the training was cancelled")
    raise TrainingFailed(
        f"the training failed: {state.message or 'no reason was given'}"[:1_000],
        fix=f"look at the log of flow run {run.name}; the draft keeps serving",
    )


def _attempt(progress: Progress, training: Training, number: int, *, wait: bool) -> FlowRun:
    """The flow run of one attempt; asking again for the same attempt finds the same run."""
    return run_deployment(  # type: ignore[return-value]  # the synchronous form returns the run
        settings().training_deployment,
        parameters=training.parameters,
        flow_run_name=f"{progress.project.slug}-{training.training}-{number}",
        idempotency_key=f"{progress.project.slug}-{training.training}-{number}",
        tags=job_tags(progress.project, progress.job_id) if progress.job_id else [],
        timeout=settings().training_wait_seconds if wait else 0,
        poll_interval=settings().training_poll_seconds,
    )
