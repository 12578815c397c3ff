"""Labels that the examples themselves speak against, for people to look at."""

from prefect import task
from prefect.artifacts import create_table_artifact

from contracts.errors import NotFound
from contracts.identity import Project
from contracts.keys import LABEL_CHECK, ProjectKeys
from contracts.manifest import Manifest, Split
from models import tfidf
from models.label_errors import LabelCheck, check_labels
from tasks import bundles, clients, drafting, examples, storage
from tasks.progress import Progress


# No retry: it is computation; its result is stored, so a rerun of the flow reads it.
@task
def find_label_errors(
    project: Project, model_version: str, dataset_version: str, progress: Progress
) -> LabelCheck:
    """Look at every label of a data set once, by the features that its draft was made of.

    Only those of the test part are still to be computed. The endpoint serves by then.
    """
    key = ProjectKeys(project).report(dataset_version, LABEL_CHECK)
    try:
        check = LabelCheck.from_json(storage.get(key))
    except NotFound:
        backbone = bundles.read_card(project, model_version).backbone
        manifest = storage.read_manifest(project, dataset_version)
        check = _with_sources(_checked(manifest, backbone, progress), manifest)
        storage.put(key, check.to_json(), "application/json")
    if clients.state().project(project).dataset_version == dataset_version:
        clients.state().update_project(project, **{"report.labels": check.summary()})
    create_table_artifact(
        [
            {
                "example": error.text or error.name,
                "part": error.split,
                "label": error.given,
                "looks like": f"{error.likelier} {error.likelier_probability:.0%}",
            }
            for error in check.errors
        ],
        key="labels",
        description=f"{check.found:,} of {check.examined:,} labels are worth a second look",
    )
    return check


def _with_sources(check: LabelCheck, manifest: Manifest) -> LabelCheck:
    known = {example.sha256: example for example in manifest.examples if example.split}
    wanted = [known[error.sha256] for error in check.errors]
    return check.with_sources(examples.sources(manifest, wanted))


def _checked(manifest: Manifest, backbone: str, progress: Progress) -> LabelCheck:
    """Every example that is used, of whatever split."""
    chosen = [example for split in Split for example in manifest.select(split)]
    frozen = drafting.encoder_of_draft(manifest.kind, backbone)
    if frozen is None:
        texts = [str(source) for source in examples.sources(manifest, chosen)]
        counted = tfidf.features(texts, len(manifest.classes))
        return check_labels(chosen, manifest.classes, counted, tfidf.CANDIDATES)
    features = drafting.features_of(manifest, chosen, frozen, progress)
    return check_labels(chosen, manifest.classes, features)
