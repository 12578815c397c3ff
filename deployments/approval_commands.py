"""`exemplar approve` and `exemplar set`: what a project's owner decides."""

import json as json_module
from typing import Annotated, Any

from rich.console import Console

from contracts.errors import InvalidRequest, NotFound
from deployments.options import AsJson, JobId, Name, about, print_json


def approve(
    project: Name,
    job: JobId = None,
    *,
    refuse: Annotated[bool, about("Keep what is live instead.")] = False,
    note: Annotated[str, about("Why; it is kept with the decision.")] = "",
    json: AsJson = False,
) -> None:
    """Release the model that waits for approval, of the newest job by default.

    A project asks before it releases after `exemplar set my-cat approval=true`.

    Example: `exemplar approve my-cat`

    Example: `exemplar approve my-cat --refuse --note "too few night pictures"`
    """
    from deployments.client import Exemplar
    from deployments.screens import say

    with Exemplar() as client:
        job_id = job or _waiting_job(client.jobs(project), project)
        client.answer_approval(project, job_id, not refuse, note)
    answer = "refused: what is live stays" if refuse else "approved: it is being released"
    if json:
        print_json({"project": project, "job_id": job_id, "approve": not refuse})
    else:
        say(Console(), answer)


def change(
    project: Name,
    *settings: Annotated[str, about("NAME=VALUE, such as approval=true.")],
    json: AsJson = False,
) -> None:
    """Show a project's settings, or change some.

    Example: `exemplar set my-cat`

    Example: `exemplar set my-cat approval=true`
    """
    from deployments.client import Exemplar
    from deployments.screens import say

    changes = dict(_parsed(setting) for setting in settings)
    with Exemplar() as client:
        found = client.change_settings(project, **changes) if changes else client.details(project)
    if json:
        print_json({"project": project, "settings": found["settings"]})
        return
    for name, value in found["settings"].items():
        say(Console(), f"{name}={json_module.dumps(value)}")


def _parsed(setting: str) -> tuple[str, Any]:
    """A value is JSON, or else taken as the text that it is."""
    name, separator, text = setting.partition("=")
    if not separator:
        raise InvalidRequest(f"{setting!r} has no value", fix=f"write {setting}=VALUE")
    try:
        return name, json_module.loads(text)
    except ValueError:
        return name, text


def _waiting_job(jobs: list[dict[str, Any]], project: str) -> str:
    waiting = [job for job in jobs if job["approval"].get("state") == "waiting"]
    if not waiting:
        raise NotFound(
            f"no job of {project!r} waits for approval", fix=f"look at `exemplar details {project}`"
        )
    return str(waiting[0]["job_id"])
