"""`exemplar delete`: a project goes, and a receipt says what went."""

from typing import TYPE_CHECKING, Any

from rich.console import Console

from contracts.errors import BeingDeleted, NotFound
from deployments.options import AsJson, Name, Yes, confirm, print_json

if TYPE_CHECKING:
    from deployments.client import Exemplar


def delete(project: Name, *, yes: Yes = False, json: AsJson = False) -> None:
    """Delete a project: data, models, endpoint, key, logs and records. There is no way back.

    Its trainings are stopped and its endpoint closes within a minute. Interrupted, the deletion
    goes on by itself; the same command waits for it again and prints the receipt.

    Example: `exemplar delete my-cat`

    Example: `exemplar delete my-cat --yes --json`
    """
    from deployments.client import Exemplar
    from deployments.receipt_screen import DeletionReporter, show_receipt

    console = Console(stderr=json)
    with Exemplar() as client:
        _ask(console, client, project, is_sure=yes)
        with DeletionReporter(console) as reporter:
            receipt = client.delete(project, reporter.on_update)
    print_json(receipt) if json else show_receipt(console, receipt)


def _ask(console: Console, client: "Exemplar", project: str, *, is_sure: bool) -> None:
    """What will go; nothing is asked about a project that is going or gone already."""
    from deployments.api_calls import ApiError
    from deployments.receipt_screen import show_what_goes

    try:
        found: dict[str, Any] = client.details(project)
    except ApiError as error:
        if error.code not in {BeingDeleted.code, NotFound.code}:
            raise
        return
    show_what_goes(console, found)
    confirm(f"Delete {project} for ever?", is_sure=is_sure, answer=project)
