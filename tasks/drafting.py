"""The draft: frozen features and a linear head, without loading torch."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from prefect import task
from prefect.logging import get_run_logger

from contracts.bundle import ModelCard, Preprocessing
from contracts.errors import NotFound
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Example, Split
from contracts.status import Stage
from models import calibration, draft, encoder
from tasks import bundles, storage
from tasks.progress import Progress
from tasks.settings import settings
from tasks.weights import Encoder, find_encoder

PIXELS = "pixels"
NO_WEIGHTS = (
    "no pretrained weights could be reached (folder, bucket, hub): "
    "the draft looks at plain pixels and the model is trained from scratch"
)


@dataclass(frozen=True)
class _Frozen:
    """An encoder and what it expects."""

    encoder_id: str
    backbone: str
    path: Path
    preprocessing: Preprocessing


# No retry: it is computation; the features are stored, so a rerun of the flow reads them.
@task
def draft_model(project: Project, version: str, model: str, progress: Progress) -> str:
    """Fit a linear head on frozen features, store the bundle, return its model version."""
    manifest = storage.read_manifest(project, version)
    frozen = _frozen_encoder(model, progress)
    examples = manifest.select(Split.TRAIN) + manifest.select(Split.VALIDATION)
    features = _features(project, frozen, examples, progress)
    labels = np.array([example.class_index for example in examples])
    is_validation = np.array([example.split is Split.VALIDATION for example in examples])
    head = draft.fit_head(features, labels, is_validation, len(manifest.classes))
    card = ModelCard(
        kind=manifest.kind,
        classes=manifest.classes,
        preprocessing=frozen.preprocessing,
        dataset_version=version,
        backbone=frozen.backbone,
        recipe="draft",
        temperature=calibration.fit_temperature(head.held_out_logits, head.held_out_labels),
        metrics={"validation_accuracy": head.validation_accuracy},
    )
    return bundles.publish_bundle(
        project, card, draft.draft_graph(frozen.path.read_bytes(), head)
    ).model_version


def _frozen_encoder(model: str, progress: Progress) -> _Frozen:
    found: Encoder | None = find_encoder(model)
    if found:
        return _Frozen(found.encoder_id, model, found.path, Preprocessing())
    progress.within(Stage.DRAFT, 0.05, NO_WEIGHTS)
    get_run_logger().warning(NO_WEIGHTS)
    path = settings().cache_dir / "weights" / "pixels.onnx"
    with storage.replacing(path) as partial:
        partial.write_bytes(encoder.pixel_encoder())
    return _Frozen(PIXELS, PIXELS, path, encoder.PIXELS)


def _features(
    project: Project,
    frozen: _Frozen,
    examples: list[Example],
    progress: Progress,
) -> NDArray[np.float32]:
    """Features in the order of `examples`, (n, d); only pictures never seen before are computed."""
    known = _stored_features(project, frozen.encoder_id)
    missing = sorted({e.sha256 for e in examples} - known.keys())
    if missing:
        storage.fetch_examples(project, missing)
        computed = encoder.extract(
            frozen.path,
            [storage.local_path(project, sha256) for sha256 in missing],
            frozen.preprocessing,
            on_progress=lambda done, total: progress.within(
                Stage.DRAFT, done / total, f"looking at {total:,} pictures"
            ),
        )
        known |= dict(zip(missing, computed, strict=True))
        _store_features(project, frozen.encoder_id, known)
    return np.stack([known[example.sha256] for example in examples])


def _store_features(
    project: Project, encoder_id: str, features: dict[str, NDArray[np.float32]]
) -> None:
    """One file per project and encoder, by content hash, so that it serves every version."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        sha256=np.array(list(features)),
        features=np.stack(list(features.values())).astype(np.float16),
    )
    storage.put(ProjectKeys(project).features(encoder_id), buffer.getvalue())


def _stored_features(project: Project, encoder_id: str) -> dict[str, NDArray[np.float32]]:
    try:
        data = storage.get(ProjectKeys(project).features(encoder_id))
    except NotFound:
        return {}
    stored = np.load(io.BytesIO(data), allow_pickle=False)
    return dict(zip(stored["sha256"].tolist(), stored["features"].astype(np.float32), strict=True))
