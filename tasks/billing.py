"""What trainings may cost, are expected to cost, and have cost."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound

from contracts.errors import ExemplarError
from contracts.estimate import Estimate, Machine, Observation
from contracts.machine_use import from_labels, total_dollars
from contracts.prices import AS_OF
from tasks import clients
from tasks.settings import settings

_PAGE: Final = 200
# Machines end a little later than their runs, and the reaper looks every five minutes.
_SETTLED_AFTER: Final = timedelta(hours=1)


class BudgetExceeded(ExemplarError):
    """A training would cost more than is allowed."""

    code = "budget_exceeded"
    http_status = 402


@dataclass(frozen=True, slots=True)
class Bill:
    """What the runs of one training took; `dollars` is None where nothing is billed."""

    seconds: float
    dollars: float | None
    machine: Machine
    machines: int


def offered_machine(client: SyncPrefectClient) -> Machine:
    """What the training pool starts first; a machine without a type where it starts none."""
    deployment = client.read_deployment_by_name(settings().training_deployment)
    pool = client.read_work_pool(deployment.work_pool_name or "")
    if pool.type != "ec2":
        return Machine()
    fields = pool.base_job_template["variables"]["properties"]
    chosen = {name: field.get("default") for name, field in fields.items()}
    chosen |= deployment.job_variables or {}
    return Machine(
        instance_type=chosen["instance_types"][0],
        is_spot=chosen["market"] != "on-demand",
        disk_gb=int(chosen["disk_gb"]),
    )


def reserve(user: str, run: str, expected: Estimate, job_dollars: float) -> float | None:
    """Set the expected cost of a run aside; return the most it may cost, None for no limit.

    `run` is the flow run's name, `job_dollars` what the job's earlier runs have cost. Raises
    `BudgetExceeded` when the budget of the job or of the user's month does not suffice. Of two
    runs at the same moment that fit only one by one, both may be refused, never both let in.
    """
    limits = settings()
    if limits.job_budget_dollars is None and limits.user_budget_dollars is None:
        return None
    cost, month = expected.dollars or 0.0, month_of(time.time())
    before = clients.state().spent(user, month).get(run)
    clients.state().put_spent(user, month, run, cost if before is None else max(cost, before))
    spent = clients.state().spent(user, month)
    spent.pop(run, None)
    left = []
    if limits.job_budget_dollars is not None:
        left.append(("the job's", limits.job_budget_dollars, job_dollars))
    if limits.user_budget_dollars is not None:
        left.append(("this month's", limits.user_budget_dollars, sum(spent.values())))
    for whose, budget, used in left:
        if used + cost > budget:
            if before is None:
                clients.state().forget_spent(user, month, run)
            raise BudgetExceeded(
                f"{whose} budget is ${budget:.2f}, of which ${used:.2f} are spent or set aside; "
                f"this training would cost about ${cost:.2f}",
                fix="raise the budget, or train on fewer examples; what was live stays live",
            )
    return min(budget - used for _, budget, used in left)


def settle(run: FlowRun, now: float) -> float | None:
    """Write down what one training run has cost so far; None where nothing is billed.

    It counts for the month in which it was asked for, as what was set aside for it does.
    """
    uses = from_labels(run.labels)
    dollars = total_dollars(uses, _end(run, now))
    user = str(run.parameters.get("user", ""))
    month = month_of(run.created.timestamp() if run.created else now)
    if not uses and run.end_time:  # refused, or called off before it had a machine
        clients.state().forget_spent(user, month, run.name)
    if not uses or dollars is None:
        return None
    # What was set aside for a run stays so until it has ended.
    aside = 0.0 if run.end_time else clients.state().spent(user, month).get(run.name, 0.0)
    clients.state().put_spent(user, month, run.name, round(max(dollars, aside), 6))
    return dollars


def bill(runs: Sequence[FlowRun], now: float) -> Bill:
    """Of all runs of one training together."""
    uses = [(use, _end(run, now)) for run in runs for use in from_labels(run.labels)]
    if not uses:
        seconds = sum(run.total_run_time.total_seconds() for run in runs)
        return Bill(seconds, None, Machine(), 0)
    costs = [use.dollars(end) for use, end in uses]
    known = [cost for cost in costs if cost is not None]
    last = uses[-1][0]
    return Bill(
        seconds=sum(use.seconds(end) for use, end in uses),
        dollars=sum(known) if len(known) == len(costs) else None,
        machine=Machine(last.instance_type, last.is_spot, last.disk_gb),
        machines=len(uses),
    )


# Retries: the state table and Prefect may stumble; writing a cost twice is harmless.
@task(retries=2, retry_delay_seconds=[5, 20])
def settle_recent() -> int:
    """Write down the cost of every run that goes on or has ended lately; return how many.

    A cancelled job has no pipeline left that would do it.
    """
    now = time.time()
    with get_client(sync_client=True) as client:
        runs = [run for run in _recent_runs(client) if settle(run, now) is not None]
    return len(runs)


def publish(expected: Estimate, found: Bill) -> None:
    """Estimate and bill side by side, as a Prefect artifact."""
    create_table_artifact(
        key="bill",
        table=[
            _row("expected", expected.seconds, expected.dollars, expected.machine),
            _row("actual", found.seconds, found.dollars, found.machine.name),
        ],
        description=f"The estimate is judged by {expected.basis}; dollars are list prices of "
        f"{AS_OF}. It took {found.machines} {'machine' if found.machines == 1 else 'machines'}.",
    )


def observation(examples: int, found: Bill) -> Observation:
    """For the estimates to come."""
    return Observation(examples, round(found.seconds, 1), found.machine)


def month_of(seconds: float) -> str:
    """The calendar month (UTC) of a time since the epoch, such as 2026-11."""
    return time.strftime("%Y-%m", time.gmtime(seconds))


def _end(run: FlowRun, now: float) -> float:
    """A machine whose end nobody has seen yet ends with its run."""
    return run.end_time.timestamp() if run.end_time else now


def _recent_runs(client: SyncPrefectClient) -> list[FlowRun]:
    try:
        deployment = client.read_deployment_by_name(settings().training_deployment)
    except ObjectNotFound:  # nothing has been deployed yet, so nothing has been trained
        return []
    since = (datetime.now(UTC) - _SETTLED_AFTER).isoformat()
    ended: dict[str, Any] = {"end_time": {"after_": since}}
    going: dict[str, Any] = {"state": {"type": {"any_": ["RUNNING", "SCHEDULED", "PENDING"]}}}
    return [run for which in (going, ended) for run in _all(client, deployment.id, which)]


def _all(client: SyncPrefectClient, deployment_id: UUID, which: dict[str, Any]) -> list[FlowRun]:
    wanted = FlowRunFilter.model_validate({"deployment_id": {"any_": [deployment_id]}} | which)
    found: list[FlowRun] = []
    while page := client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=len(found)):
        found += page
    return found


def _row(what: str, seconds: float, dollars: float | None, machine: str) -> dict[str, str]:
    return {
        "training": what,
        "machine time": f"{seconds / 60:.1f} min",
        "dollars": "–" if dollars is None else f"{dollars:.4f}",
        "machine": machine or "this computer",
    }
