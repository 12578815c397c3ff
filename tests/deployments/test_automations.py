"""Events start trainings on a real Prefect server, whose automations are kept up to date."""

import time
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.settings import PREFECT_API_URL

from contracts.identity import Project
from deployments.automations import RETRAIN, resume_lost, save_automations
from lambdas import events

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@flow
def retrain(user: str, project: str, cause: str) -> None:
    """Stands for the flow: nobody runs it here."""


@pytest.fixture(scope="module")
def prefect(prefect_server: None) -> Any:
    with get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow(retrain), RETRAIN.partition("/")[2])
        save_automations(client)
        yield client
        for name in ("resume lost pipelines", "train after new labels", "train on drift"):
            (found,) = client.read_automations_by_name(name)
            client.delete_automation(found.id)


def runs(client: Any) -> list[dict[str, Any]]:
    deployment = client.read_deployment_by_name(RETRAIN).id
    wanted = FlowRunFilter.model_validate({"deployment_id": {"any_": [str(deployment)]}})
    return [run.parameters for run in client.read_flow_runs(flow_run_filter=wanted)]


def emitted(client: Any, event: str, project: Project, **payload: Any) -> dict[str, Any]:
    before = len(runs(client))
    events.emit(event, project, payload)
    for _ in range(200):
        if len(found := runs(client)) > before:
            (new,) = [run for run in found if run["project"] == project.name]
            return new
        time.sleep(0.05)
    raise AssertionError("no run was created")


def test_enough_labels_and_drift_run_the_flow_for_their_project(
    prefect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    ann, bob = Project("ann", "cats"), Project("bob", "007")
    labelled = emitted(prefect, events.LABELLED, ann, reason="labelled", new=3)
    assert labelled == {"user": "ann", "project": "cats", "cause": "labels"}
    # What looks like a template or a number stays a text.
    drifted = emitted(prefect, events.DRIFTED, bob, reason="{{ 7 * 7 }}")
    assert drifted == {"user": "bob", "project": "007", "cause": "drift"}


def test_saving_again_doubles_nothing_and_what_was_paused_stays_so(prefect: Any) -> None:
    name = resume_lost().name
    (found,) = prefect.read_automations_by_name(name)
    prefect.pause_automation(found.id)
    save_automations(prefect)
    (kept,) = prefect.read_automations_by_name(name)
    assert (kept.id, kept.enabled) == (found.id, False)
    names = [automation.name for automation in prefect.read_automations()]
    assert len(names) == len(set(names))
    (labels,) = prefect.read_automations_by_name("train after new labels")
    prefect.update_automation(labels.id, resume_lost().model_copy(update={"name": labels.name}))
    save_automations(prefect)
    (mended,) = prefect.read_automations_by_name(labels.name)
    assert mended.trigger.expect == {events.LABELLED}
