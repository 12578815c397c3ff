"""Training on a machine of its own, started by the pipeline and outlived by it."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx
from prefect import task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.logging import get_run_logger
from prefect.states import Cancelling

from contracts.errors import ExemplarError, InvalidRequest, split_fix
from contracts.estimate import Estimate, Machine, estimate, paced_recipe
from contracts.hub_names import is_hub_model
from contracts.limits import MIB
from contracts.requests import DEFAULT_MODELS
from contracts.status import Stage
from contracts.turns import TURNS, queue_of
from lambdas.orchestrator import job_tags, project_tag
from models.backbones import form_named
from models.bundle_size import likely_bytes
from models.recipe import Recipe
from tasks import billing, clients, registry, storage
from tasks.billing import BudgetExceeded
from tasks.progress import JobCancelled, Progress
from tasks.settings import settings
from tasks.training_identity import ensure_training_identity
from tasks.training_results import trained_version, training_id
from tasks.weights import find_weights

_LONGEST_PAUSE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Training:
    """A training under way; every attempt continues the same one."""

    training: str
    parameters: dict[str, Any]
    examples: int
    machine: Machine  # that it is started on first
    expected: Estimate

    def run_name(self, progress: Progress, number: int) -> str:
        """Name and idempotency key of an attempt's flow run."""
        return f"{progress.project.slug}-{self.training}-{number}"


class TrainingFailed(ExemplarError):
    """The training ended without a model."""

    code = "training_failed"


def resolved(progress: Progress, model: str, recipe: str) -> str:
    """Return the model, its kind's default where none is named.

    Raises `InvalidRequest` now rather than after the machine has started.
    """
    kind = clients.state().project(progress.project).kind
    model = model or DEFAULT_MODELS[kind]
    if is_hub_model(model):
        find_weights(model)  # what it reads is known once it is here
    if form_named(model).kind is not kind:
        raise InvalidRequest(
            f"model {model!r} cannot learn from a project of kind {kind}",
            fix=f"use {DEFAULT_MODELS[kind]!r}, or leave the model out",
        )
    _refuse_unservable(model)
    Recipe.of(recipe, kind)
    return model


def _refuse_unservable(model: str) -> None:
    size, most = likely_bytes(model) / MIB, settings().max_bundle_mib
    if size > most:
        is_zip = not settings().image_builder
        raise InvalidRequest(
            f"model {model!r} would be served as {size:,.0f} MiB, and at most {most:,} fit",
            fix="use a smaller one, such as 'resnet50'"
            + (", or have the system deployed with --large-models on AWS" if is_zip else ""),
        )


# No retry: the same idempotency key would give the same run; `await_training` bounds attempts.
@task
def start_training(
    progress: Progress,
    dataset_version: str,
    model: str,
    recipe: str,
    seed: int,
    budget_seconds: int,
    tune: int = 0,
) -> Training:
    """Create the flow run of the first attempt and return at once.

    What the budget does not allow is not started; `await_training` says so after the draft serves.
    """
    examples = len(storage.read_manifest(progress.project, dataset_version).examples)
    with get_client(sync_client=True) as client:
        machine = billing.offered_machine(client)
    past = clients.state().observations(model, paced_recipe(recipe, tune))
    expected = estimate(examples, past, machine, limit_seconds=budget_seconds)
    progress.record(estimate=expected.as_dict())
    training = Training(
        examples=examples,
        machine=machine,
        expected=expected,
        training=training_id(dataset_version, model, recipe, seed, progress.job_id, tune),
        parameters={
            "user": progress.project.user,
            "project": progress.project.name,
            "dataset_version": dataset_version,
            "model": model,
            "recipe": recipe,
            "seed": seed,
            "budget_seconds": budget_seconds,
            "job_id": progress.job_id,
            "tune": tune,
        },
    )
    if trained_version(progress.project, training.training) is None:
        with suppress(BudgetExceeded):
            _attempt(progress, training, 0, wait=False)
    return training


# No retry: it has its own, bounded, below.
@task
def await_training(progress: Progress, training: Training) -> str:
    """Wait for the training and return the model version.

    A machine that dies (spot interruption, kill) is replaced; the next one goes on from the last
    checkpoint. A training that fails by itself is not tried again: it would fail again.
    Raises `TrainingFailed` and `BudgetExceeded`.
    """
    runs: list[FlowRun] = []
    with progress.stage(Stage.TRAIN, "fine-tuning"):
        for number in range(settings().training_attempts):
            if version := trained_version(progress.project, training.training):
                return _finished(progress, training, runs, version)
            run = _attempt(progress, training, number, wait=True, earlier=runs)
            runs.append(run)
            _note_cost(progress, runs)
            _raise_unless_ended(run)
            _raise_unless_resumable(run)
            if run.state and run.state.is_crashed():
                get_run_logger().warning(
                    "attempt %d lost its machine: %s", number, run.state.message
                )
                progress.within(Stage.TRAIN, 0.0, "the machine was lost; going on with another")
        if version := trained_version(progress.project, training.training):
            return _finished(progress, training, runs, version)
    raise TrainingFailed(
        f"the training lost its machine {settings().training_attempts} times",
        fix="start it again; it goes on from its last checkpoint",
    )


def _note_cost(progress: Progress, runs: Sequence[FlowRun]) -> None:
    """In the user's month and, where machines are billed, in the job."""
    now = time.time()
    billing.settle(runs[-1], now)
    dollars = billing.bill(runs, now).dollars
    if dollars is not None:
        progress.record(dollars=round(dollars, 6))


def _finished(progress: Progress, training: Training, runs: Sequence[FlowRun], version: str) -> str:
    """Compare cost and estimate, and keep what was seen for the estimates to come."""
    if not runs:  # it had ended in an earlier life of the pipeline
        return version
    found, parameters = billing.bill(runs, time.time()), training.parameters
    clients.state().add_observation(
        parameters["model"],
        paced_recipe(parameters["recipe"], parameters.get("tune", 0)),
        billing.observation(training.examples, found),
    )
    billing.publish(training.expected, found)
    registry.log_cost(progress.project, training.training, found.seconds, found.dollars)
    return version


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
    reason, advice = split_fix(state.message or "no reason was given")
    raise TrainingFailed(
        f"the training failed: {reason}"[:1_000],
        fix=f"{advice or f'look at the log of flow run {run.name}'}; the draft keeps serving",
    )


def _attempt(
    progress: Progress,
    training: Training,
    number: int,
    *,
    wait: bool,
    earlier: Sequence[FlowRun] = (),
) -> FlowRun:
    """The flow run of one attempt; asking again for the same attempt finds the same run.

    It is looked for before it is asked for: reading never makes a busy Prefect refuse.
    """
    name = training.run_name(progress, number)
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter.model_validate({"idempotency_key": {"any_": [name]}})
        found = client.read_flow_runs(flow_run_filter=wanted, limit=1)
        run = found[0] if found else _ask_for(client, progress, training, name, earlier)
        return _ended(client, run) if wait else run


def _ask_for(
    client: SyncPrefectClient,
    progress: Progress,
    training: Training,
    name: str,
    earlier: Sequence[FlowRun],
) -> FlowRun:
    user = progress.project.user
    variables = _job_variables(progress, training, name, earlier)
    with clients.state().starting(user, "training", name) as others:
        unfinished = (_unfinished(client, user) | others) - {name}
        return run_deployment(  # type: ignore[return-value]  # the synchronous form returns the run
            settings().training_deployment,
            parameters=training.parameters,
            flow_run_name=name,
            idempotency_key=name,
            tags=job_tags(progress.project, progress.job_id)
            if progress.job_id
            else [f"user:{user}", project_tag(progress.project)],
            work_queue_name=queue_of(len(unfinished)),
            job_variables=variables,
            timeout=0,
        )


def _ended(client: SyncPrefectClient, run: FlowRun) -> FlowRun:
    """Wait for the run's end, or for so long as one may take; Prefect may be away meanwhile.

    Pauses grow with the time waited, so that hours cost no more requests than minutes.
    """
    began, waited = time.monotonic(), 0.0
    while not (run.state and run.state.is_final()) and waited < settings().training_wait_seconds:
        time.sleep(max(settings().training_poll_seconds, min(waited / 100, _LONGEST_PAUSE_SECONDS)))
        waited = time.monotonic() - began
        try:
            run = client.read_flow_run(run.id)
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500:
                raise
            get_run_logger().warning("Prefect does not answer, asking again: %s", error)
    return run


def _job_variables(
    progress: Progress, training: Training, run: str, earlier: Sequence[FlowRun]
) -> dict[str, Any]:
    """Whose role the machine has, and what it may cost; nothing where none is started."""
    if not training.machine.instance_type:
        return {}
    paid = billing.bill(earlier, time.time()).dollars or 0.0
    allowed = billing.reserve(progress.project.user, run, training.expected, paid)
    profile = ensure_training_identity(progress.project)
    budget = {} if allowed is None else {"max_dollars": allowed}
    return budget | ({"instance_profile": profile} if profile else {})


def _unfinished(client: SyncPrefectClient, user: str) -> set[str]:
    """Names of trainings of a user that wait or run; more than there are turns do not matter."""
    deployment = client.read_deployment_by_name(settings().training_deployment)
    wanted = {
        "deployment_id": {"any_": [deployment.id]},
        "tags": {"all_": [f"user:{user}"]},
        "state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "PAUSED"]}},
    }
    runs = client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted), limit=TURNS)
    return {run.name for run in runs}
