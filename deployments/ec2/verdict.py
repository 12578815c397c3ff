"""What it means for a flow run that its machine has ended."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

ENDED: Final = frozenset({"shutting-down", "terminated", "stopping", "stopped"})
_INTERRUPTED: Final = frozenset(
    {
        "Server.SpotInstanceTermination",
        "Server.SpotInstanceShutdown",
        "Server.InternalError",
        "Server.ScheduledStop",
    }
)


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


def verdict(ending: Ending, max_interruptions: int) -> Verdict:
    """Judge by the run's state first: the machine may have ended because the run has."""
    if ending.state_type not in {"PENDING", "RUNNING"} or _is_superseded(ending):
        return Verdict.NOTHING
    if ending.reason in _INTERRUPTED and ending.run_count <= max_interruptions:
        return Verdict.AGAIN
    return Verdict.CRASHED


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
