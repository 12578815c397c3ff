"""Scoring bundles as they are served, on the frozen test split."""

from prefect import task

from contracts.errors import InvalidRequest, NotFound
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Split
from models.evaluation import Evaluation, evaluate
from serving.predictor import Predictor
from tasks import bundles, examples, storage


# No retry: it is computation; its result is stored, so a rerun of the flow reads it.
@task(timeout_seconds=1_800)
def score(project: Project, model_version: str, dataset_version: str) -> Evaluation:
    """A bundle's answers on a dataset version's test split, computed once."""
    key = ProjectKeys(project).evaluation(model_version, dataset_version)
    try:
        return Evaluation.from_json(storage.get(key))
    except (NotFound, InvalidRequest):
        pass  # the latter: stored by a version that kept less
    manifest = storage.read_manifest(project, dataset_version)
    test = manifest.select(Split.TEST)
    folder = bundles.fetch_bundle(project, model_version)
    evaluation = evaluate(
        Predictor.load(folder),
        manifest_version=dataset_version,
        examples=test,
        sources=examples.sources(manifest, test),
        bundle_size_bytes=bundles.size_bytes(folder),
    )
    storage.put(key, evaluation.to_json(), "application/json")
    return evaluation


def feedback_of(project: Project, dataset_version: str) -> frozenset[str]:
    """Content hashes of the examples that came as feedback, chosen for what a model answered."""
    manifest = storage.read_manifest(project, dataset_version)
    return frozenset(example.sha256 for example in manifest.examples if example.is_feedback)
