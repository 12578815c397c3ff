"""A model's report, where people and programs find it: in storage, in MLflow and in Prefect."""

from functools import partial

from prefect import task
from prefect.artifacts import create_markdown_artifact

from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Split
from models.evaluation import Evaluation
from models.label_errors import LabelCheck
from models.model_report import ModelReport, model_report
from models.report_page import markdown_text
from serving.explanation import explain
from serving.predictor import Predictor
from tasks import bundles, examples, registry, storage
from tasks.progress import Progress


# Retries: storage and the tracking server may be starting again; every step may be repeated.
@task(retries=3, retry_delay_seconds=[1, 3, 10])
def publish_model_report(
    project: Project, evaluation: Evaluation, labels: LabelCheck, progress: Progress
) -> None:
    """Write the page and its figures. The endpoint serves by then."""
    manifest = storage.read_manifest(project, evaluation.dataset_version)
    predictor = Predictor.load(bundles.fetch_bundle(project, evaluation.model_version))
    card = predictor.card
    epochs = progress.job().metrics.get("epochs", []) if progress.job_id else []
    report = model_report(
        project.slug,
        evaluation,
        card.backbone,
        card.temperature,
        card.rejection_threshold is not None,
        manifest.select(Split.TEST),
        lambda chosen: examples.sources(manifest, chosen),
        partial(explain, predictor),
        () if card.recipe == "draft" else epochs,
        labels,
    )
    page, keys = report.as_html(), ProjectKeys(project)
    versions = (evaluation.model_version, evaluation.dataset_version)
    storage.put(keys.model_report(*versions, "html"), page.encode(), "text/html")
    storage.put_json(keys.model_report(*versions, "json"), report.as_dict())
    registry.log_report(project, evaluation.model_version, page, report.ece)
    create_markdown_artifact(_markdown(report), key="model", description=report.model_version)


def _markdown(report: ModelReport) -> str:
    rows = [
        f"| {markdown_text(c.name)} | {c.examples} | {c.recall:.1%} | {c.precision:.1%} "
        f"| {c.f1:.3f} |"
        for c in report.classes
    ]
    head = [
        "| class | test examples | recall | precision | F1 |",
        "| --- | --- | --- | --- | --- |",
    ]
    calibration = (
        f"Expected calibration error {report.ece:.1%}, "
        f"{report.ece_unscaled:.1%} before temperature scaling."
    )
    labels = (
        f"{report.labels.found:,} of {report.labels.examined:,} labels are worth a second look."
    )
    return "\n".join([f"# {report.sentence}", "", *head, *rows, "", calibration, "", labels])
