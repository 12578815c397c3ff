"""When a project trains anew by itself: enough new labels, and whom to look at regularly.

| pk      | sk             | holds                                                  |
|---------|----------------|--------------------------------------------------------|
| RETRAIN | PROJECT#{slug} | a project that trains after new labels or so many days |
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from contracts.errors import Unavailable
from contracts.identity import Project
from lambdas import events
from lambdas.feedback import FeedbackCount, FeedbackLog
from lambdas.state import ProjectRecord
from lambdas.table import Key, Table

_WATCHED: Final = "RETRAIN"

log = logging.getLogger(__name__)


def ask_when_enough(record: ProjectRecord, feedback: FeedbackLog, count: FeedbackCount) -> bool:
    """Say once that there are as many new labels as the owner wants a training after.

    It never fails: the label is stored, and whoever looks at schedules will see it, too.
    """
    threshold = record.setting("retrain")["after_new_examples"]
    if not threshold or count.new < threshold or not feedback.claim_asking(threshold):
        return False
    try:
        events.emit(events.LABELLED, record.project, {"reason": "labelled", "new": count.new})
    except Unavailable as error:
        log.warning("no training was asked for: %s", error.message)
        return False
    return True


@contextmanager
def schedule_kept(table: Table, project: Project, settings: dict[str, Any]) -> Iterator[None]:
    """Let the regular look at projects find this one if its new settings ask for that.

    Listed before the settings say so and forgotten after they do: whoever dies between leaves a
    project that is looked at in vain, and none that is missed.
    """
    wanted = settings.get("retrain")
    is_watched = bool(wanted and (wanted["every_days"] or wanted["after_new_examples"]))
    if is_watched:
        table.put(_watched_key(project), {"user": project.user, "project": project.name})
    yield
    if wanted and not is_watched:
        stop_watching(table, project)


def stop_watching(table: Table, project: Project) -> None:
    """Forget a project that wants no retraining, or is no more."""
    table.delete(_watched_key(project))


def watched_projects(table: Table) -> list[Project]:
    """Projects that may be due; their settings say whether they are."""
    return [Project(item["user"], item["project"]) for item in table.query(_WATCHED, "PROJECT#")]


def _watched_key(project: Project) -> Key:
    return _WATCHED, f"PROJECT#{project.slug}"
