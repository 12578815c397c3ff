"""What the commands print for people; all of it may hold other people's text."""

import shlex
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.errors import ExemplarError
from contracts.manifest import Kind
from deployments.folder import LabelledFolder
from deployments.job_logs import LogLine
from deployments.printable import printable
from deployments.progress import money
from deployments.remote_job import RemoteJob, TrainResult

if TYPE_CHECKING:
    from deployments.local_evaluation import EvaluationResult
    from deployments.suggestions import SuggestResult

_DETAILS_SHOWN = 20
_SKIPPED_SHOWN = 5
_TEXT_SHOWN = 80


def say(console: Console, line: str, style: str = "") -> None:
    """One line as it is: no markup, and no break inside an address or a command."""
    console.print(Text(printable(line), style=style), soft_wrap=True)


def show_error(console: Console, error: ExemplarError) -> None:
    """What is wrong, the list of places, and what to do."""
    say(console, f"error: {error.message}", "bold red")
    _show_reasons(console, error.details, error.fix)


def show_folder(console: Console, folder: LabelledFolder) -> None:
    """How many pictures of which classes, or how tables are read; what was left out why."""
    if folder.kind is Kind.TEXT:
        show_tables(console, folder)
    else:
        _show_classes(console, folder)
    for skipped in folder.skipped[:_SKIPPED_SHOWN]:
        say(console, f"  skipped {skipped.name}: {skipped.reason}", "dim")
    if len(folder.skipped) > _SKIPPED_SHOWN:
        say(console, f"  skipped {len(folder.skipped) - _SKIPPED_SHOWN:,} more", "dim")


def _show_classes(console: Console, folder: LabelledFolder) -> None:
    names = ", ".join(folder.classes[:10]) + (" …" if len(folder.classes) > 10 else "")
    say(console, f"{len(folder.files):,} pictures in {len(folder.classes)} classes: {names}")


def show_tables(console: Console, folder: LabelledFolder) -> None:
    for file, columns in zip(folder.files, folder.columns, strict=True):
        found = columns.as_dict()
        label = f"class {file.class_name!r}" if file.class_name else f"labels in {found['label']!r}"
        what = "a text on each line" if not columns.delimiter else f"texts in {found['text']!r}"
        details = [what, label, found["encoding"]]
        if columns.delimiter:
            details.insert(2, f"{found['delimiter']} between columns")
        say(console, f"{file.name}: {', '.join(details)}")


def show_learnt_feedback(console: Console, feedback: dict[str, Any]) -> None:
    """What a training takes from feedback."""
    if not feedback:
        return
    new, examples, left_out = (feedback[name] for name in ("new", "examples", "left_out"))
    line = f"training with {new:,} new {'example' if new == 1 else 'examples'}"
    say(console, f"{line} from feedback ({examples:,} in all)")
    if left_out:
        say(console, f"  left out {left_out:,}: their classes are no longer there", "dim")


def show_result(console: Console, result: TrainResult) -> None:
    """The sentence, the decision, the endpoint and how to try it; or why there is none."""
    if result.failure:
        say(console, f"failed: {result.failure.get('message', '')}", "bold red")
        _show_reasons(console, result.failure.get("details"), result.failure.get("fix"))
        return
    if result.is_failure:
        say(console, f"job {result.job_id} was {result.state}", "bold red")
        return
    if result.sentence or result.accuracy is not None:
        say(console, _accuracy_line(result), "bold")
    if reason := result.decision.get("reason"):
        verb = "promoted" if result.decision.get("promote") else "not promoted"
        say(console, f"{verb}: {reason}")
    if sentence := result.tuning.get("sentence"):
        say(console, f"tuned: {sentence}")
    if result.baseline is not None:
        say(
            console,
            f"for comparison, word counts alone (TF-IDF) were right on {result.baseline:.1%} of "
            "the validation part",
            "dim",
        )
    if result.dollars is not None:
        say(console, f"cost: {money(result.dollars)} of machine time, by list prices")
    if result.endpoint:
        say(console, f"endpoint: {result.endpoint}")
        say(console, f"try it:   {curl_line(result.project, result.endpoint, result.kind)}")
    if not result.state.is_final:
        say(console, f"job {result.job_id} is {result.state}")


def show_cancelled(console: Console, job: RemoteJob) -> None:
    """What became of a job that was cancelled."""
    say(console, f"job {job.job_id} of {job.project}: {job.message or job.state}")


def curl_line(project: str, endpoint: str, kind: str = Kind.IMAGE) -> str:
    """A command that can be pasted; the key is looked up, not shown."""
    sent = "-H 'Content-Type: image/jpeg' --data-binary @picture.jpg"
    if kind == Kind.TEXT:
        sent = """-H 'Content-Type: application/json' --data '{"text": "..."}'"""
    return (
        f'curl -H "x-api-key: $(exemplar key {shlex.quote(project)})" '
        f"{sent} {shlex.quote(endpoint)}"
    )


def show_projects(console: Console, projects: list[dict[str, Any]]) -> None:
    """One row a project."""
    if not projects:
        say(console, "no projects yet; start with: exemplar train FOLDER --project my-cat")
        return
    show_table(
        console,
        ("project", "classes", "model", "accuracy", "endpoint"),
        [
            (
                project["project"],
                len(project["classes"]),
                project["model_version"] or "–",
                _share(project["metrics"].get("accuracy")),
                project["endpoint"] or "–",
            )
            for project in projects
        ],
    )


def show_details(console: Console, details: dict[str, Any]) -> None:
    """One project: what it is, what it answers, its jobs and its versions."""
    say(console, details["project"], "bold")
    facts = {
        "classes": ", ".join(details["classes"]),
        "data set": details["dataset_version"][:12],
        "model": details["model_version"],
        "accuracy": details["metrics"].get("sentence")
        or _share(details["metrics"].get("accuracy")),
        "endpoint": details["endpoint"],
    }
    for name, fact in facts.items():
        say(console, f"  {name:<9} {fact or '–'}")
    _show_labels(console, details["report"].get("labels") or {})
    jobs = [
        (_when(j["created_at"]), j["job_id"], j["state"], j["message"]) for j in details["jobs"]
    ]
    versions = [
        (
            _when(v["promoted_at"]),
            v["model_version"]
            + (" (live)" if v["model_version"] == details["model_version"] else ""),
            _share(v["accuracy"]),
            v["reason"],
        )
        for v in details["versions"]
    ]
    if jobs:
        show_table(console, ("started", "job", "state", "message"), jobs)
    if versions:
        show_table(console, ("promoted", "version", "accuracy", "reason"), versions)


def show_live(console: Console, live: dict[str, Any]) -> None:
    """What answers after a rollback."""
    say(console, f"{live['project']}: {live['model_version']} is live", "bold")
    say(console, f"  promoted  {_when(live['promoted_at'])}, {live['reason']}")
    say(console, f"  accuracy  {_share(live['accuracy'])}")
    say(console, f"  endpoint  {live['endpoint']}")


def _show_labels(console: Console, labels: dict[str, Any]) -> None:
    """How many labels may be wrong, and the most doubtful."""
    if not labels.get("found"):
        return
    say(console, f"  labels    {labels['found']:,} of {labels['examined']:,} may be wrong:")
    for error in labels["first"]:
        shown = f"“{error['text']}”" if error["text"] else error["name"]
        sure = f"{error['likelier_probability']:.0%}"
        say(console, f"    {shown}: {error['given']}, looks like {error['likelier']} ({sure})")
    say(console, "    the others are on the model's page: exemplar report", "dim")


def show_prediction(console: Console, example: str, answer: dict[str, Any]) -> None:
    """The label with its probability, and which model said so."""
    label = answer.get("label")
    probabilities = answer.get("probabilities") or {}
    best = max(probabilities.values(), default=None)
    says = "none of the classes" if label is None else label
    version = answer.get("model_version", "")
    say(console, f"{example}: {says} ({_share(best)}, {version})")


def show_evaluation(console: Console, result: "EvaluationResult") -> None:
    """The sentence, the classes, what is confused most, and what was left out."""
    low, high = result.interval
    say(console, f"{result.sentence} (95 % interval {low:.1%} to {high:.1%})", "bold")
    show_table(
        console,
        ("class", "examples", "found", "right when named"),
        [(c.name, c.examples, _share(c.recall), _share(c.precision)) for c in result.classes],
    )
    for right, given, count in result.confusions:
        say(console, f"{count:,} × {right} taken for {given}")
    for reason, count in list(result.left_out.items())[:_SKIPPED_SHOWN]:
        say(console, f"left out {count:,}: {reason}", "dim")
    say(console, f"model {result.model_version}, {result.latency_ms:g} ms an answer", "dim")


def show_suggestions(console: Console, result: "SuggestResult") -> None:
    """One row an example, the most useful first, and why."""
    found = result.suggestions
    say(
        console,
        f"label these {len(found):,} of {result.looked_at:,} next, the most useful first:",
        "bold",
    )
    is_text = any(one.text for one in found)
    show_table(
        console,
        ("", "row" if is_text else "file", *(("text",) if is_text else ()), "likely", "why"),
        [
            (
                number,
                one.name,
                *((_shortened(one.text),) if is_text else ()),
                f"{one.guess or 'none of the classes'} {_share(one.confidence)}",
                one.reason,
            )
            for number, one in enumerate(found, 1)
        ],
    )
    for reason, count in list(result.left_out.items())[:_SKIPPED_SHOWN]:
        say(console, f"left out {count:,}: {reason}", "dim")
    say(console, f"model {result.model_version}", "dim")


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _TEXT_SHOWN else f"{words[: _TEXT_SHOWN - 1]}…"


def show_log(console: Console, lines: Iterable[LogLine]) -> None:
    """One line an entry."""
    for line in lines:
        say(console, f"{line.at[:19]}  {line.level:<8} {line.run}  {line.message}")


def _accuracy_line(result: TrainResult) -> str:
    line = result.sentence or f"right {_share(result.accuracy)} of the time on the test part"
    if result.interval is None:
        return line
    low, high = result.interval
    return f"{line} (95 % interval {low:.1%} to {high:.1%})"


def _show_reasons(console: Console, details: Any, fix: Any) -> None:
    reasons = [str(line) for line in details] if isinstance(details, list) else []
    for line in reasons[:_DETAILS_SHOWN]:
        say(console, f"  - {line}")
    if len(reasons) > _DETAILS_SHOWN:
        say(console, f"  - and {len(reasons) - _DETAILS_SHOWN} more")
    if fix:
        say(console, f"fix: {fix}")


def show_table(
    console: Console, heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]
) -> None:
    """Rows below their heads, without lines."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)


def _share(value: Any) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) else "–"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
