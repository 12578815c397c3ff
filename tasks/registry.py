"""MLflow: one experiment and one registered model per project.

MLflow is imported by the functions: it takes 2.7 s, and the draft's endpoint is live before then.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prefect import task

from contracts.identity import Project
from models.champion import Decision
from models.evaluation import Evaluation
from tasks import bundles, clients

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
CHALLENGER = "challenger"
_MOST_CHANGES = 10
_VERSION_TAG = "exemplar.model_version"


def _client() -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient()


def experiment_id(project: Project) -> str:
    """The project's experiment, made when it does not exist."""
    from mlflow.exceptions import MlflowException

    client = _client()
    found = client.get_experiment_by_name(project.registry_name)
    if found and found.lifecycle_stage == "deleted":  # by somebody in MLflow's own pages
        client.restore_experiment(found.experiment_id)
    if found:
        return str(found.experiment_id)
    try:
        return client.create_experiment(project.registry_name)
    except MlflowException:
        # Another run of the same project was quicker.
        found = client.get_experiment_by_name(project.registry_name)
        if found is None:
            raise
        return str(found.experiment_id)


def run_of_training(project: Project, training: str) -> str:
    """The MLflow run of a training, made when it does not exist; a resumed training finds it."""
    return _run_with_tag(project, "exemplar.training", training)


def _run_with_tag(project: Project, tag: str, value: str) -> str:
    client, experiment = _client(), experiment_id(project)
    found = client.search_runs([experiment], f"tags.`{tag}` = '{value}'", max_results=1)
    if found:
        return str(found[0].info.run_id)
    run = client.create_run(experiment, run_name=value, tags={tag: value})
    return str(run.info.run_id)


def lightning_logger(project: Project, run_id: str) -> Any:
    """Lightning's logger for an existing run; a resumed training goes on in it."""
    from models.torchlibs import lightning

    return lightning.loggers.MLFlowLogger(project.registry_name, run_id=run_id)


def finish_training(run_id: str, model_version: str, parameters: dict[str, Any]) -> None:
    """Log what was trained and let the registry find the run that made the bundle."""
    client = _client()
    for name, value in parameters.items():
        client.log_param(run_id, name, value)
    client.set_tag(run_id, _VERSION_TAG, model_version)
    client.set_terminated(run_id)


def run_of_trial(project: Project, parent: str, name: str, parameters: dict[str, Any]) -> str:
    """The run of one trial, shown below its training's; made when it does not exist."""
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    client, run_id = _client(), _run_with_tag(project, "exemplar.trial", name)
    client.set_tag(run_id, MLFLOW_PARENT_RUN_ID, parent)
    for parameter, value in parameters.items():
        client.log_param(run_id, parameter, value)
    return run_id


def log_epoch(run_id: str, metrics: dict[str, float], step: int) -> None:
    """Figures of one epoch of a trial."""
    for name, value in metrics.items():
        _client().log_metric(run_id, name, value, step=step)


def finish_trial(run_id: str, state: str, val_loss: float | None, accuracy: float | None) -> None:
    """End a trial's run: finished, killed (pruned) or failed; `state` says it in our words."""
    client = _client()
    client.set_tag(run_id, "exemplar.state", state)
    if state == "complete" and val_loss is not None and accuracy is not None:
        client.log_metric(run_id, "trial_loss", val_loss)
        client.log_metric(run_id, "trial_accuracy", accuracy)
    status = {"complete": "FINISHED", "pruned": "KILLED"}.get(state, "FAILED")
    client.set_terminated(run_id, status)


def log_cost(project: Project, training: str, seconds: float, dollars: float | None) -> None:
    """Machine time and cost of all attempts of a training, in its run."""
    client, run_id = _client(), run_of_training(project, training)
    client.log_metric(run_id, "machine_seconds", seconds)
    if dollars is not None:
        client.log_metric(run_id, "dollars", dollars)


# Retries: the tracking server may be starting again; every step may be repeated.
@task(retries=3, retry_delay_seconds=[1, 3, 10])
def register(
    project: Project, model_version: str, evaluation: Evaluation, decision: Decision
) -> str:
    """Record a scored bundle as a registry version and return its number.

    The alias `challenger` names the newest one, `champion` the one that is live.
    """
    client, name = _client(), project.registry_name
    run_id = _run_with_tag(project, _VERSION_TAG, model_version)
    for metric, value in _metrics(evaluation).items():
        client.log_metric(run_id, metric, value)
    client.log_text(run_id, evaluation.to_json().decode(), "evaluation.json")
    client.log_dict(run_id, asdict(decision), "decision.json")
    client.set_terminated(run_id)
    version = _registry_version(client, project, run_id, model_version)
    tags = {
        "decision": decision.reason,
        "promoted": str(decision.promote).lower(),
        "p_value": f"{decision.p_value:.6g}",
        "wins": str(decision.wins),
        "losses": str(decision.losses),
        "promoted_by": project.user if decision.promote else "",
    }
    for tag, text in tags.items():
        client.set_model_version_tag(name, version, tag, text)
    client.set_registered_model_alias(name, CHALLENGER, version)
    follow_live.fn(project)
    return version


# Retries: as above.
@task(retries=3, retry_delay_seconds=[1, 3, 10])
def follow_live(project: Project) -> str:
    """Give the alias `champion` to what is live now; return that version, or nothing.

    What became live while this was written is followed, too.
    """
    client, name, followed = _client(), project.registry_name, ""
    for _ in range(_MOST_CHANGES):
        live = clients.state().project(project).model_version
        if live == followed:
            break
        filters = f"name = '{name}' and tags.model_version = '{live}'"
        found = client.search_model_versions(filters)
        if not found:  # its own promotion has not come to the registry yet, and will do this
            break
        client.set_registered_model_alias(name, CHAMPION, str(found[0].version))
        followed = live
    return followed


def log_report(project: Project, model_version: str, page: str, ece: float) -> None:
    """The page people look at, in the run of the model version."""
    client, run_id = _client(), _run_with_tag(project, _VERSION_TAG, model_version)
    client.log_text(run_id, page, "report.html")
    client.log_metric(run_id, "expected_calibration_error", ece)


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    low, high = evaluation.interval
    return {
        "test_accuracy": evaluation.accuracy,
        "test_accuracy_low": low,
        "test_accuracy_high": high,
        "latency_ms": evaluation.latency_ms,
    }


def _registry_version(
    client: "MlflowClient", project: Project, run_id: str, model_version: str
) -> str:
    """One registry version per run: repeating finds it."""
    name = project.registry_name
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, tags={"user": project.user})
    found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    if found:
        return str(found[0].version)
    client.log_artifacts(run_id, str(bundles.fetch_bundle(project, model_version)), "bundle")
    source = f"{client.get_run(run_id).info.artifact_uri}/bundle"
    created = client.create_model_version(
        name, source, run_id, tags={"model_version": model_version}
    )
    return str(created.version)
