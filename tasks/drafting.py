"""The draft: frozen features and a linear head, without loading torch."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from prefect import task
from prefect.logging import get_run_logger

from contracts.bundle import ModelCard, Preprocessing, TextPreprocessing
from contracts.errors import NotFound
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Example, Kind, Manifest, Split
from contracts.requests import DEFAULT_MODELS
from contracts.status import Stage
from models import calibration, draft, encoder, tfidf
from models.backbones import form_named
from serving.readers import Reader, Source, reader_of
from tasks import bundles, examples, storage
from tasks.finishing import LearntExamples, finished
from tasks.progress import Progress
from tasks.settings import settings
from tasks.weights import find_encoder

PIXELS = "pixels"
TFIDF = "tfidf"
NO_WEIGHTS = {
    Kind.IMAGE: "no pretrained weights could be reached (folder, bucket, hub): "
    "the draft looks at plain pixels and the model is trained from scratch",
    Kind.TEXT: "no sentence encoder could be reached (folder, bucket, package, hub): "
    "the model counts words, and there is nothing to fine-tune",
}
BASELINE = "baseline_validation_accuracy"


@dataclass(frozen=True)
class Frozen:
    """A frozen encoder and what it expects."""

    encoder_id: str
    backbone: str
    path: Path
    preprocessing: Preprocessing | TextPreprocessing
    tokenizer: bytes | None = None

    @property
    def reader(self) -> Reader:
        return reader_of(self.preprocessing, self.tokenizer)


@dataclass(frozen=True)
class _Learnt:
    """What the draft learns from: the training and the validation part."""

    manifest: Manifest
    version: str
    examples: list[Example]

    @property
    def labels(self) -> NDArray[np.int64]:
        return np.array([example.class_index for example in self.examples])

    @property
    def is_validation(self) -> NDArray[np.bool_]:
        return np.array([example.split is Split.VALIDATION for example in self.examples])

    def sources(self) -> list[Source]:
        return examples.sources(self.manifest, self.examples)


# No retry: it is computation; the features are stored, so a rerun of the flow reads them.
@task
def draft_model(project: Project, version: str, model: str, progress: Progress) -> str:
    """Fit a linear head on frozen features, store the bundle, return its model version.

    For text, word counts are fitted as well: they are the baseline, and all there is where no
    encoder can be reached.
    """
    manifest = storage.read_manifest(project, version)
    model = model or DEFAULT_MODELS[manifest.kind]
    learnt = _Learnt(manifest, version, _parts(manifest))
    if manifest.kind is Kind.IMAGE:
        frozen = frozen_encoder(model) or _pixel_encoder(model, progress)
        return _publish_draft(learnt, frozen, progress, {})
    counted = _count_words(learnt)
    progress.record(**{f"metrics.{BASELINE}": counted.head.validation_accuracy})
    if found := frozen_encoder(model):
        baseline = {BASELINE: counted.head.validation_accuracy}
        return _publish_draft(learnt, found, progress, baseline)
    _say_that_nothing_is_pretrained(Kind.TEXT, progress)
    return _publish_counted(learnt, counted)


def counted_model(manifest: Manifest, version: str) -> str:
    """Fit word counts and store them; the same data gives the same version."""
    learnt = _Learnt(manifest, version, _parts(manifest))
    return _publish_counted(learnt, _count_words(learnt))


def _parts(manifest: Manifest) -> list[Example]:
    return manifest.select(Split.TRAIN) + manifest.select(Split.VALIDATION)


def _count_words(learnt: _Learnt) -> tfidf.TfIdfModel:
    """Fit TF-IDF and logistic regression."""
    texts = [text for text in learnt.sources() if isinstance(text, str)]
    classes = len(learnt.manifest.classes)
    return tfidf.fit_tfidf(texts, learnt.labels, learnt.is_validation, classes)


def _publish_counted(learnt: _Learnt, counted: tfidf.TfIdfModel) -> str:
    """Store a model of word counts; return its version."""
    card = _card(learnt, tfidf.PREPROCESSING, TFIDF, counted.head, {})
    return bundles.publish_bundle(
        learnt.manifest.project, card, counted.graph, counted.tokenizer
    ).model_version


def _publish_draft(
    learnt: _Learnt, frozen: Frozen, progress: Progress, metrics: dict[str, float]
) -> str:
    features = features_of(learnt.manifest, learnt.examples, frozen, progress)
    labels, classes = learnt.labels, len(learnt.manifest.classes)
    head = draft.fit_head(features, labels, learnt.is_validation, classes)
    graph = draft.draft_graph(frozen.path.read_bytes(), head)
    card = _card(learnt, frozen.preprocessing, frozen.backbone, head, metrics)
    is_text = learnt.manifest.kind is Kind.TEXT
    known = LearntExamples(learnt.sources() if is_text else [], learnt.labels, learnt.is_validation)
    card, graph = finished(card, graph, frozen.tokenizer, known, features)
    return bundles.publish_bundle(
        learnt.manifest.project, card, graph, frozen.tokenizer
    ).model_version


def _card(
    learnt: _Learnt,
    preprocessing: Preprocessing | TextPreprocessing,
    backbone: str,
    head: draft.LinearHead,
    metrics: dict[str, float],
) -> ModelCard:
    return ModelCard(
        kind=learnt.manifest.kind,
        classes=learnt.manifest.classes,
        preprocessing=preprocessing,
        dataset_version=learnt.version,
        backbone=backbone,
        recipe="draft",
        temperature=calibration.fit_temperature(head.held_out_logits, head.held_out_labels),
        metrics={"validation_accuracy": head.validation_accuracy} | metrics,
    )


def frozen_encoder(model: str) -> Frozen | None:
    """The encoder of a backbone with its published weights, where they can be had."""
    found = find_encoder(model)
    if found is None:
        return None
    form = form_named(model)  # of a model of the hub, known once it is here
    return Frozen(found.encoder_id, model, found.path, form.preprocessing, found.tokenizer)


def encoder_of_draft(kind: Kind, backbone: str) -> Frozen | None:
    """What a draft, or that of a trained model, looked through; None where it counted words."""
    found = None if backbone in {PIXELS, TFIDF} else frozen_encoder(backbone)
    return found or (_pixels() if kind is Kind.IMAGE else None)


def _pixel_encoder(model: str, progress: Progress) -> Frozen:
    if form_named(model).has_weights:
        _say_that_nothing_is_pretrained(Kind.IMAGE, progress)
    return _pixels()


def _pixels() -> Frozen:
    path = settings().cache_dir / "weights" / "pixels.onnx"
    with storage.replacing(path) as partial:
        partial.write_bytes(encoder.pixel_encoder())
    return Frozen(PIXELS, PIXELS, path, encoder.PIXELS)


def _say_that_nothing_is_pretrained(kind: Kind, progress: Progress) -> None:
    progress.within(Stage.DRAFT, 0.05, NO_WEIGHTS[kind])
    get_run_logger().warning(NO_WEIGHTS[kind])


def features_of(
    manifest: Manifest, chosen: Sequence[Example], frozen: Frozen, progress: Progress
) -> NDArray[np.float32]:
    """Features in the order of the examples, (n, d); only those never seen before are computed."""
    project = manifest.project
    known = _stored_features(project, frozen.encoder_id)
    missing = {e.sha256: e for e in chosen if e.sha256 not in known}
    if missing:
        nouns = "texts" if manifest.kind is Kind.TEXT else "pictures"
        computed = encoder.extract(
            frozen.path,
            examples.sources(manifest, list(missing.values())),
            frozen.reader,
            on_progress=lambda done, total: progress.within(
                progress.current, done / total, f"looking at {total:,} {nouns}"
            ),
        )
        known |= dict(zip(missing, computed, strict=True))
        _store_features(project, frozen.encoder_id, known)
    return np.stack([known[example.sha256] for example in chosen])


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
