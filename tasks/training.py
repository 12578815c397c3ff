"""Fine-tuning on this machine: resumable, tracked in MLflow, ending in a bundle."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast
from uuid import UUID

import httpx
import numpy as np
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from contracts.bundle import TOKENIZER_FILE, ModelCard
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Kind, Manifest, Split
from contracts.requests import DEFAULT_MODELS
from contracts.status import Stage
from models import calibration, zoo
from models.backbones import form_named
from models.checkpoints import LAST_CHECKPOINT, EpochResult, load_best
from models.data import TrainingData
from models.evaluation import PARITY_METRIC
from models.export import export_onnx, parity_error
from models.hardware import detected
from models.recipe import Recipe
from models.training import Trained, join_training, train
from serving.predictor import Predictor
from tasks import bundles, examples, registry, storage
from tasks.drafting import NO_WEIGHTS, counted_model
from tasks.finishing import LearntExamples, finished
from tasks.progress import Progress
from tasks.settings import settings
from tasks.training_results import record_version, trained_version, training_id
from tasks.weights import Weights, find_weights

FROM_SCRATCH = "cnn"  # small enough to learn from a few hundred pictures
_PARITY = 32  # examples that torch and the exported graph are compared on


# No retry: a lost machine is replaced by the pipeline, and any other failure would repeat itself.
@task
def train_model(
    project: Project,
    version: str,
    model: str,
    recipe_name: str,
    seed: int,
    budget_seconds: int,
    progress: Progress,
    tune: int = 0,
) -> str:
    """Train (or go on training), export, check, store; return the model version.

    With `tune`, so many variants of the recipe are tried first.

    On a node other than the first it only helps to train and returns "".
    """
    started = time.monotonic()
    training = training_id(version, model, recipe_name, seed, progress.job_id, tune)
    if finished := trained_version(project, training):
        return finished
    manifest = storage.read_manifest(project, version)
    model = model or DEFAULT_MODELS[manifest.kind]
    weights = _weights(model, manifest.kind)
    if manifest.kind is Kind.TEXT and weights is None:
        # There is nothing to fine-tune; the same words give the draft again, and the gate a tie.
        counted = counted_model(manifest, version)
        record_version(project, training, counted)
        return counted
    recipe = Recipe.of(recipe_name, manifest.kind)
    # A network made for pretrained weights learns little without them from a few hundred pictures.
    keeps_model = weights is not None or not form_named(model).has_weights
    recipe = replace(recipe, backbone=model if keeps_model else FROM_SCRATCH, seed=seed)
    folder = settings().cache_dir / "trainings" / project.slug / training
    data = _training_data(manifest, weights, folder)
    hardware = detected(settings().training_devices, settings().training_nodes)
    resume_from = _last_checkpoint(project, training, folder)
    weights_path = weights.path if weights else None
    if hardware.node_rank > 0:
        join_training(recipe, data, weights_path, folder, hardware, resume_from=resume_from)
        return ""
    run_id = registry.run_of_training(project, training)
    progress.record(
        **{"metrics.mlflow": {"experiment": registry.experiment_id(project), "run": run_id}}
    )
    if tune:
        from tasks.tuning import Search, tuned_recipe  # Optuna is not needed by most trainings

        search = Search(progress, training, run_id, tune, budget_seconds)
        recipe = tuned_recipe(search, manifest, recipe, data, weights_path, folder)
        budget_seconds = max(budget_seconds - round(time.monotonic() - started), 0)
    trained = train(
        recipe,
        data,
        weights_path,
        folder,
        resume_from=resume_from,
        on_epoch=_reporter(progress, 0.65 if tune else 0.05),
        on_checkpoint=lambda path: storage.put_file(
            ProjectKeys(project).checkpoint(training, LAST_CHECKPOINT), path
        ),
        loggers=[registry.lightning_logger(project, run_id)],
        budget_seconds=budget_seconds,
        hardware=hardware,
    )
    progress.within(Stage.TRAIN, 0.97, "packing the trained model")
    model_version = _publish(manifest, version, recipe, trained, data)
    chosen = {"best_epoch": trained.best_epoch, "tuned_share": trained.tuned_share}
    registry.finish_training(run_id, model_version, recipe.as_dict() | chosen)
    seconds = round(time.monotonic() - started, 2)
    storage.put_json(
        ProjectKeys(project).training_record(model_version),
        {"recipe": recipe.as_dict(), "seconds": seconds} | chosen,
    )
    record_version(project, training, model_version)
    progress.record(**{"metrics.training_seconds": seconds})
    shutil.rmtree(folder, ignore_errors=True)  # decoded pixels are 150 kB a picture
    return model_version


def _weights(model: str, kind: Kind) -> Weights | None:
    """Pretrained weights, or None where the model has to learn from scratch.

    The draft has told the uploader; here it goes to this flow run's log.
    """
    weights = find_weights(model)
    if weights is None and form_named(model).has_weights:
        get_run_logger().warning(NO_WEIGHTS[kind])
    return weights


def _training_data(manifest: Manifest, weights: Weights | None, folder: Path) -> TrainingData:
    learn, check = manifest.select(Split.TRAIN), manifest.select(Split.VALIDATION)
    tokenizer = weights.tokenizer if weights else None
    if tokenizer is not None:
        with storage.replacing(folder / TOKENIZER_FILE) as partial:
            partial.write_bytes(tokenizer)
    return TrainingData(
        train_sources=examples.sources(manifest, learn),
        train_labels=[example.class_index for example in learn],
        validation_sources=examples.sources(manifest, check),
        validation_labels=[example.class_index for example in check],
        classes=manifest.classes,
        tokenizer=folder / TOKENIZER_FILE if tokenizer is not None else None,
    )


def _last_checkpoint(project: Project, training: str, folder: Path) -> Path | None:
    """What an earlier attempt saved; S3 has it whole even if that machine died while writing."""
    path = folder / "resume.ckpt"
    key = ProjectKeys(project).checkpoint(training, LAST_CHECKPOINT)
    if not storage.fetch_file(key, path):
        return None
    get_run_logger().info("going on from the last checkpoint")
    return path


def _reporter(progress: Progress, begin: float) -> Callable[[EpochResult], None]:
    """Each epoch in the job's metrics and in Prefect; MLflow hears of it through its logger."""
    bar = cast(
        "UUID", create_progress_artifact(0.0, key="training", description="epochs of fine-tuning")
    )

    def report(result: EpochResult) -> None:
        done = result.epoch / max(result.epochs, 1)
        message = (
            f"epoch {result.epoch} of {result.epochs}: right on {result.val_accuracy:.1%} "
            "of the validation examples"
        )
        progress.epoch(asdict(result), begin + (0.95 - begin) * done, message)
        try:
            update_progress_artifact(bar, 100 * done, message)
        except httpx.HTTPError as error:  # training outlives a server that is away for a while
            get_run_logger().warning("Prefect does not hear of this epoch: %s", error)

    return report


def _publish(
    manifest: Manifest, version: str, recipe: Recipe, trained: Trained, data: TrainingData
) -> str:
    """Export the best epoch, check it against torch on real examples, and store the bundle."""
    classifier, _ = load_best(trained.best_checkpoint)
    preprocessing = zoo.backbone_named(recipe.backbone).preprocessing
    graph = export_onnx(classifier, preprocessing)
    tokenizer = data.tokenizer.read_bytes() if data.tokenizer else None
    truth = np.array(data.validation_labels)
    card = ModelCard(
        kind=manifest.kind,
        classes=manifest.classes,
        preprocessing=preprocessing,
        dataset_version=version,
        backbone=recipe.backbone,
        recipe="tuned",
        temperature=calibration.fit_temperature(trained.held_out_logits, truth),
    )
    predictor = Predictor(card, graph, threads=2, tokenizer=tokenizer)
    some = predictor.read(data.validation_sources[:_PARITY]).rows
    metrics = {
        "validation_accuracy": trained.val_accuracy,
        PARITY_METRIC: parity_error(classifier, graph, some),
    }
    card, graph = finished(
        replace(card, metrics=metrics),
        graph,
        tokenizer,
        LearntExamples(
            [*data.train_sources, *data.validation_sources],
            np.array([*data.train_labels, *data.validation_labels]),
            np.arange(len(data.train_labels) + len(truth)) >= len(data.train_labels),
        ),
    )
    return bundles.publish_bundle(manifest.project, card, graph, tokenizer).model_version
