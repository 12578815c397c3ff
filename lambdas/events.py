"""Telling Prefect what has happened; its automations decide what follows."""

import json
import os
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from contracts.errors import Unavailable
from contracts.identity import Project
from lambdas.orchestrator import auth_headers

LABELLED: Final = "exemplar.project.labelled"  # there are as many new labels as its owner said
DRIFTED: Final = "exemplar.project.drifted"  # what it is asked about has changed
_TIMEOUT_SECONDS: Final = 3.0  # somebody waits for the answer to another call


def resource_of(project: Project) -> str:
    """The id that Prefect knows a project by."""
    return f"exemplar.project.{project.slug}"


def emit(
    event: str, project: Project, payload: dict[str, Any], event_id: uuid.UUID | None = None
) -> None:
    """Send one event, once. Raises `Unavailable` when Prefect does not take it.

    One that is sent again with the same id within half an hour is the same event to Prefect.
    """
    document = {
        "id": str(event_id or uuid.uuid4()),
        "event": event,
        "occurred": datetime.now(UTC).isoformat(),
        "resource": {
            "prefect.resource.id": resource_of(project),
            "prefect.resource.name": project.name,
        },
        "payload": {"user": project.user, "project": project.name} | payload,
    }
    request = urllib.request.Request(  # noqa: S310
        os.environ["PREFECT_API_URL"].rstrip("/") + "/events",
        json.dumps([document]).encode(),
        {"Content-Type": "application/json"} | auth_headers(),
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
            pass
    except OSError as error:  # refused, reset, timed out, or an answer that is no success
        raise Unavailable(
            f"the workflow server did not take the event {event}: {error}",
            fix="try again in a minute",
        ) from error
