"""A person's word before a better model is released, where the project's owner wants that."""

import time
from dataclasses import asdict, dataclass, replace

from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import Field

from contracts.identity import Project
from contracts.status import ApprovalState
from models.champion import Check, Decision
from tasks import clients
from tasks.progress import Progress
from tasks.settings import settings

_POLL_SECONDS = 2


class Approval(RunInput):
    """The form that Prefect shows, and what the API sends in its place."""

    approve: bool = Field(description="Release the model?")
    note: str = Field("", max_length=500, description="Why; it is kept with the decision.")
    by: str = Field("somebody at Prefect", max_length=100, description="Who says so.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said, by whom; `state` is how the question ended."""

    state: ApprovalState
    by: str = ""
    note: str = ""


def approved(
    project: Project, decision: Decision, progress: Progress, is_draft: bool = False
) -> Decision:
    """The same decision, unless the owner wants to be asked and nobody agrees.

    Waits inside the flow run, which Prefect shows as paused, until somebody answers there or by the
    API. A draft is not worth a question: the trained model that follows it is.
    """
    if not decision.promote or not clients.state().project(project).setting("approval"):
        return decision
    if is_draft:
        return _refused(decision, "a draft is not released without approval; training goes on")
    answer = _ask(decision, progress)
    if answer.state is ApprovalState.APPROVED:
        note = f": {answer.note}" if answer.note else ""
        return replace(decision, reason=f"{decision.reason}; approved by {answer.by}{note}")
    if answer.state is ApprovalState.EXPIRED:
        return _refused(decision, f"nobody approved it within {settings().approval_hours:g} hours")
    note = f" ({answer.note})" if answer.note else ""
    return _refused(decision, f"{answer.by} refused it{note}")


def _ask(decision: Decision, progress: Progress) -> Answer:
    asked = {"flow_run_id": flow_run.get_id(), "asked_at": time.time(), "reason": decision.reason}
    progress.record(
        approval=asked | {"state": ApprovalState.WAITING},
        message=f"waiting for approval: {decision.reason}",
    )
    question = Approval.with_initial_data(
        description=f"**Release this model?** {decision.reason}", approve=True
    )
    try:
        said = pause_flow_run(
            wait_for_input=question,
            timeout=int(settings().approval_hours * 3_600),
            poll_interval=_POLL_SECONDS,
        )
    except FlowPauseTimeout:
        answer = Answer(ApprovalState.EXPIRED)
    else:
        state = ApprovalState.APPROVED if said.approve else ApprovalState.REFUSED
        answer = Answer(state, said.by, said.note)
    progress.record(approval=asked | asdict(answer) | {"answered_at": time.time()})
    return answer


def _refused(decision: Decision, why: str) -> Decision:
    check = Check("approval", False, why, "a person's agreement")
    reason = f"kept what is live: {why} ({decision.reason})"
    return replace(decision, promote=False, reason=reason, checks=(*decision.checks, check))
