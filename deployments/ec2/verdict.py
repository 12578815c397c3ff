"""What it means for a flow run that its machine has ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any, Final, Self

from prefect.client.schemas.objects import FlowRun

from contracts import machine_tags as tags

ENDED: Final = frozenset({"shutting-down", "terminated", "stopping", "stopped"})
_INTERRUPTED: Final = frozenset(
    {
        "Server.SpotInstanceTermination",
        "Server.SpotInstanceShutdown",
        "Server.InternalError",
        "Server.ScheduledStop",
    }
)
# A machine needs so long to end by itself after its run.
_GRACE: Final = timedelta(minutes=2)


class Verdict(Enum):
    """What the worker has to do."""

    NOTHING = auto()  # the run has its state already, or goes on in another attempt
    AGAIN = auto()  # put it back into the queue
    CRASHED = auto()


@dataclass(frozen=True, slots=True)
class Ending:
    """An ended machine of attempt `attempt`, and its run as Prefect knows it.

    `run_count` grows when an attempt begins to run; `attempt` is what it was at launch.
    """

    state_type: str  # Prefect's, such as "RUNNING"
    run_count: int
    attempt: int
    reason: str  # EC2's StateReason code

    @classmethod
    def of(cls, instance: Mapping[str, Any], run: FlowRun) -> Self:
        """From EC2's description of the machine and Prefect's of the run."""
        return cls(
            state_type=run.state.type.value if run.state else "",
            run_count=run.run_count,
            attempt=int(tags.of(instance).get(tags.ATTEMPT, run.run_count)),
            reason=(instance.get("StateReason") or {}).get("Code", ""),
        )


def verdict(ending: Ending, max_interruptions: int) -> Verdict:
    """Judge by the run's state first: the machine may have ended because the run has."""
    if ending.state_type not in {"PENDING", "RUNNING"} or _is_superseded(ending):
        return Verdict.NOTHING
    if ending.reason in _INTERRUPTED and ending.run_count <= max_interruptions:
        return Verdict.AGAIN
    return Verdict.CRASHED


def is_over(instance: Mapping[str, Any], run: FlowRun, *, is_watched: bool) -> bool:
    """Whether a machine has to go: at once where its run was called off before it began there."""
    state = run.state
    if state is None or not (state.is_final() or state.is_cancelling()):
        return False
    has_begun = run.run_count > int(tags.of(instance).get(tags.ATTEMPT, 0))
    if not has_begun or (state.is_final() and not is_watched):
        return True
    return datetime.now(UTC) - state.timestamp > _GRACE


def explanation(ending: Ending, instance_id: str) -> str:
    """Why a run crashed, in words."""
    if ending.reason in _INTERRUPTED:
        return f"EC2 took the machine {instance_id} back, and did so before: {ending.reason}"
    return (
        f"the machine {instance_id} ended before the run did "
        f"({ending.reason or 'no reason was given'})"
    )


def _is_superseded(ending: Ending) -> bool:
    """After a graceful interruption the next attempt may run before this machine has ended."""
    started = 1 if ending.state_type == "RUNNING" else 0
    return ending.run_count > ending.attempt + started
