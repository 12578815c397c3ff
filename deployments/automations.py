"""What Prefect does by itself when something happens: its automations, as code."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from contracts.retraining import Cause
from lambdas.events import DRIFTED, LABELLED

RESUMABLE: Final = "resumable"
RETRAIN: Final = "retrain/retrain"


def save_automations(client: SyncPrefectClient) -> None:
    """Create what is missing and bring the rest up to date; one that was paused stays so.

    To be called when the deployments are there.
    """
    retrain = client.read_deployment_by_name(RETRAIN).id
    for wanted in (resume_lost(), *retrainings(retrain)):
        found = client.read_automations_by_name(wanted.name)
        if found:
            enabled = wanted.model_copy(update={"enabled": found[0].enabled})
            client.update_automation(found[0].id, enabled)
        else:
            client.create_automation(wanted)


def resume_lost() -> AutomationCore:
    """A resumable run whose process was lost is queued again: same run, next attempt."""
    return AutomationCore(
        name="resume lost pipelines",
        description="A crashed pipeline goes on from the last step that ended.",
        trigger=_on(
            "prefect.flow-run.Crashed",
            match_related={
                "prefect.resource.id": f"prefect.tag.{RESUMABLE}",
                "prefect.resource.role": "tag",
            },
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.SCHEDULED,
                name="AwaitingRetry",
                message="its process was lost",
                force=False,
            )
        ],
    )


def retrainings(deployment: UUID) -> list[AutomationCore]:
    """A project trains anew after new labels, and on drift; the flow asks what its owner wants."""
    return [
        _retraining("train after new labels", LABELLED, Cause.LABELS, deployment),
        _retraining("train on drift", DRIFTED, Cause.DRIFT, deployment),
    ]


def _retraining(name: str, event: str, cause: Cause, deployment: UUID) -> AutomationCore:
    return AutomationCore(
        name=name,
        description=f"Runs {RETRAIN} for the project of the event {event}.",
        trigger=_on(event, match={"prefect.resource.id": "exemplar.project.*"}),
        actions=[
            RunDeployment(
                source="selected",
                deployment_id=deployment,
                job_variables=None,
                parameters={
                    "user": "{{ event.payload.user }}",
                    "project": "{{ event.payload.project }}",
                    "cause": cause.value,
                },
            )
        ],
    )


def _on(event: str, **matching: Any) -> EventTrigger:
    """Every time that it happens."""
    return EventTrigger(
        expect={event},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
        **matching,
    )
