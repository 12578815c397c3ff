"""What the control API answers, as JSON Schemas. Times are seconds since the epoch."""

from contracts import schema
from contracts.estimate import Estimate
from contracts.limits import Limits
from contracts.manifest import Kind
from contracts.quotas import Quotas
from contracts.request_schemas import class_name, identifier, name, settings, sha256
from contracts.schema import Schema
from contracts.status import Job
from lambdas.feedback import Feedback
from lambdas.state import ReleaseRecord, VersionRecord


def error() -> Schema:
    """Every refusal and failure of our own."""
    fields = {
        "code": schema.text("For programs.", examples=["not_found"]),
        "message": schema.text("What was received and the rule that it breaks."),
        "fix": schema.text("What to do about it."),
        "details": schema.listed(schema.text()),
        "retry_after_seconds": schema.number("As the header Retry-After says it."),
    }
    optional = ["details", "retry_after_seconds"]
    inner = schema.record("ErrorDetails", fields, optional)
    return schema.record("Error", {"error": inner})


def gateway_refusal() -> Schema:
    """What the gateway says before our code runs."""
    return schema.record("GatewayRefusal", {"message": schema.text()})


def limits() -> Schema:
    """Data rules."""
    return schema.of(Limits)


def account() -> Schema:
    """Who asks, and what he has of his quotas."""
    names = ("projects", "stored_bytes", "trainings_today", "jobs")
    used = schema.record("Used", {name: {"type": "integer"} for name in names})
    link = schema.text("Empty where there is none.")
    links = schema.record("Links", {"prefect": link, "mlflow": link})
    fields = {"user": name(), "quotas": schema.of(Quotas), "used": used, "links": links}
    return schema.record("Account", fields)


def project() -> Schema:
    """What lists show of a project; strings are empty as long as there is nothing."""
    fields = {
        "project": name(),
        "kind": schema.one_of(Kind),
        "classes": schema.listed(class_name()),
        "created_at": schema.number(),
        "last_job": schema.text(),
        "dataset_version": schema.text(),
        "model_version": schema.text("Live."),
        "endpoint": schema.text("Where the live model answers."),
        "metrics": _metrics(),
        "settings": schema.record("Settings", settings()),
    }
    return schema.record("Project", fields)


def created_project() -> Schema:
    """With the endpoint's key, which is shown this once."""
    return schema.joined("CreatedProject", project(), _key())


def new_key() -> Schema:
    """A key that replaces those before."""
    return schema.joined("NewKey", schema.record("", {"project": name()}), _key())


def projects() -> Schema:
    """By name."""
    return schema.record("Projects", {"projects": schema.listed(project())})


def project_details() -> Schema:
    """A project with all that belongs to it."""
    more = {
        "report": schema.free("What was found in the data."),
        "jobs": schema.listed(job_summary(), "The latest, newest first."),
        "versions": schema.listed(version(), "Promoted ones, newest first."),
        "releases": schema.listed(release(), "What was live when; the latest."),
        "limits": limits(),
    }
    return schema.joined("ProjectDetails", project(), schema.record("", more))


def upload() -> Schema:
    """Where to send what is not stored yet."""
    count = _count()
    answer = {
        "upload": identifier("For the next batch, and for the training."),
        "files": count | {"description": "Different contents in this call."},
        "stored": count | {"description": "Of them, there already."},
        "posts": schema.listed(_post()),
    }
    return schema.record("Upload", answer)


def job() -> Schema:
    """One training."""
    return schema.of(
        Job,
        project=name(),
        estimate={"anyOf": [schema.of(Estimate), _nothing()]},
        failure={"anyOf": [error()["properties"]["error"], _nothing()]},
        metrics=schema.free("So far."),
        decision=schema.free("Whether the model was promoted, and why."),
        approval=schema.free("What a person was asked before the release, and has answered."),
    )


def approval_answer() -> Schema:
    """What was said of a model that waits to be released."""
    fields = {"project": name(), "job_id": schema.text(), "approve": schema.truth()}
    return schema.record("ApprovalAnswer", fields)


def job_summary() -> Schema:
    """What lists show of a job."""
    wanted = ("job_id", "state", "stage", "progress", "message", "created_at", "updated_at")
    return schema.picked(job(), "JobSummary", (*wanted, "model_version", "approval", "failure"))


def jobs() -> Schema:
    """Newest first."""
    return schema.record("Jobs", {"jobs": schema.listed(job_summary())})


def training() -> Schema:
    """A started training, and how each table of text will be read."""
    column = schema.maybe(schema.text())
    columns = {
        "text": schema.text(),
        "label": column,
        "split": column,
        "delimiter": schema.text(),
        "header": schema.truth(),
        "encoding": schema.text(),
    }
    table = {
        "name": schema.text(),
        "class": schema.maybe(schema.text()),
        "columns": schema.record("Columns", columns),
        "labels": schema.maybe(
            schema.by_name(_count(), "Different texts of each, where the table is small.")
        ),
    }
    feedback = {"examples": _count(), "new": _count(), "left_out": _count()}
    fields = {
        "job": job(),
        "tables": schema.listed(schema.record("Table", table)),
        "feedback": schema.record("FeedbackLearnt", feedback),
    }
    return schema.record("Training", fields, optional=["tables", "feedback"])


def readiness() -> Schema:
    """Whether a training would start. What is not known where it would not is left out."""
    known = training()["properties"]
    fields = {
        "can_train": schema.truth(),
        "problem": error()["properties"]["error"],
        "estimate": schema.of(Estimate),
        "examples": _count() | {"description": "Pictures, or likely rows of text."},
        "tables": known["tables"],
        "feedback": known["feedback"],
        "running": schema.text("The job of the same that has not ended yet; the call attaches."),
        "trained": schema.text("The job that has learnt the same; `again` trains anew."),
    }
    optional = ["problem", "estimate", "tables", "feedback"]
    return schema.record("Readiness", fields, optional)


def examples() -> Schema:
    """A page of what the next training learns from."""
    place = {
        "sha256": sha256("Of the content."),
        "class": _class_or_none(),
        "name": schema.text("As it was announced; never a path."),
    }
    file = place | {
        "size_bytes": _count(),
        "content_type": schema.text(),
        "text_column": schema.text("Of a table, as it was announced."),
        "label_column": schema.text("Of a table, as it was announced."),
        "url": schema.text("Good for a quarter of an hour."),
    }
    fields = {
        "upload": schema.text("The newest one; empty before the first."),
        "kind": schema.one_of(Kind),
        "total": _count() | {"description": "Of all classes together."},
        "classes": _class_counts(),
        "files": schema.listed(schema.record("Example", file), "By name."),
        "next": schema.maybe(_count()) | {"description": "The `offset` of the next page."},
        "missing": schema.listed(schema.record("", place), "Not stored; the first of them."),
        "missing_total": _count(),
    }
    return schema.record("Examples", fields, optional=["missing", "missing_total"])


def examples_changed() -> Schema:
    """What there is after a change."""
    fields = {"upload": schema.text("That the next training takes."), "classes": _class_counts()}
    return schema.record("ExamplesChanged", fields)


def example_links() -> Schema:
    """By content, whether it is stored or not."""
    return schema.record("ExampleLinks", {"links": schema.by_name(schema.text())})


def _class_counts() -> Schema:
    fields = {
        "name": class_name(),
        "examples": _count() | {"description": "Different ones; of text: tables."},
        "size_bytes": _count(),
    }
    return schema.listed(schema.record("ClassCount", fields), "In their order, empty ones too.")


def _class_or_none() -> Schema:
    return class_name() | {"minLength": 0, "description": "Empty: a table that names its classes."}


def feedback_count() -> Schema:
    """How many examples were given as feedback."""
    fields = {
        "feedback": _count() | {"description": "In all."},
        "new": _count() | {"description": "Since the last training."},
    }
    return schema.record("FeedbackCount", fields)


def feedback_stored() -> Schema:
    """A label that was kept."""
    more = {
        "stored": schema.truth(),
        "sha256": sha256("By which the example is known."),
        "label": class_name(),
        "training": schema.truth("Whether there are now enough for a training by itself."),
    }
    return schema.joined("FeedbackStored", feedback_count(), schema.record("", more))


def feedback_awaited() -> Schema:
    """Where to send the picture; then the same call again."""
    more = schema.record("", {"stored": schema.truth(), "post": _post()})
    return schema.joined("FeedbackAwaited", feedback_count(), more)


def feedback() -> Schema:
    """Newest first."""
    example = schema.of(Feedback, text=schema.text("Its beginning."))
    more = {
        "examples": schema.listed(example),
        "next": schema.maybe(_count()) | {"description": "The `before` of the next page."},
    }
    return schema.joined("FeedbackList", feedback_count(), schema.record("", more))


def version() -> Schema:
    """A promoted model version."""
    return schema.of(VersionRecord, "Version", metrics=_metrics())


def release() -> Schema:
    """A change of what is live, or a version that was withdrawn before it was."""
    counts = schema.free("What each version had answered, where that decided.")
    return schema.of(ReleaseRecord, "Release", answers=counts)


def releases() -> Schema:
    """All of them, newest first."""
    fields = {"project": name(), "releases": schema.listed(release())}
    return schema.record("Releases", fields)


def rolled_back() -> Schema:
    """What is live now."""
    place = schema.record("", {"project": name(), "endpoint": schema.text()})
    return schema.joined("RolledBack", place, version())


def bundle() -> Schema:
    """A link to the live model, good for a quarter of an hour."""
    return schema.record("Bundle", {"model_version": schema.text(), "url": schema.text()})


def model() -> Schema:
    """A model version, promoted or not."""
    evaluation = {"dataset_version": schema.text(), "scored_at": schema.number()}
    fields = {
        "model_version": schema.text(),
        "made_at": schema.number(),
        "is_live": schema.truth(),
        "evaluations": schema.listed(schema.record("Evaluation", evaluation)),
    }
    return schema.record("Model", fields)


def models() -> Schema:
    """Newest first."""
    return schema.record("Models", {"models": schema.listed(model())})


def model_details() -> Schema:
    """A model version with links, good for a quarter of an hour."""
    link = schema.text()
    links = schema.record("", {"url": link, "manifest_url": link})
    evaluation = model()["properties"]["evaluations"]["items"]
    more = {
        "card_url": link,
        "training_url": schema.maybe(link),
        "evaluations": schema.listed(schema.joined("EvaluationLinks", evaluation, links)),
    }
    return schema.joined("ModelDetails", model(), schema.record("", more))


def report() -> Schema:
    """Links to pages, good for a quarter of an hour."""
    link = schema.text()
    of_model = {"model_version": schema.text(), "url": link, "json_url": link}
    fields = {
        "dataset_version": schema.text(),
        "url": link,
        "model": schema.maybe(schema.record("ModelReport", of_model)),
    }
    return schema.record("Report", fields)


def _post() -> Schema:
    fields = schema.by_name(schema.text(), "Form fields, to be sent before the file.")
    return schema.record(
        "PresignedPost",
        {"sha256": sha256("Of the content it takes."), "url": schema.text(), "fields": fields},
    )


def _count() -> Schema:
    return {"type": "integer", "minimum": 0}


def receipt() -> Schema:
    """A deletion, under way or done."""
    fields = {
        "receipt_id": identifier("Of the deletion."),
        "project": name(),
        "started_at": schema.number(),
        "updated_at": schema.number(),
        "finished_at": schema.number("0 as long as it is under way."),
        "swept_again_at": schema.number(),
        "progress": schema.number("0..1"),
        "message": schema.text(),
        "counts": schema.by_name({"type": "integer"}, "How much of what has gone."),
        "stays": schema.listed(schema.text(), "What is kept elsewhere, and how long."),
        "failure": {"anyOf": [error()["properties"]["error"], _nothing()]},
        "is_done": schema.truth("Whether the project is gone."),
    }
    return schema.record("Receipt", fields)


def receipts() -> Schema:
    """Newest first."""
    return schema.record("Receipts", {"receipts": schema.listed(receipt())})


def _key() -> Schema:
    return schema.record("", {"key": schema.text("Opens the endpoint; shown once.")})


def _metrics() -> Schema:
    fields = {
        "accuracy": schema.number("On the test part, 0..1."),
        "interval": schema.listed(schema.number(), "Within which the true accuracy likely is."),
        "sentence": schema.text("The same in words."),
        "test_examples": {"type": "integer"},
        "per_class_recall": schema.by_name(schema.number()),
        "latency_ms": schema.number(),
    }
    body = schema.record("Metrics", fields, optional=fields)
    return body | {"additionalProperties": True}


def _nothing() -> Schema:
    return {"type": "object", "maxProperties": 0}
